"""The languages of the benchmark, one file each."""

from __future__ import annotations

from octopack_tasks.errors import UserError
from octopack_tasks.languages.base import Assembled, Execution, Language, with_tests
from octopack_tasks.languages.cpp import Cpp
from octopack_tasks.languages.go import Go
from octopack_tasks.languages.java import Java
from octopack_tasks.languages.js import JavaScript
from octopack_tasks.languages.python import Python
from octopack_tasks.languages.rust import Rust
from octopack_tasks.languages.typescript import TypeScript

__all__ = ["LANGUAGES", "PAPER_LANGUAGES", "Assembled", "Execution", "Language", "get_language", "with_tests"]

LANGUAGES: dict[str, Language] = {
    language.name: language for language in (Python(), Cpp(), JavaScript(), Java(), Go(), Rust(), TypeScript())
}
PAPER_LANGUAGES = tuple(name for name, language in LANGUAGES.items() if language.execution is not None)
"""The languages of HumanEvalPack, which the paper's tasks, groups and scores are about."""


def get_language(name: str) -> Language:
    """The language of that name.

    Raises:
        UserError: There is none.
    """
    try:
        return LANGUAGES[name]
    except KeyError:
        raise UserError(f"unknown language {name!r}; there are: {', '.join(LANGUAGES)}") from None
