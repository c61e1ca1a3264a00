"""Go."""

from __future__ import annotations

import re
from collections.abc import Sequence

from octopack_tasks.errors import UserError
from octopack_tasks.languages.base import BraceLanguage, Execution
from octopack_tasks.problems import Problem

# The packages whose import the reference adds where they are used.
_PACKAGES = ("math", "strings", "fmt", "strconv", "time", "bytes", "regexp", "sort", "math/rand", "crypto/md5")


class Go(BraceLanguage):
    """Go: unused imports are errors, so the program's imports follow from what it uses."""

    name = "go"
    title = "Go"
    extension = "go"
    fence = "go"
    # "struct" has no newline before it: it also ends a completion that says "construct" or "structure".
    stop_words = ("\n//", "\nfunc main(", "struct", "\nfunc")
    execution = Execution("go", timeout=20, num_workers=4)
    definition = r"^func\s+{name}\s*[\[(]"

    def candidate(self, solution: str, problem: Problem) -> str:
        """Package clause, the tests' imports, the imports the program uses, then the solution."""
        return self.candidates([solution], problem)[0]

    def candidates(self, solutions: Sequence[str], problem: Problem) -> list[str]:
        """As `candidate`, but an import that one solution brings along is gone for all later ones, too.

        The reference loses it that way when it scores several samples of a problem in one call; nothing else than
        that comparison should use this.
        """
        _check_imports(problem)
        setup = problem.test_setup + "\n"
        texts = []
        for solution in solutions:
            setup = _without_imports_of(solution, setup)
            imports = _missing_imports(f"{setup}{solution}\n\n{problem.test}")
            if "package main" in setup:
                solution = solution.replace("package main", "")
            texts.append(setup + imports + solution)
        return texts


def _check_imports(problem: Problem) -> None:
    for line in problem.imports.split("\n"):
        package = re.sub(r'import|[()"]', "", line).strip()
        if package and package not in _PACKAGES:
            raise UserError(
                f"{problem.task_id} imports {package!r}, but only these imports can be added to its programs: "
                f"{', '.join(_PACKAGES)}. Mend the column `import` of the dataset"
            )


def _without_imports_of(solution: str, setup: str) -> str:
    """`setup` without the quoted package names that occur in `solution`, wherever they occur in it."""
    for line in setup.split("\n"):
        package = re.sub(r"import|[()]", "", line).strip()
        if package.startswith('"') and package in solution:
            setup = setup.replace(package, "")
    return setup


def _missing_imports(program: str) -> str:
    """An import block for packages that `program` seems to use and nowhere quotes, in a fixed order.

    A package counts as used when its name and a dot stand in a line that is not a comment. As in the reference, the
    last part of its path alone is imported, so "math/rand" and "crypto/md5" end as a compile error.
    """
    names = [path.split("/")[-1] for path in _PACKAGES if f'"{path}"' not in program]
    code = [line for line in program.split("\n") if not line.strip().startswith("//")]
    used = [name for name in names if any(f"{name}." in line for line in code)]
    return "import (\n" + "".join(f'    "{name}"\n' for name in used) + ")\n" if used else ""
