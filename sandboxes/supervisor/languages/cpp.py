"""C++: minimal."""

from __future__ import annotations

from ..processes import Command
from ..protocol import Verdict
from .base import Case, Strategy, compile_failure, finished, first_line, stopped


class Cpp(Strategy):
    """C++ programs, run plainly."""

    language = "cpp"

    def version(self) -> str:
        return first_line("g++", "--version")

    def judge(self, case: Case) -> Verdict:
        case.box.write("test.cpp", case.program.source.encode("utf-8", "surrogatepass"))
        outcome = self.compile(case, Command(case.compiling(), ["g++", "-std=c++17", "test.cpp", "-lcrypto", "-lssl"]))
        if failure := compile_failure(case, outcome):
            return failure
        outcome = self.execute(case, Command(case.running(), ["./a.out"]))
        return stopped(case, outcome) or finished(
            case, outcome, b"", reference=outcome.exit_code == 0, failed_by_test=b"Assertion" in outcome.stderr
        )


STRATEGY = Cpp
