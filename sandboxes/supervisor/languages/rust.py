"""Rust: minimal."""

from __future__ import annotations

from ..processes import Command
from ..protocol import Verdict
from .base import Case, Strategy, compile_failure, finished, first_line, stopped


class Rust(Strategy):
    """Rust programs, run plainly."""

    language = "rust"

    def version(self) -> str:
        return first_line("rustc", "--version")

    def judge(self, case: Case) -> Verdict:
        case.box.write("test.rs", case.program.source.encode("utf-8", "surrogatepass"))
        command = Command(case.compiling(), ["rustc", "--edition", "2021", "--test", "-o", "test", "test.rs"])
        outcome = self.compile(case, command)
        if failure := compile_failure(case, outcome):
            return failure
        outcome = self.execute(case, Command(case.running(), ["./test"]))
        return stopped(case, outcome) or finished(
            case, outcome, b"", reference=outcome.exit_code == 0, failed_by_test=b"panicked" in outcome.stdout
        )


STRATEGY = Rust
