"""How lines become batches of valid rows; every other line is counted and put aside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from octopack_data.errors import DataError
from octopack_data.shards import Fingerprint, LongLine, read_lines
from octopack_data.steps import Batch, Statistics, Unit

_BROKEN_EXAMPLES = 20
"""Broken lines that a record describes; all are counted and kept."""

_NESTED = frozenset({dict, list})


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been done since the last report: compressed bytes read and rows seen."""

    bytes_read: int
    rows: int


def no_report(progress: Progress) -> None:
    """Tell nobody."""
    del progress


def fault_of(row: object, columns: Sequence[str], row_types: tuple[type, ...] = (dict,)) -> str | None:
    """Say what a parsed row lacks to be handed to a step, or return None."""
    if type(row) not in row_types:
        return f"a row must be a JSON object, this is a {type(row).__name__}"
    try:
        orjson.dumps([row])
    except TypeError:
        return "nested too deeply to be written again"
    if not isinstance(row, dict):
        return None
    for column in columns:
        if column not in row:
            return f"no column {column!r} (columns here: {', '.join(map(str, row)) or 'none'})"
        if not isinstance(row[column], str):
            return f"column {column!r} must be text, here it is {type(row[column]).__name__}"
    return None


@dataclass(slots=True)
class Intake:
    """Turns raw lines into batches of valid rows and keeps every other line aside."""

    unit: Unit
    columns: tuple[str, ...]
    row_types: tuple[type, ...]
    statistics: Statistics
    aside: list[bytes] = field(default_factory=list)
    examples: list[dict[str, object]] = field(default_factory=list)
    line_number: int = 0

    def batch(self, lines: list[bytes | LongLine], path: Path) -> Batch:
        """Return the valid rows of some lines.

        Raises:
            DataError: no row of the shard so far has the columns that the step needs.
        """
        raw: list[bytes] = lines  # type: ignore[assignment]  # any LongLine ends up in the slow path below
        try:
            rows: list[Any] = [orjson.loads(line) for line in raw]
            for row in rows:
                if type(row) not in self.row_types:
                    raise TypeError
                for column in self.columns:
                    if type(row[column]) is not str:
                        raise TypeError
                if type(row) is list or not _NESTED.isdisjoint(map(type, row.values())):
                    orjson.dumps([row])  # reading goes deeper than writing does
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raw, rows = self._sift(lines, path)
        else:
            self.line_number += len(lines)
        self.statistics.rows_in += len(rows)
        return Batch(raw, rows)

    def _sift(self, lines: list[bytes | LongLine], path: Path) -> tuple[list[bytes], list[Any]]:
        good: list[bytes] = []
        rows: list[Any] = []
        for line in lines:
            self.line_number += 1
            if isinstance(line, LongLine):
                self._put_aside(path, f"line of {line.size} bytes, too long for a row (the input keeps it)", None)
                continue
            if not line.strip():
                self.statistics.blank += 1
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                self._put_aside(path, f"not JSON: {error}", line)
                continue
            fault = fault_of(row, self.columns, self.row_types)
            if fault is None:
                good.append(line)
                rows.append(row)
                continue
            if not self.statistics.rows_in and not rows and self.line_number == 1:
                raise DataError(f"{path}, line 1: {fault}; is this the right file for {self.unit.name!r}?")
            self._put_aside(path, fault, line)
        return good, rows

    def _put_aside(self, path: Path, error: str, line: bytes | None) -> None:
        self.statistics.broken += 1
        if len(self.examples) < _BROKEN_EXAMPLES:
            self.examples.append({"file": path.name, "line": self.line_number, "error": error})
        if line is not None:
            self.aside.append(line)


def read_batches(
    unit: Unit, columns: tuple[str, ...], statistics: Statistics, report: Callable[[Progress], None] = no_report
) -> Iterator[Batch]:
    """Yield the valid rows of a unit as the engine hands them to a step; what is broken is counted, not kept.

    Args:
        unit: what to read.
        columns: text columns that a row must have.
        statistics: takes the counts.
        report: called after each batch.
    """
    intake = Intake(unit, columns, (dict,), statistics)
    for path in unit.inputs:
        fingerprint = Fingerprint()
        intake.line_number = 0
        read = 0
        for lines in read_lines(path, fingerprint=fingerprint):
            yield intake.batch(lines, path)
            intake.aside.clear()
            report(Progress(fingerprint.passed - read, len(lines)))
            read = fingerprint.passed


def find_row(units: Sequence[Unit], column: str, row_id: str) -> tuple[Unit, dict[str, Any]]:
    """Return the first row whose `column` is `row_id`, and the unit it is in.

    Raises:
        DataError: there is none.
    """
    needle = orjson.dumps(row_id)[1:-1]
    for unit in units:
        for path in unit.inputs:
            for lines in read_lines(path):
                for line in lines:
                    if not isinstance(line, bytes) or (row_id.isascii() and needle not in line):
                        continue
                    try:
                        row = orjson.loads(line)
                    except orjson.JSONDecodeError:
                        continue
                    if isinstance(row, dict) and str(row.get(column)) == row_id:
                        return unit, row
    raise DataError(f"no row with {column} = {row_id!r} in {len(units)} shard(s); check the id and the inputs")
