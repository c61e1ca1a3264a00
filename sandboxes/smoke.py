"""The smallest programs that use what a language's benchmark programs rely on: does a toolchain work at all?"""

from __future__ import annotations

from collections.abc import Iterable

from sandboxes.supervisor.protocol import Program
from sandboxes.toolchains import Edit, toolchain


def smoke_program(language: str) -> Program:
    """A program of `language` that passes wherever its toolchain works."""
    return edited_program(language, ())


def wrong_program(language: str) -> Program:
    """The same program with a bug, which its test finds."""
    return edited_program(language, toolchain(language).example.wrong)


def edited_program(language: str, edits: Iterable[Edit] = (), more: str = "") -> Program:
    """The same program with edits of its solution, and with more code between that and its tests.

    Raises:
        ValueError: The solution does not hold what an edit replaces.
    """
    example = toolchain(language).example
    solution = example.solution
    for old, new in edits:
        if old not in solution:
            raise ValueError(f"the example of {language} has no {old!r}")
        solution = solution.replace(old, new, 1)
    solution += more
    return Program(language, solution + example.tests, len(solution))
