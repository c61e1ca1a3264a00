"""A plan: which samples of which problems a run consists of, and what identifies it."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from octopack_tasks.descriptions import Descriptions, Missing, join_descriptions, read_descriptions
from octopack_tasks.errors import UserError
from octopack_tasks.generation.protocol import Request, Sampling, Stop
from octopack_tasks.problems import Problem, ProblemSet, dataset_name, whole_path
from octopack_tasks.prompts import DEFAULT_FORMAT, ENCODER_FORMAT
from octopack_tasks.tasks import Task, get_task


class TooLong(str, enum.Enum):
    """What to do with prompts that leave a model no room for an answer."""

    FAIL = "fail"
    """Stop before anything is generated."""
    SKIP = "skip"
    """Do not ask them; they count as not passed, and the summary says how many there are."""


@dataclass(frozen=True)
class TaskPlan:
    """What is asked in one task. The lengths are the paper's.

    Attributes:
        name: The task.
        prompt: Prompt format.
        n_samples: Completions drawn for each problem.
        max_length: Most tokens of prompt and completion together.
        max_new_tokens: Most tokens of a completion; None: as `max_length` allows.
    """

    name: str
    prompt: str = DEFAULT_FORMAT
    n_samples: int = 1
    max_length: int = 2048
    max_new_tokens: int | None = None

    def __post_init__(self) -> None:
        get_task(self.name).check_format(self.prompt)
        for name, value in (("--n-samples", self.n_samples), ("--max-length", self.max_length)):
            if value < 1:
                raise UserError(f"{name} must be 1 or more, not {value}")
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise UserError(f"--max-new-tokens must be 1 or more, not {self.max_new_tokens}")


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of a run, such as a job of a Slurm array.

    Attributes:
        index: Which part, counted from 0.
        count: How many parts there are.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `i/n`.

        Raises:
            UserError: It is not of that form, or there is no such part.
        """
        index, _, count = text.partition("/")
        if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
            raise UserError(
                f"--tasks-shard must be i/n with 0 <= i < n, such as 0/4 for the first of four; not {text!r}"
            )
        return cls(int(index), int(count))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass(frozen=True)
class Plan:
    """A whole run.

    Attributes:
        tasks: What is asked in which tasks.
        dataset: Where the problems come from.
        sampling: How completions are drawn.
        stop: When a completion may end early.
        limit: Only the first problems of each task.
        shard: Only a part of them.
        descriptions: Where explainsynthesize takes its descriptions from; None: from this run's explaindescribe.
    """

    tasks: tuple[TaskPlan, ...]
    dataset: str = field(default_factory=dataset_name)
    sampling: Sampling = field(default_factory=Sampling)
    stop: Stop = Stop.PAPER
    limit: int | None = None
    shard: Shard | None = None
    descriptions: str | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UserError(f"--limit must be 1 or more, not {self.limit}")

    def load(self) -> list[Work]:
        """Load the problems of every task; explaindescribe first, as explainsynthesize may read what it writes.

        Raises:
            UserError: A dataset or descriptions are not there, malformed, or do not fit.
        """
        names = {plan.name for plan in self.tasks}
        ordered = sorted(self.tasks, key=lambda plan: get_task(plan.name).is_executed)
        works = [self._work(plan, names) for plan in ordered]
        return [work for work in works if work.problems.problems]  # a shard may be left without any

    def _work(self, plan: TaskPlan, names: set[str]) -> Work:
        task = get_task(plan.name)
        whole = task.load(self.dataset)
        chosen = self.choose(whole)
        if not task.needs_descriptions:
            return Work(task, plan, whole, chosen)
        plan = dataclasses.replace(plan, n_samples=1)  # each description is judged by one synthesis
        describer = f"humanevalexplaindescribe-{task.language.name}"
        if self.descriptions is None and describer in names:
            return Work(task, plan, whole, chosen, describer)
        if self.descriptions is None:
            raise UserError(
                f"{task.name} needs descriptions: run {describer} with it (--tasks humanevalexplain-"
                f"{task.language.name}), or name those there are with --descriptions"
            )
        descriptions = self._descriptions(task, whole)
        wanted = {problem.task_id for problem in chosen}
        descriptions = {task_id: texts for task_id, texts in descriptions.items() if task_id in wanted}
        return Work(task, plan, whole, join_descriptions(chosen, descriptions))

    def _descriptions(self, task: Task, problems: ProblemSet) -> Descriptions:
        from octopack_tasks.recordings import descriptions_of_run
        from octopack_tasks.runs import Run

        assert self.descriptions is not None
        run = Run(Path(self.descriptions).expanduser())
        if run.exists:
            return descriptions_of_run(run, task.language.name, problems)
        descriptions = read_descriptions(self.descriptions, problems)
        join_descriptions(problems, descriptions, Missing.KEEP)  # refuses descriptions of another dataset
        return descriptions

    def choose(self, problems: ProblemSet) -> ProblemSet:
        """Those of a task's problems that the limit and the shard leave."""
        chosen = problems[: self.limit]
        if self.shard is not None:
            chosen = chosen[self.shard.index :: self.shard.count]
        return ProblemSet(problems.language, problems.dataset, tuple(chosen))


