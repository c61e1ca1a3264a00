"""The scores of a run, from its verdicts."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octopack_tasks.errors import UserError
from octopack_tasks.metrics import PassAtK, Tally, mean_pass_at_k, score
from octopack_tasks.readings import PAPER, get_reading
from octopack_tasks.runs import Judgement, ProblemKey, Run

if TYPE_CHECKING:
    from octopack_tasks.plans import Work
    from octopack_tasks.problems import ProblemSet
    from octopack_tasks.tasks import Task

NO_ANSWER = "no_answer"
"""Stands among the outcomes for completions that held no solution, so that they are not taken for wrong code."""


@dataclass(frozen=True)
class BugType:
    """The score among problems with one kind of bug.

    Attributes:
        problems: How many there are.
        pass_at_1: Mean over them.
    """

    problems: int
    pass_at_1: float


@dataclass(frozen=True)
class TaskResult:
    """What came of a task.

    Attributes:
        task: Name of the task.
        reading: How its completions were read.
        prompt: The prompt format.
        problems: How many problems were asked.
        dataset_problems: How many the dataset has.
        samples: How many samples there are.
        missing: How many samples still lack a completion or a verdict; the score then covers the other problems.
        scores: pass@k with its uncertainty; empty where nothing is judged.
        outcomes: How many samples ended how: a status of the sandbox, or `no_answer`.
        too_long: How many samples were not asked for because the prompt was too long.
        bug_types: Of the fix tasks: the score by kind of bug.
        suspicious: How many passes deserve a look.
        tokens: How many tokens the model wrote, where that is known.
        changed_tests: The problems whose tests are not quite the dataset's under the reading (`Reading.changed_tests`).
    """

    task: str
    reading: str
    prompt: str
    problems: int
    dataset_problems: int
    samples: int
    missing: int
    scores: tuple[PassAtK, ...]
    outcomes: Mapping[str, int]
    too_long: int
    bug_types: Mapping[str, BugType]
    suspicious: int
    tokens: int | None
    changed_tests: tuple[str, ...]

    def pass_at(self, k: int) -> float:
        """pass@k.

        Raises:
            UserError: It was not computed for this k.
        """
        for value in self.scores:
            if value.k == k:
                return value.value
        raise UserError(f"{self.task} has no pass@{k}; there are: {[value.k for value in self.scores]}")

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values (no NaN: standard error and interval of one problem are null)."""
        values = dataclasses.asdict(self)
        values["scores"] = {
            f"pass@{value.k}": {
                name: None if name in ("stderr", "low", "high") and not value.has_interval else number
                for name, number in dataclasses.asdict(value).items()
                if name != "k"
            }
            for value in self.scores
        }
        return values


@dataclass(frozen=True)
class Results(Mapping[str, TaskResult]):
    """The results of a run by name of task.

    Attributes:
        tasks: One for each task.
        manifest: What the run was.
        reading: How its completions were read.
    """

    tasks: tuple[TaskResult, ...]
    manifest: Mapping[str, Any]
    reading: str

    def __getitem__(self, name: str) -> TaskResult:
        for result in self.tasks:
            if result.task == name:
                return result
        raise KeyError(name)

    def __iter__(self) -> Any:
        return iter([result.task for result in self.tasks])

    def __len__(self) -> int:
        return len(self.tasks)

    def to_json(self) -> dict[str, Any]:
        """The results as JSON values, with everything that is needed to repeat them."""
        return {"results": {result.task: result.to_json() for result in self.tasks}, "manifest": dict(self.manifest)}


