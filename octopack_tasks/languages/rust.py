"""Rust."""

from __future__ import annotations

from octopack_tasks.languages.base import BraceLanguage, Execution
from octopack_tasks.problems import Problem

_MAIN = "fn main(){}\n"


class Rust(BraceLanguage):
    """Rust: a crate with an empty `main`, whose tests are a module."""

    name = "rust"
    title = "Rust"
    extension = "rs"
    fence = "rust"
    execution = Execution("rust", timeout=300, num_workers=1)
    definition = r"\bfn\s+{name}\s*[<(]"

    def declaration(self, problem: Problem) -> str:
        """The declaration after an empty `main`, with which the column `prompt` begins, too."""
        return _MAIN + problem.declaration

    def candidate(self, solution: str, problem: Problem) -> str:
        """The solution up to a second `main`, after a `main` and those declaration lines that it lacks."""
        head = "" if "fn main()" in solution else _MAIN
        for line in (line.strip() for line in problem.declaration.split("\n")):
            is_present = line in solution or (line.startswith("fn") and line.split("(")[0] in solution)
            if not is_present:
                head += line + "\n"
        return head + "fn main()".join(solution.split("fn main()")[:2])
