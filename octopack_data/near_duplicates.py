"""Near-duplicates by MinHash: of rows whose words overlap enough, the first stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from octopack_data.errors import DataError
from octopack_data.pipeline import Batch, BatchFunction, Outcome, Progress, Statistics, Step, Unit, read_batches

_WORD = re.compile(r"\w+")
DUPLICATE = "near-duplicate"


@dataclass(frozen=True, slots=True)
class MinHashConfig:
    """How alike two rows must be, and how that is estimated.

    Attributes:
        columns: whose text is compared.
        threshold: estimated Jaccard overlap of word runs from which two rows count as duplicates.
        permutations: of the signature; more are more exact (128 gives a standard error of 0.04 at 0.8).
        ngram: words of a run.
    """

    columns: tuple[str, ...] = ("old_contents", "new_contents")
    threshold: float = 0.8
    permutations: int = 128
    ngram: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise DataError(f"--threshold {self.threshold}: must be above 0 and at most 1")
        if self.permutations < 16:
            raise DataError(f"--permutations {self.permutations}: too few to tell rows apart; take 64 or more")
        if self.ngram < 1:
            raise DataError(f"--ngram {self.ngram}: must be at least 1")

    def runs(self, row: Mapping[str, Any]) -> set[bytes]:
        """Return the runs of words of a row; a text of fewer words is one run."""
        text = "\n".join(str(row[column]) for column in self.columns)
        words = _WORD.findall(text.lower())
        if len(words) < self.ngram:
            return {text.strip().encode()}
        return {" ".join(words[i : i + self.ngram]).encode() for i in range(len(words) - self.ngram + 1)}


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row that goes, and the one that stays for it."""

    row_id: str
    stays: str
    similarity: float


def find_duplicates(
    units: Sequence[Unit], config: MinHashConfig, row_id: str, report: Callable[[Progress], None] = lambda p: None
) -> dict[str, dict[int, Duplicate]]:
    """Return, for each unit, the places (rows counted from 0) of rows that an earlier row stands for.

    One signature for each row that stays is held in memory (about 1.5 kB at 128 permutations, index included).

    Raises:
        DataError: a column is missing, or datasketch is.
    """
    try:
        from datasketch import MinHash, MinHashLSH  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        raise DataError(f"near-duplicates need datasketch ({error}): pip install 'octopack[data]'") from error
    index = MinHashLSH(threshold=config.threshold, num_perm=config.permutations)
    signatures: dict[str, Any] = {}
    names: dict[str, str] = {}
    found: dict[str, dict[int, Duplicate]] = {}
    for unit in units:
        found[unit.name] = {}
        batches = read_batches(unit, config.columns, Statistics(), report)
        for place, row in enumerate(row for batch in batches for row in batch.rows):
            signature = MinHash(num_perm=config.permutations, seed=1)
            signature.update_batch(config.runs(row))
            near = [(signature.jaccard(signatures[key]), key) for key in index.query(signature)]
            near = [(similarity, key) for similarity, key in near if similarity >= config.threshold]
            name = str(row.get(row_id, f"{unit.name}:{place}"))
            if near:
                similarity, key = max(near, key=lambda pair: (pair[0], pair[1]))
                found[unit.name][place] = Duplicate(name, names[key], round(similarity, 4))
                continue
            key = f"{len(signatures):012d}"
            index.insert(key, signature)
            signatures[key] = signature
            names[key] = name
    return found


@dataclass(frozen=True)
class DropDuplicates(Step):
    """Drops the rows that `find_duplicates` named.

    Attributes:
        minhash: how they were found.
        places: for each unit, the rows to drop.
    """

    name: ClassVar[str] = "dedup"

    minhash: MinHashConfig
    places: Mapping[str, Mapping[int, Duplicate]]

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]  # chosen by the user here
        """The columns that are compared."""
        return self.minhash.columns

    @property
    def reasons(self) -> tuple[str, ...]:
        """The one reason."""
        return (DUPLICATE,)

    def config(self) -> Mapping[str, object]:
        """Everything that changes the output: which rows go follows from all shards together."""
        return {
            "columns": list(self.minhash.columns),
            "threshold": self.minhash.threshold,
            "permutations": self.minhash.permutations,
            "ngram": self.minhash.ngram,
            "places": {name: sorted(places) for name, places in self.places.items()},
        }

    def start(self) -> BatchFunction:
        """Return a placeholder: what is dropped depends on the unit."""

        def function(batch: Batch) -> Outcome:
            raise AssertionError(f"no unit was started for these {len(batch.rows)} rows")

        return function

    def start_unit(self, function: BatchFunction, unit: Unit, work: Path) -> BatchFunction:
        """Return the function of one unit, which counts its rows."""
        del function, work
        places = self.places.get(unit.name, {})
        seen = 0

        def drop(batch: Batch) -> Outcome:
            nonlocal seen
            outcome = Outcome()
            for position, line in enumerate(batch.lines):
                duplicate = places.get(seen + position)
                if duplicate is None:
                    outcome.kept.append(line)
                else:
                    batch.rows[position]["duplicate_of"] = duplicate.stays
                    batch.rows[position]["similarity"] = duplicate.similarity
                    outcome.dropped.append((position, DUPLICATE))
            seen += len(batch.rows)
            return outcome

        return drop
