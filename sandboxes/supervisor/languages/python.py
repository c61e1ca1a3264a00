"""Python: minimal."""

from __future__ import annotations

from ..processes import Command
from ..protocol import Verdict
from .base import Case, Strategy, finished, first_line, stopped


class Python(Strategy):
    """Python programs, run plainly."""

    language = "python"

    def version(self) -> str:
        return first_line("python3", "--version")

    def judge(self, case: Case) -> Verdict:
        case.box.write("program.py", case.program.source.encode("utf-8", "surrogatepass"))
        outcome = self.execute(case, Command(case.running(), ["python3", "-I", "program.py"]))
        reference = outcome.exit_code == 0
        return stopped(case, outcome) or finished(
            case, outcome, b"", reference=reference, failed_by_test=b"AssertionError" in outcome.stderr
        )


STRATEGY = Python
