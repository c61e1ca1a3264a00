"""Why two scores differ: what was different about the runs, which problems flipped, and whether chance explains it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.metrics import Tally
from octopack_tasks.plans import differences
from octopack_tasks.readings import get_reading
from octopack_tasks.results import judgements_by_problem
from octopack_tasks.runs import Judgement, Run

_EXACT_UP_TO = 14
"""So many problems that differ are tested with all sign patterns, more with random ones."""
_PATTERNS = 20_000


@dataclass(frozen=True)
class Flip:
    """A problem that the two runs solve differently.

    Attributes:
        problem: Its name; all of its descriptions count together.
        first: How many of its samples passed in the first run, and how many there are.
        second: The same in the second.
        causes: What its samples ended with in each run, where that differs.
    """

    problem: str
    first: Tally
    second: Tally
    causes: tuple[str, str]

    @property
    def difference(self) -> float:
        """Share of samples that passed in the second run less that in the first."""
        return self.second.correct / self.second.samples - self.first.correct / self.first.samples


@dataclass(frozen=True)
class TaskComparison:
    """Two runs of one task.

    Attributes:
        task: The task.
        problems: How many problems both have judged.
        first: pass@1 of the first run on them.
        second: pass@1 of the second.
        flips: The problems that differ, the largest differences first.
        p_value: Chance of a difference as large if the runs were equally good: a sign-flip test over problems.
    """

    task: str
    problems: int
    first: float
    second: float
    flips: tuple[Flip, ...]
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """Two runs.

    Attributes:
        settings: What was set differently, or judged in another environment, one line each.
        tasks: The tasks that both have judged.
        only_first: Tasks that only the first has.
        only_second: Tasks that only the second has.
    """

    settings: tuple[str, ...]
    tasks: tuple[TaskComparison, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]


def compare(first: Run, second: Run, reading: str = "paper") -> Comparison:
    """Compare two runs.

    Raises:
        UserError: One is no run, no task is judged in both, or there is no such reading.
    """
    get_reading(reading)
    names = [
        [name for name in run.manifest["settings"]["tasks"] if run.judgements(name, reading)] for run in (first, second)
    ]
    common = [name for name in names[0] if name in names[1]]
    if not common:
        raise UserError(
            f"{first.folder} and {second.folder} have no task in common that is judged under {reading!r}; "
            f"score them first (first: {', '.join(names[0]) or 'none'}; second: {', '.join(names[1]) or 'none'})"
        )
    return Comparison(
        settings=tuple(differences(_context(second, reading), _context(first, reading))),
        tasks=tuple(
            _compare_task(name, _by_task_id(first, name, reading), _by_task_id(second, name, reading))
            for name in common
        ),
        only_first=tuple(name for name in names[0] if name not in common),
        only_second=tuple(name for name in names[1] if name not in common),
    )


def _by_task_id(run: Run, task: str, reading: str) -> Mapping[str, Sequence[Judgement]]:
    """The judgements of a task. Descriptions of one problem are no pairs of the other run's, and not independent."""
    found: dict[str, list[Judgement]] = defaultdict(list)
    for (task_id, _), judgements in judgements_by_problem(run, task, reading).items():
        found[task_id] += judgements
    return found


def _context(run: Run, reading: str) -> dict[str, Any]:
    """Everything about a run that could make its scores differ."""
    manifest = run.manifest
    context = {key: manifest.get(key, {}) for key in ("settings", "loaded_model", "versions")}
    context["served_as"] = ", ".join(manifest.get("served_as", ())) or None
    environment = dict(manifest.get("scoring", {}).get(reading, {}))
    environment.pop("workers", None)
    return {**context, "sandbox": environment}


def _compare_task(
    name: str, first: Mapping[str, Sequence[Judgement]], second: Mapping[str, Sequence[Judgement]]
) -> TaskComparison:
    common = [task_id for task_id in first if task_id in second]
    if not common:
        raise UserError(f"the two runs judged no problem of {name} in common")
    pairs = [_flip(task_id, first[task_id], second[task_id]) for task_id in common]
    flips = sorted((pair for pair in pairs if pair.difference), key=lambda pair: (-abs(pair.difference), pair.problem))
    return TaskComparison(
        task=name,
        problems=len(common),
        first=sum(pair.first.correct / pair.first.samples for pair in pairs) / len(pairs),
        second=sum(pair.second.correct / pair.second.samples for pair in pairs) / len(pairs),
        flips=tuple(flips),
        p_value=sign_flip_test([pair.difference for pair in pairs]),
    )


def _flip(task_id: str, first: Sequence[Judgement], second: Sequence[Judgement]) -> Flip:
    causes = [", ".join(sorted({judgement.verdict.status.value for judgement in group})) for group in (first, second)]
    return Flip(
        problem=task_id,
        first=Tally.of(judgement.verdict.passed for judgement in first),
        second=Tally.of(judgement.verdict.passed for judgement in second),
        causes=(causes[0], causes[1]),
    )


def sign_flip_test(paired: Sequence[float], seed: int = 0) -> float:
    """Two-sided p-value of paired differences: how often random signs give a sum as far from zero.

    Exact for few differences; for one sample a problem that is the exact form of McNemar's test.
    """
    values = [value for value in paired if value]
    if not values:
        return 1.0
    observed = abs(sum(values)) - 1e-9  # sums of the same numbers in another order end in other bits
    if len(values) <= _EXACT_UP_TO:
        sums = [
            abs(sum(sign * value for sign, value in zip(signs, values, strict=True)))
            for signs in product((1, -1), repeat=len(values))
        ]
        return sum(total >= observed for total in sums) / len(sums)
    generator = random.Random(seed)
    hits = 0
    for _ in range(_PATTERNS):
        bits = generator.getrandbits(len(values))
        hits += abs(sum(value if bits >> index & 1 else -value for index, value in enumerate(values))) >= observed
    return (hits + 1) / (_PATTERNS + 1)
