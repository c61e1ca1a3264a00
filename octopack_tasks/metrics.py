"""pass@k, its standard error, and how far it could be off by the choice of problems."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from octopack_tasks.errors import UserError

PAPER_KS = (1, 10, 100)
"""The k's that the reference reports, as far as there are enough samples."""


@dataclass(frozen=True)
class Tally:
    """What came of the samples of one problem.

    Attributes:
        samples: How many solutions were judged.
        correct: How many of them passed.
    """

    samples: int
    correct: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.samples:
            raise ValueError(f"{self.correct} correct of {self.samples} samples is impossible")

    @classmethod
    def of(cls, passed: Iterable[bool]) -> Tally:
        """Count whether each sample passed."""
        values = [bool(value) for value in passed]
        return cls(len(values), sum(values))


@dataclass(frozen=True)
class PassAtK:
    """pass@k over a set of problems.

    Attributes:
        k: The k.
        value: Mean over the problems, between 0 and 1.
        stderr: Standard error of that mean; nan for a single problem.
        low: Lower end of the confidence interval.
        high: Upper end of the confidence interval.
        confidence: The interval's confidence level.
        problems: How many problems.
    """

    k: int
    value: float
    stderr: float
    low: float
    high: float
    confidence: float
    problems: int

    @property
    def has_interval(self) -> bool:
        """Whether the interval says anything: a single problem tells nothing of others."""
        return self.problems > 1


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Chance that at least one of k samples passes, drawn from `samples` of which `correct` pass.

    The unbiased estimator of Chen et al. 2021, 1 - C(n-c, k) / C(n, k); 1 when fewer than k samples fail, which
    includes the case of fewer than k samples, as in the reference.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    if samples - correct < k:
        return 1.0
    miss = 1.0
    for n in range(samples - correct + 1, samples + 1):
        miss *= 1.0 - k / n
    return 1.0 - miss


def reportable_ks(tallies: Sequence[Tally], ks: Iterable[int] = PAPER_KS) -> tuple[int, ...]:
    """Those of `ks` for which every problem has enough samples."""
    fewest = min((tally.samples for tally in tallies), default=0)
    return tuple(k for k in ks if k <= fewest)


def mean_pass_at_k(tallies: Sequence[Tally], ks: Iterable[int] = PAPER_KS) -> dict[str, float]:
    """The reference's score: `pass@k` as the mean over the problems, for each k that all of them allow."""
    return {
        f"pass@{k}": math.fsum(pass_at_k(tally.samples, tally.correct, k) for tally in tallies) / len(tallies)
        for k in reportable_ks(tallies, ks)
    }


def score(
    tallies: Sequence[Tally],
    ks: Iterable[int] | None = None,
    *,
    problems: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[PassAtK]:
    """pass@k with its uncertainty.

    The interval is a percentile bootstrap over problems: it says how much the value depends on which problems the
    benchmark happens to have.

    Args:
        tallies: One for each problem.
        ks: The k's that are wanted; None takes those of 1, 10 and 100 that the samples allow.
        problems: Which problem each tally is about, where one has several, as with its descriptions in
            explainsynthesize: those are no independent problems. None: each is a problem of its own.
        confidence: Level of the interval.
        resamples: Bootstrap resamples.
        seed: Seed of the bootstrap.

    Raises:
        UserError: There are no problems, or too few samples of one for a k that was asked for.
    """
    if not tallies:
        raise UserError("there is nothing to score: no problem has a verdict")
    if not 0 < confidence < 1:
        raise UserError(f"confidence must be between 0 and 1, not {confidence}")
    wanted = reportable_ks(tallies) if ks is None else tuple(ks)
    fewest = min(tally.samples for tally in tallies)
    for k in wanted:
        if not 1 <= k <= fewest:
            raise UserError(f"pass@{k} needs 1 <= k <= {fewest}, the samples of every problem; draw more samples")
    places: dict[Hashable, int] = {}
    owners = [places.setdefault(problem, len(places)) for problem in problems or range(len(tallies))]
    return [_interval(tallies, owners, k, confidence, resamples, seed) for k in wanted]


def _interval(
    tallies: Sequence[Tally], owners: Sequence[int], k: int, confidence: float, resamples: int, seed: int
) -> PassAtK:
    """pass@k of tallies that belong to problems 0, 1, 2, ...; these are what is drawn, each with all of its tallies."""
    import numpy as np

    values = np.array([pass_at_k(tally.samples, tally.correct, k) for tally in tallies])
    mean = float(values.mean())
    sums, sizes = np.bincount(owners, values), np.bincount(owners)
    count = len(sizes)
    if count == 1:
        return PassAtK(k, mean, math.nan, mean, mean, confidence, count)
    drawn = np.random.default_rng(seed).integers(0, count, size=(resamples, count))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    # Of the mean as a ratio of two sums over problems; with one tally a problem, the usual standard error.
    stderr = math.sqrt(((sums - mean * sizes) ** 2).sum() * count / (count - 1)) / len(values)
    return PassAtK(k, mean, stderr, float(low), float(high), confidence, count)
