"""JavaScript: minimal."""

from __future__ import annotations

from ..processes import Command
from ..protocol import Verdict
from .base import Case, Strategy, finished, first_line, stopped


class JavaScript(Strategy):
    """JavaScript programs, run plainly."""

    language = "js"

    def version(self) -> str:
        return first_line("node", "--version")

    def judge(self, case: Case) -> Verdict:
        case.box.write("test.js", case.program.source.encode("utf-8", "surrogatepass"))
        outcome = self.execute(case, Command(case.running(), ["node", "test.js"]))
        reference = not outcome.stdout and not outcome.stderr
        return stopped(case, outcome) or finished(
            case, outcome, b"", reference=reference, failed_by_test=b"Assertion failed" in outcome.stderr
        )


STRATEGY = JavaScript
