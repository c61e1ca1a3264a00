"""Edits as models write them, applied where they fit: patches of lines, and of characters as of diff-match-patch."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from urllib.parse import unquote

_HEADER = re.compile(r"^[ \t]*@@[ \t]*(?:-(\d+)(?:,(\d+))? \+\d+(?:,\d+)?[ \t]*)?(?:@@.*)?$")


@dataclass(frozen=True)
class _Hunk:
    """A hunk as it stands in a patch.

    Attributes:
        header: Its first line.
        line: The first old line by its header, counted from 1; None where it does not say.
        length: How long the old text is by its header.
        lines: Its lines with their marks.
    """

    header: str
    line: int | None
    length: int | None
    lines: tuple[str, ...] = ()

    @property
    def old(self) -> list[str]:
        """The lines before the edit."""
        return [line[1:] for line in self._lines_of_code if not line.startswith("+")]

    @property
    def new(self) -> list[str]:
        """The lines after the edit."""
        return [line[1:] for line in self._lines_of_code if not line.startswith("-")]

    @property
    def _lines_of_code(self) -> Sequence[str]:
        # Blank lines at the end are rather those of the answer than the patch's.
        last = max((index for index, line in enumerate(self.lines) if line.strip()), default=-1)
        return self.lines[: last + 1]

    @property
    def is_of_characters(self) -> bool:
        """Whether its header counts the characters of its parts, which are percent-encoded, and not lines."""
        old = [line[1:] for line in self.lines if line[:1] in (" ", "-")]
        return self.length is not None and self.length == len(unquote("".join(old))) != len(old)

    @property
    def edits(self) -> bool:
        """Whether it changes anything."""
        return any(line.startswith(("+", "-")) for line in self.lines)


def apply_patch(code: str, text: str) -> str | None:
    """Apply the patch in a text; None where there is none, or none of it fits.

    Hunks are found by their text, line numbers do not matter; white space at the ends of lines, else also their
    indentation, may differ. Prose around the patch is left out.
    """
    hunks = _hunks(text)
    if hunks and all(hunk.is_of_characters for hunk in hunks):
        return _apply_to_characters(code, hunks)
    return _apply_to_lines(code, hunks)


def _hunks(text: str) -> list[_Hunk]:
    hunks: list[_Hunk] = []
    lines: list[str] | None = None
    for line in text.split("\n"):
        header = _HEADER.match(line)
        if header is not None:
            number, length = header.groups()
            lines = []
            hunks.append(_Hunk(line.strip(), int(number) if number else None, int(length or 1) if number else None))
        elif lines is not None and (line[:1] in (" ", "+", "-", "") or line.startswith("\\ No newline")):
            if not line.startswith("\\"):
                lines.append(line)
                hunks[-1] = replace(hunks[-1], lines=tuple(lines))
        else:
            lines = None  # prose, a fence, the head of another file
    return [hunk for hunk in hunks if hunk.edits]


def _apply_to_characters(code: str, hunks: Sequence[_Hunk]) -> str | None:
    from diff_match_patch import diff_match_patch  # type: ignore[import-untyped]

    matcher = diff_match_patch()
    text = "".join("\n".join((hunk.header, *filter(None, hunk.lines))) + "\n" for hunk in hunks)
    try:
        patched, fits = matcher.patch_apply(matcher.patch_fromText(text), code)
    except Exception:  # the library raises whatever its parser stumbles over
        return None
    return str(patched) if any(fits) else None


def _apply_to_lines(code: str, hunks: Sequence[_Hunk]) -> str | None:
    lines = code.split("\n")
    position, has_applied = 0, False
    for hunk in hunks:
        old = hunk.old
        start = _find(lines, old, position) if old else min((hunk.line or 1) - 1, len(lines))
        if start is not None:
            lines[start : start + len(old)] = hunk.new
            position = start + len(hunk.new)
            has_applied = True
    return "\n".join(lines) if has_applied else None


def _find(lines: Sequence[str], old: Sequence[str], position: int) -> int | None:
    """Where the old lines stand: after the last edit if they can, and as exactly as they can."""
    forms: tuple[Callable[[str], str], ...] = (str, str.rstrip, str.strip)
    for form in forms:
        wanted = [form(line) for line in old]
        for start in chain(range(position, len(lines)), range(position)):
            if [form(line) for line in lines[start : start + len(old)]] == wanted:
                return start
    return None
