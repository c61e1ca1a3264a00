"""Go: minimal."""

from __future__ import annotations

from ..processes import Command
from ..protocol import Verdict
from .base import Case, Strategy, compile_failure, finished, first_line, stopped


class Go(Strategy):
    """Go programs, run plainly."""

    language = "go"

    def version(self) -> str:
        return first_line("go", "version")

    def judge(self, case: Case) -> Verdict:
        case.box.write("main_test.go", case.program.source.encode("utf-8", "surrogatepass"))
        env = {"GOCACHE": str(case.box.path / "cache"), "GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
        command = Command(case.compiling(), ["go", "test", "-c", "-o", "test", "main_test.go"], env=env)
        outcome = self.compile(case, command)
        if failure := compile_failure(case, outcome):
            return failure
        outcome = self.execute(case, Command(case.running(), ["./test"]))
        return stopped(case, outcome) or finished(
            case, outcome, b"", reference=outcome.exit_code == 0, failed_by_test=b"--- FAIL" in outcome.stdout
        )


STRATEGY = Go
