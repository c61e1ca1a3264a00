"""Cuts each language's rows into size-capped shards, named and laid out as the published data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import orjson

from octopack_data.commitpack.languages import directory_name
from octopack_data.errors import DataError
from octopack_data.pipeline import Batch, BatchFunction, Judgement, Outcome, Step, Unit, discover_units

SHARD_BYTES = 500 * 1024 * 1024
"""Largest published shard: bytes of its lines, line ends included, before compression."""

PUBLISHED_COLUMNS = (
    "commit",
    "old_file",
    "new_file",
    "old_contents",
    "new_contents",
    "subject",
    "message",
    "lang",
    "license",
    "repos",
)
"""Columns of the published rows, in order."""


class Cutter:
    """Says which part of a language each line goes to: a new part begins where a line would pass the limit.

    A line above the limit gets a part of its own. (The reference also leaves an empty part 1 behind where the very
    first line is above it; that is not repeated.)

    Args:
        limit: bytes of a part.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._part = 1

    def part_of(self, size: int) -> int:
        """Return the number of the part, from 1, that takes a line of `size` bytes (line end included)."""
        if self._size and self._size + size > self._limit:
            self._part += 1
            self._size = 0
        self._size += size
        return self._part


def units_by_language(folders: Sequence[Path]) -> list[Unit]:
    """Return one unit for each language: all shards in the folder of that name, in sorted order.

    The folders are what `languages` writes (`python/...jsonl`); a file `python.jsonl` beside them is the same language.

    Raises:
        DataError: no shards, or a file that is below no language's folder.
    """
    files: dict[str, list[Path]] = {}
    for folder in folders:
        for unit in discover_units([folder]):
            language = unit.name.split("/")[0]
            files.setdefault(language, []).extend(unit.inputs)
    return [Unit(language, tuple(sorted(paths))) for language, paths in sorted(files.items())]


@dataclass(frozen=True)
class ShardStep(Step):
    """Writes the rows of a language into parts of limited size.

    Attributes:
        limit: bytes of a part, before compression.
        all_columns: keep columns that the published data set does not have.
    """

    limit: int = SHARD_BYTES
    all_columns: bool = False

    name: ClassVar[str] = "commitpack-shard"
    routed: ClassVar[bool] = True

    @property
    def reasons(self) -> tuple[str, ...]:
        """No row is dropped."""
        return ()

    def config(self) -> dict[str, object]:
        """Return the limit and the columns."""
        return {"limit": self.limit, "all_columns": self.all_columns}

    def start(self) -> BatchFunction:
        """Return nothing useful: where a row goes depends on the rows of its language before it."""
        return lambda batch: Outcome(kept=list(batch.lines), routes=["0001"] * len(batch.lines))

    def start_unit(self, function: BatchFunction, unit: Unit, work: Path) -> BatchFunction:
        """Return the function for one language, which remembers how full the current part is."""
        del function, work
        cutter = Cutter(self.limit)

        def cut(batch: Batch) -> Outcome:
            outcome = Outcome(routes=[], tallies={"languages": Counter()})
            assert outcome.routes is not None
            for line, row in zip(batch.lines, batch.rows, strict=True):
                language = row.get("lang")
                if language is None and "commit" in row:
                    raise DataError(
                        f"{unit.name!r}: rows without the column 'lang'; run `octopack data commitpack languages` first"
                    )
                if isinstance(language, str) and directory_name(language) != unit.name:
                    raise DataError(
                        f"the folder {unit.name!r} holds a row whose lang is {language!r}: {row.get('commit')}; "
                        "give the folder that `octopack data commitpack languages` wrote"
                    )
                if not self.all_columns:
                    line = published(line, row)
                part = cutter.part_of(len(line) + 1)
                outcome.kept.append(line)
                outcome.routes.append(f"{part:04d}")
                outcome.tallies["languages"][unit.name] += 1
            return outcome

        return cut

    def output_path(self, unit: Unit, route: str, suffix: str) -> str:
        """Return `python/python-0001.jsonl` for part 0001 of python."""
        return f"{unit.name}/{unit.name}-{route}.{suffix}"

    def explain(self, row: dict[str, Any]) -> list[Judgement]:
        """Say which folder takes the row."""
        return [Judgement("shard", True, f"no row is dropped; lang is {row.get('lang')!r}")]


def published(line: bytes, row: dict[str, Any]) -> bytes:
    """Return a row without the columns that published rows do not have; any other row stays byte for byte."""
    if len(row) == len(PUBLISHED_COLUMNS) or not row.keys() > set(PUBLISHED_COLUMNS):
        return line
    return orjson.dumps({name: row[name] for name in PUBLISHED_COLUMNS})
