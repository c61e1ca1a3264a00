"""What a data step is: a pure function over batches of rows, with its name, configuration and reasons."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import orjson

from octopack_data.shards import BATCH_BYTES


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive rows of a unit, each as its raw JSON line (no line end) and as the parsed object."""

    lines: list[bytes]
    rows: list[dict[str, Any]]


@dataclass(slots=True)
class Outcome:
    """What a step made of a batch.

    Attributes:
        kept: lines to write, without line ends; an unchanged row is best given as its raw line.
        routes: for a routed step, the part of the output each kept line belongs to (usually a sub-folder).
        dropped: position in the batch and reason of each row that is not kept. Columns that the step adds to the parsed
            row (an error message, say) are written along with it where dropped rows are kept.
        tallies: named counts for the statistics, added up over all shards.
    """

    kept: list[bytes] = field(default_factory=list)
    routes: list[str] | None = None
    dropped: list[tuple[int, str]] = field(default_factory=list)
    tallies: dict[str, Counter[str]] = field(default_factory=dict)


BatchFunction = Callable[[Batch], Outcome]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One line of an explanation: a rule, whether the row passes it, and the value it was decided on."""

    rule: str
    passed: bool
    detail: str


class Step(ABC):
    """A pure function over batches of rows, with its name, its configuration and the reasons it may give.

    A step is pickled and sent to other processes and machines, so it holds its configuration only; `start` loads what
    is heavy.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raised when the code changes in a way that changes results: old outputs are then made again."""
    columns: ClassVar[tuple[str, ...]] = ()
    """Text columns that every row must have."""
    row_types: ClassVar[tuple[type, ...]] = (dict,)
    """JSON types of a row; anything but an object is for steps without required columns."""
    row_id: ClassVar[str] = "commit"
    """Column by which `--explain` finds a row."""
    batch_bytes: ClassVar[int] = BATCH_BYTES
    """Bytes of input in a batch; a step that makes rows grow takes less."""
    routed: ClassVar[bool] = False
    """Whether kept rows are spread over several files (`Outcome.routes`)."""
    counts_only: ClassVar[bool] = False
    """Whether the step writes no rows: its result is the statistics."""
    keep_dropped: ClassVar[bool] = False
    """Whether dropped rows are written to `_dropped/` even when the user did not ask for it."""
    one_to_one: ClassVar[bool] = True
    """Whether every row is either kept or dropped, exactly once (the engine then holds the step to it)."""

    @property
    @abstractmethod
    def reasons(self) -> tuple[str, ...]:
        """The reasons for dropping a row, in the order in which the funnel lists them."""

    @abstractmethod
    def config(self) -> Mapping[str, object]:
        """Everything that changes the output, as plain JSON values."""

    @abstractmethod
    def start(self) -> BatchFunction:
        """Load what is needed and return the function; called once in each process."""

    def start_unit(self, function: BatchFunction, unit: Unit, work: Path) -> BatchFunction:
        """Return the function for one unit; a step with state inside a unit, or a journal of its own, overrides this.

        Args:
            function: what `start` returned.
            unit: the unit about to be made.
            work: a folder of this unit that does not exist at first, survives interruption, and is removed when the
                unit is whole.
        """
        del unit, work
        return function

    def output_path(self, unit: Unit, route: str, suffix: str) -> str:
        """Return where the rows of a route go, relative to the output folder."""
        return f"{route}/{unit.name}.{suffix}".lstrip("/")

    def explain(self, row: dict[str, Any]) -> list[Judgement]:
        """Say what every rule makes of a row, in order, up to the one that drops it."""
        outcome = self.start()(Batch([orjson.dumps(row)], [row]))
        if outcome.dropped:
            return [Judgement(reason, False, "dropped") for _, reason in outcome.dropped]
        return [Judgement(self.name, True, "kept")]


@dataclass(frozen=True, slots=True)
class Unit:
    """One output shard: its name (which may contain folders, and has no suffix) and the input files it is made of."""

    name: str
    inputs: tuple[Path, ...]


@dataclass(slots=True)
class Statistics:
    """Counts of a unit or of a whole run; they add up."""

    rows_in: int = 0
    rows_out: int = 0
    broken: int = 0
    blank: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    tallies: dict[str, Counter[str]] = field(default_factory=dict)

    def tally(self, tallies: Mapping[str, Counter[str]]) -> None:
        """Add named counts."""
        for name, counts in tallies.items():
            self.tallies.setdefault(name, Counter()).update(counts)

    def add(self, other: Statistics) -> None:
        """Add the counts of another unit."""
        for name in ("rows_in", "rows_out", "broken", "blank", "bytes_in", "bytes_out"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.dropped.update(other.dropped)
        self.tally(other.tallies)

    def funnel(self, reasons: Sequence[str]) -> list[tuple[str, int, int]]:
        """Return (reason, rows dropped by it, rows left after it) in the order of the rules."""
        left = self.rows_in
        table = []
        for reason in [*reasons, *sorted(self.dropped.keys() - set(reasons))]:
            left -= self.dropped[reason]
            table.append((reason, self.dropped[reason], left))
        return table

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, in a fixed order."""
        return {
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "broken": self.broken,
            "blank": self.blank,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "dropped": dict(sorted(self.dropped.items())),
            "tallies": {name: dict(sorted(counts.items())) for name, counts in sorted(self.tallies.items())},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Statistics:
        """Read what `to_json` wrote."""
        counts = {k: data[k] for k in ("rows_in", "rows_out", "broken", "blank", "bytes_in", "bytes_out")}
        tallies = {name: Counter(values) for name, values in data["tallies"].items()}
        return cls(**counts, dropped=Counter(data["dropped"]), tallies=tallies)
