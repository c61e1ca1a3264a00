"""Which rows hold a benchmark problem: whole texts of HumanEvalPack, or runs of its words."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from octopack_data.errors import DataError
from octopack_data.formats import PAIR_COLUMNS
from octopack_data.pipeline import Batch, BatchFunction, Judgement, Outcome, Step

NGRAM = 13
"""Words of a run that counts as a copy (Brown et al. 2020, appendix C)."""

MIN_WORDS = 8
"""A shorter benchmark text (a body such as `return a + b`) is everyday code and proves nothing."""

MIN_OWN_WORDS = 4
"""A run with fewer different words that are no numbers (a row of zeros) proves nothing either."""

LANGUAGES = ("python", "js", "java", "go", "cpp", "rust")
_FIELDS = ("prompt", "docstring", "canonical_solution", "buggy_solution", "test")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Hit:
    """A benchmark text found in a row.

    Attributes:
        problem: name of the problem, such as `Python/0`.
        column: which of its texts.
        kind: `exact` for the whole text, `ngram` for a run of words.
        words: the words that were found (the first few of an exact hit).
    """

    problem: str
    column: str
    kind: str
    words: str


@dataclass(frozen=True)
class Benchmark:
    """The texts of a benchmark, cut into words, ready to be searched for.

    Attributes:
        texts: (problem, column, words) for every text.
        ngram: words of a run that counts as a copy.
    """

    texts: tuple[tuple[str, str, tuple[str, ...]], ...]
    ngram: int = NGRAM
    common_limit: int = field(default=12)
    """A run of words shared by more problems than this is boilerplate (includes, a test's frame), not a problem."""

    @cached_property
    def _runs(self) -> dict[tuple[str, ...], tuple[str, str]]:
        problems: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        first: dict[tuple[str, ...], tuple[str, str]] = {}
        for problem, column, words in self.texts:
            for i in range(len(words) - self.ngram + 1):
                run = words[i : i + self.ngram]
                if len({word for word in run if not word.isdigit()}) < MIN_OWN_WORDS:
                    continue
                problems[run].add(problem.partition("/")[2])
                first.setdefault(run, (problem, column))
        return {run: first[run] for run, names in problems.items() if len(names) <= self.common_limit}

    @cached_property
    def _by_start(self) -> dict[tuple[str, ...], list[tuple[str, str, tuple[str, ...]]]]:
        starts: defaultdict[tuple[str, ...], list[tuple[str, str, tuple[str, ...]]]] = defaultdict(list)
        for text in self.texts:
            starts[text[2][:MIN_WORDS]].append(text)
        return starts

    def identity(self) -> str:
        """Return a hash of all texts, for the record of a run."""
        digest = hashlib.sha256(repr((self.texts, self.ngram, self.common_limit)).encode())
        return digest.hexdigest()[:16]

    def hits(self, text: str) -> list[Hit]:
        """Return the benchmark texts found in `text`: all whole ones, else the first shared run of each problem.

        Case, white space and punctuation do not count, so re-indented or re-commented copies are found.
        """
        words = _WORD.findall(text.lower())
        found: dict[tuple[str, str], Hit] = {}
        starts, runs, ngram = self._by_start, self._runs, self.ngram
        for i in range(len(words) - MIN_WORDS + 1):
            for problem, column, wanted in starts.get(tuple(words[i : i + MIN_WORDS]), ()):
                if tuple(words[i : i + len(wanted)]) == wanted:
                    found.setdefault((problem, column), Hit(problem, column, "exact", " ".join(wanted[:ngram])))
            run = tuple(words[i : i + ngram])
            if (owner := runs.get(run)) is not None and owner not in found:
                found[owner] = Hit(*owner, "ngram", " ".join(run))
        return list(found.values())


def load_benchmark(dataset: str | None, ngram: int = NGRAM) -> Benchmark:
    """Return the texts of HumanEvalPack in all its languages.

    Args:
        dataset: a local folder of `<language>.jsonl`, a hub name, `starter`, or None for the hub's HumanEvalPack.
        ngram: words of a run that counts as a copy.

    Raises:
        DataError: `ngram` is too small to mean anything.
        octopack_tasks.errors.UserError: the data set cannot be loaded.
    """
    from octopack_tasks.problems import load_problems

    if ngram < MIN_WORDS:
        raise DataError(f"--ngram {ngram}: runs of fewer than {MIN_WORDS} words are everyday code; choose more")
    texts = []
    for language in LANGUAGES:
        for problem in load_problems(language, dataset):
            for column in _FIELDS:
                words = tuple(_WORD.findall(getattr(problem, column).lower()))
                if len(words) >= MIN_WORDS:
                    texts.append((problem.task_id, column, words))
    return Benchmark(tuple(texts), ngram)


CONTAMINATED = "benchmark text"


def tally(hits: list[Hit]) -> Counter[str]:
    """Return how often each benchmark text was hit."""
    return Counter(f"{hit.problem} {hit.column} {hit.kind}" for hit in hits)


@dataclass(frozen=True)
class Decontamination(Step):
    """Drops rows with benchmark text; each is kept aside with what was found in it.

    Attributes:
        benchmark: what is searched for.
        text_columns: where, as far as a row has them.
    """

    name: ClassVar[str] = "decontaminate"
    keep_dropped: ClassVar[bool] = True

    benchmark: Benchmark
    text_columns: tuple[str, ...] = ("old_contents", "new_contents", *PAIR_COLUMNS)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The one reason."""
        return (CONTAMINATED,)

    def config(self) -> Mapping[str, object]:
        """Everything that changes the output."""
        return {"benchmark": self.benchmark.identity(), "columns": list(self.text_columns)}

    def start(self) -> BatchFunction:
        """Return the function."""
        return self._function

    def _hits(self, row: dict[str, Any]) -> list[Hit]:
        texts = [row[column] for column in self.text_columns if isinstance(row.get(column), str)]
        return self.benchmark.hits("\n".join(texts))

    def _function(self, batch: Batch) -> Outcome:
        outcome = Outcome()
        counts: Counter[str] = Counter()
        for position, (line, row) in enumerate(zip(batch.lines, batch.rows, strict=True)):
            hits = self._hits(row)
            if not hits:
                outcome.kept.append(line)
                continue
            counts.update(tally(hits))
            row["benchmark_hits"] = [
                {"problem": hit.problem, "column": hit.column, "kind": hit.kind, "words": hit.words} for hit in hits
            ]
            outcome.dropped.append((position, CONTAMINATED))
        outcome.tallies["benchmark hits"] = counts
        return outcome

    def explain(self, row: dict[str, Any]) -> list[Judgement]:
        """Say which benchmark texts are in a row."""
        hits = self._hits(row)
        shown = "; ".join(f"{hit.problem} {hit.column} ({hit.kind}): {hit.words}" for hit in hits[:5])
        return [Judgement(CONTAMINATED, not hits, shown or "none found")]
