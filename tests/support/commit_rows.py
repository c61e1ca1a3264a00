"""Rows and a small step that several tests need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import orjson

from octopack_data.pipeline import Batch, BatchFunction, Outcome, Step

BASE: dict[str, str] = {
    "commit": "0" * 40,
    "old_file": "lib/reader.rb",
    "new_file": "lib/reader.rb",
    "old_contents": "def total(values)\n  sum = 0\n  values.each { |value| sum += value }\n  sum\nend\n" * 2,
    "new_contents": "def total(values)\n  sum = 0\n  values.each { |value| sum += value.to_i }\n  sum\nend\n" * 2,
    "subject": "Fix broken total of text values",
    "message": "Fix broken total of text values\n",
    "lang": "Ruby",
    "license": "mit",
    "repos": "someone/something",
}
"""A commit that every reading keeps."""


def commit(number: int = 0, **fields: str) -> dict[str, str]:
    """Return a commit that is kept, unless `fields` say otherwise."""
    return {**BASE, "commit": f"{number:040x}", **fields}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


class DropLong(Step):
    """Drops rows whose text is longer than a limit."""

    name: ClassVar[str] = "drop-long"
    columns: ClassVar[tuple[str, ...]] = ("text",)
    row_id: ClassVar[str] = "id"

    def __init__(self, limit: int = 3) -> None:
        self.limit = limit

    @property
    def reasons(self) -> tuple[str, ...]:
        return ("too long",)

    def config(self) -> Mapping[str, object]:
        return {"limit": self.limit}

    def start(self) -> BatchFunction:
        return self._function

    def _function(self, batch: Batch) -> Outcome:
        outcome = Outcome(tallies={"lengths": Counter(str(len(row["text"])) for row in batch.rows)})
        for position, (line, row) in enumerate(zip(batch.lines, batch.rows, strict=True)):
            if len(row["text"]) > self.limit:
                outcome.dropped.append((position, "too long"))
            else:
                outcome.kept.append(line)
        return outcome
