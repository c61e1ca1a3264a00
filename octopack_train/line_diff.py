"""Line diffs: numbered old code in, numbered removed and added lines out (SantaCoder's `line_diff` data format)."""

from __future__ import annotations

import difflib
import re

from octopack_train.errors import TrainingError

NUMBER_WIDTH = 3
"""Line numbers are right-aligned in three characters; from line 1000 on they are as wide as they are (reference)."""

_CHANGE = re.compile(r"([+-])\s*(\d+) (.*)", re.DOTALL)


def number_lines(code: str) -> str:
    """Prefix every line of the stripped code with its number, counted from 1: `"  7 distance = ..."`."""
    lines = code.strip().splitlines(keepends=True)
    return "".join(f"{number:{NUMBER_WIDTH}d} {line}" for number, line in enumerate(lines, start=1))


def line_diff(old: str, new: str) -> str:
    r"""Return the removed (`-`) and added (`+`) numbered lines that turn `old` into `new`, joined by `"\n"`.

    The numbers are part of the compared lines, so one inserted line makes every later line appear as removed and added:
    a weakness of the format that the paper names. Equal codes (after stripping) give an empty string.
    """
    lines = difflib.unified_diff(number_lines(old).splitlines(), number_lines(new).splitlines(), lineterm="")
    body = list(lines)[2:]  # the two file header lines also begin with - and +
    return "\n".join(line for line in body if line.startswith(("+", "-")))


def apply_line_diff(old: str, diff: str) -> str:
    r"""Apply what `line_diff` returned (or a model wrote) to the old code; lines of the result end in `"\n"`.

    Removed numbers refer to the old code, added numbers to the new one.

    Raises:
        TrainingError: a line of the diff is not a numbered change, or removes a line that the old code does not have.
    """
    lines = old.strip().splitlines()
    removed: set[int] = set()
    added: dict[int, str] = {}
    for change in diff.splitlines():
        match = _CHANGE.fullmatch(change)
        if match is None:
            raise TrainingError(f"Not a line of a line diff: {change!r}; expected '+' or '-', a number and the code.")
        sign, number, code = match[1], int(match[2]), match[3]
        if sign == "+":
            added[number] = code
        elif not 1 <= number <= len(lines):
            raise TrainingError(f"The line diff removes line {number}, but the code has {len(lines)} lines.")
        else:
            removed.add(number)
    kept = [line for number, line in enumerate(lines, start=1) if number not in removed]
    for number in sorted(added):
        kept.insert(number - 1, added[number])
    return "".join(f"{line}\n" for line in kept)
