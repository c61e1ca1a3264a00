"""The word lists of the filters, as data files, and how a list of one's own is read."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from octopack_data.errors import DataError


@cache
def load(name: str) -> dict[str, Any]:
    """Return the word list file `name` of this package (without `.json`)."""
    data: dict[str, Any] = json.loads((files(__name__) / f"{name}.json").read_text(encoding="utf-8"))
    return data


def read_list(path: Path) -> tuple[str, ...]:
    """Read a list of one's own: one entry a line, UTF-8, blank lines and lines starting with "#" left out.

    Raises:
        DataError: no such file, not text, empty, or an entry twice (named with its line).
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such word list") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        entry = line.strip().lower()
        if not entry or entry.startswith("#"):
            continue
        if entry in seen:
            raise DataError(f"{path}, line {number}: {entry!r} is in the list twice (first in line {seen[entry]})")
        seen[entry] = number
    if not seen:
        raise DataError(f"{path}: the word list is empty")
    return tuple(seen)