@dataclass(frozen=True)
class Work:
    """A task of a run and its problems.

    Attributes:
        task: The task.
        plan: What is asked.
        whole: All problems of the dataset.
        problems: Those of this run; for explainsynthesize one for each description.
        describer: The task of the same run whose descriptions the problems still lack; None for all other tasks.
    """

    task: Task
    plan: TaskPlan
    whole: ProblemSet
    problems: ProblemSet
    describer: str | None = None

    def expected_samples(self, works: Iterable[Work]) -> int:
        """How many samples the task has when the run, which has these tasks, is complete."""
        per_problem = next((other.plan.n_samples for other in works if other.task.name == self.describer), 1)
        return len(self.problems) * self.plan.n_samples * per_problem

    def described(self, descriptions: Descriptions) -> Work:
        """The same with the descriptions that its run has written by now."""
        joined = join_descriptions(self.problems, descriptions)
        return dataclasses.replace(self, problems=joined, describer=None)

    def request(self, problem: Problem, samples: Iterable[int], stop: Stop) -> Request:
        """The request for samples of a problem."""
        encoder_text = None
        if self.plan.prompt == ENCODER_FORMAT and self.task.scenario.name not in ("fixtests", "fixdocs"):
            encoder_text = self.task.encoder_prompt(problem, ENCODER_FORMAT)
        return Request(
            task=self.task.name,
            problem=problem,
            prompt=self.task.prompt(problem, self.plan.prompt),
            samples=tuple(samples),
            max_length=self.plan.max_length,
            max_new_tokens=self.plan.max_new_tokens,
            stop=stop,
            encoder_text=encoder_text,
        )

    def identity(self) -> dict[str, Any]:
        """What must not change from one start of a run to the next."""
        prompts = None
        if self.describer is None:
            digest = hashlib.sha256()
            for problem in self.problems:
                prompt = self.task.prompt(problem, self.plan.prompt)
                digest.update(f"{prompt.text}\0{prompt.prefill}\0".encode())
            prompts = digest.hexdigest()
        return {
            **{name: value for name, value in dataclasses.asdict(self.plan).items() if name != "name"},
            "problems": len(self.problems),
            "dataset_rows": len(self.whole),
            "dataset_sha256": self.whole.sha256,
            "prompts_sha256": prompts,
        }


def settings(plan: Plan, works: Iterable[Work]) -> dict[str, Any]:
    """A plan as JSON values: equal settings give equal requests."""
    return {
        "dataset": plan.dataset,
        "sampling": dataclasses.asdict(plan.sampling),
        "stop": plan.stop.value,
        "limit": plan.limit,
        "shard": str(plan.shard) if plan.shard else None,
        "descriptions": _fingerprint(plan.descriptions),
        "tasks": {work.task.name: work.identity() for work in works},
    }


def _fingerprint(path: str | None) -> str | None:
    # The prompts' hash covers the content; this is for people.
    return None if path is None else whole_path(path)


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Where two settings differ, one line each: `sampling.temperature is 0.2, not 0.8`."""
    for name in dict.fromkeys((*theirs, *ours)):
        here, there = ours.get(name), theirs.get(name)
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            yield from differences(here, there, f"{path}{name}.")
        elif here != there:
            yield f"{path}{name} is {_brief(there)}, not {_brief(here)}"


def _brief(value: Any) -> str:
    if value is None:
        return "absent"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:12]}...{text[-45:]}"  # folders differ at their ends


def plan_from_manifest(manifest: Mapping[str, Any]) -> Plan:
    """The plan of a run that exists.

    Raises:
        UserError: The manifest lacks something.
    """
    try:
        recorded = manifest["settings"]
        tasks = tuple(
            TaskPlan(name, values["prompt"], values["n_samples"], values["max_length"], values["max_new_tokens"])
            for name, values in recorded["tasks"].items()
        )
        return Plan(
            tasks,
            recorded["dataset"],
            Sampling(**recorded["sampling"]),
            Stop(recorded["stop"]),
            recorded["limit"],
            Shard.parse(recorded["shard"]) if recorded["shard"] else None,
            recorded["descriptions"],
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"the manifest is damaged: {error!r}") from None
