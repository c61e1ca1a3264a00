"""JavaScript."""

from __future__ import annotations

from octopack_tasks.languages.base import BraceLanguage, Execution


class JavaScript(BraceLanguage):
    """JavaScript: a solution is a program as it stands."""

    name = "js"
    title = "JavaScript"
    extension = "js"
    fence = "javascript"
    execution = Execution("javascript", timeout=10, num_workers=4)
    definition = r"(\bfunction\s*\*?\s*{name}\s*\(|\b{name}\s*=\s*(async\b|function\b|\(|\w+\s*=>))"