def summarize(run: Run, works: Sequence[Work], reading: str, ks: Sequence[int] | None = None) -> Results:
    """The scores of a run as far as it is judged.

    Raises:
        UserError: A k is larger than the samples allow.
    """
    is_imported = run.manifest["settings"]["model"]["backend"] == "recorded"
    results = []
    for work in works:
        samples = {(sample.key, sample.sample): sample for sample in run.samples(work.task.name)}
        judgements = judgements_by_problem(run, work.task.name, reading)
        judged = sum(map(len, judgements.values()))
        expected = len(samples) if is_imported else work.expected_samples(works)
        tokens = [sample.tokens for sample in samples.values()]
        results.append(
            TaskResult(
                task=work.task.name,
                reading=reading,
                prompt=work.plan.prompt,
                problems=len({problem.task_id for problem in work.problems}),
                dataset_problems=len(work.whole),
                samples=len(samples),
                missing=expected - (judged if work.task.is_executed else len(samples)),
                scores=_scores(judgements, ks),
                outcomes=outcomes_of(judgements),
                too_long=sum(sample.finish.value == "prompt_too_long" for sample in samples.values()),
                bug_types=bug_types_of(work.task, work.whole, judgements),
                suspicious=sum(bool(each.verdict.suspicious) for group in judgements.values() for each in group),
                tokens=None if None in tokens else sum(number for number in tokens if number is not None),
                changed_tests=get_reading(reading).changed_tests(work.task, work.problems),
            )
        )
    return Results(tuple(results), run.manifest, reading)


def _scores(judgements: Mapping[ProblemKey, Sequence[Judgement]], ks: Sequence[int] | None) -> tuple[PassAtK, ...]:
    if not judgements:
        return ()
    return tuple(score(tallies_of(judgements), ks, problems=[task_id for task_id, _ in judgements]))


def check_ks(samples: Iterable[tuple[Task, int]], ks: Iterable[int] | None) -> None:
    """See that every task will have the samples for pass@k, before anything is generated or judged.

    Args:
        samples: The tasks, and the fewest samples that a problem of each will have.
        ks: The k's that are wanted.

    Raises:
        UserError: A k is larger than a task's samples of a problem allow.
    """
    if not ks:
        return
    for task, fewest in samples:
        for k in ks:
            if task.is_executed and not 1 <= k <= fewest:
                mend = (
                    "there every description is judged by one synthesis"
                    if task.needs_descriptions
                    else "draw more samples (--n-samples)"
                )
                raise UserError(
                    f"pass@{k} needs 1 <= k <= {fewest}, the samples of every problem in {task.name}: {mend}"
                )


def file_of(reading: str) -> str:
    """The file of a run that holds its scores under a reading."""
    return "results.json" if reading == PAPER.name else f"results-{reading}.json"


def judgements_by_problem(run: Run, task: str, reading: str) -> dict[ProblemKey, list[Judgement]]:
    """The judgements of a task by problem, each sample once."""
    found: dict[ProblemKey, dict[int, Judgement]] = defaultdict(dict)
    for judgement in run.judgements(task, reading):
        found[judgement.key].setdefault(judgement.sample, judgement)
    return {key: [group[number] for number in sorted(group)] for key, group in sorted(found.items())}


def tallies_of(judgements: Mapping[ProblemKey, Iterable[Judgement]]) -> list[Tally]:
    """What came of each problem."""
    return [Tally.of(judgement.verdict.passed for judgement in group) for group in judgements.values()]


def outcomes_of(judgements: Mapping[ProblemKey, Iterable[Judgement]]) -> dict[str, int]:
    """How many samples ended how, the most frequent first."""
    return dict(Counter(outcome_of(each) for group in judgements.values() for each in group).most_common())


def outcome_of(judgement: Judgement) -> str:
    """How a sample ended: a status of the sandbox, or `no_answer`."""
    if not judgement.has_answer and not judgement.verdict.passed:
        return NO_ANSWER
    return judgement.verdict.status.value


def bug_types_of(
    task: Task, problems: ProblemSet, judgements: Mapping[ProblemKey, Iterable[Judgement]]
) -> dict[str, BugType]:
    """The score by kind of bug, of the fix tasks; empty for others."""
    if not task.name.startswith("humanevalfix"):
        return {}
    groups: dict[str, list[Tally]] = defaultdict(list)
    for (task_id, _), group in judgements.items():
        bug_type = problems.get(task_id).bug_type
        if bug_type:
            groups[bug_type].append(Tally.of(judgement.verdict.passed for judgement in group))
    return {
        name: BugType(len(tallies), mean_pass_at_k(tallies, (1,))["pass@1"]) for name, tallies in sorted(groups.items())
    }
