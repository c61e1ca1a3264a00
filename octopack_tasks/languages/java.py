"""Java."""

from __future__ import annotations

import re

from octopack_tasks.languages.base import BraceLanguage, Execution
from octopack_tasks.problems import Problem


class Java(BraceLanguage):
    """Java: functions are methods, so a prompt leaves the class open, too."""

    name = "java"
    title = "Java"
    extension = "java"
    fence = "java"
    execution = Execution("java", timeout=10, num_workers=1)
    definition = r"\b{name}\s*\([^;{}]*\)[^;{}()]*\{"
    open_braces = 2

    def truncate_unbalanced(self, completion: str) -> str:
        """A `main` is cut off, then what follows the last brace, and the class is closed if just that is missing."""
        main = completion.find("public static void main")
        if main >= 0:
            completion = completion[:main] + "}"
        completion = super().truncate_unbalanced(completion)
        if completion.count("{") - 1 == completion.count("}"):
            completion += "\n}"
        return completion

    def candidate(self, solution: str, problem: Problem) -> str:
        """The solution without an empty `Main`, which some models add and the tests define."""
        return solution.replace("public class Main {\n    }", "").strip()

    def without_main(self, code: str) -> str:
        """The code up to a class `Main`, and no public class: the file is named after the tests' `Main`."""
        code = re.split(r"^\s*(?:public\s+)?(?:final\s+)?class\s+Main\b", code, maxsplit=1, flags=re.MULTILINE)[0]
        return re.sub(r"\bpublic\s+(?=(?:final\s+)?class\s+Solution\b)", "", code)
