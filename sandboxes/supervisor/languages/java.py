"""Java: minimal."""

from __future__ import annotations

from ..processes import Command
from ..protocol import Verdict
from .base import Case, Strategy, compile_failure, finished, first_line, stopped


class Java(Strategy):
    """Java programs, run plainly."""

    language = "java"

    def version(self) -> str:
        return first_line("javac", "--version")

    def judge(self, case: Case) -> Verdict:
        case.box.write("Main.java", case.program.source.encode("utf-8", "surrogatepass"))
        outcome = self.compile(case, Command(case.compiling(), ["javac", "-proc:none", "Main.java"]))
        if failure := compile_failure(case, outcome):
            return failure
        outcome = self.execute(case, Command(case.running(), ["java", "-cp", ".", "Main"]))
        return stopped(case, outcome) or finished(
            case, outcome, b"", reference=outcome.exit_code == 0, failed_by_test=b"AssertionError" in outcome.stderr
        )


STRATEGY = Java
