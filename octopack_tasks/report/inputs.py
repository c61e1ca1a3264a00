"""What a report is made of: runs of ours, of lm-eval and of the reference, as one thing."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from octopack_tasks.errors import UserError
from octopack_tasks.metrics import PassAtK, Tally, score
from octopack_tasks.problems import Problem, ProblemSet
from octopack_tasks.readings import PAPER
from octopack_tasks.results import BugType
from octopack_tasks.runs import Judgement, ProblemKey, Sample
from octopack_tasks.tasks import get_task

Z_95 = 1.959963984540054
"""A normal distribution has 95 % of its mass within so many standard deviations."""


class Origin(str, enum.Enum):
    """What wrote a result."""

    OCTOPACK = "octopack"
    LM_EVAL = "lm-eval"
    BIGCODE = "bigcode-evaluation-harness"


@dataclass(frozen=True)
class Settings:
    """How the completions of a task were drawn; None: not known.

    Attributes:
        prompt: Prompt format.
        n_samples: Completions a problem.
        temperature: 0 where greedy.
        top_p: Nucleus.
        top_k: 0 for none.
        max_length: Most tokens of prompt and completion together.
    """

    prompt: str | None = None
    n_samples: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_length: int | None = None

    @property
    def is_greedy(self) -> bool | None:
        """Whether every token was the likeliest; None: not known."""
        return None if self.temperature is None else self.temperature == 0

    def __str__(self) -> str:
        parts = [f"prompt {self.prompt}" if self.prompt else "", f"n={self.n_samples}" if self.n_samples else ""]
        if self.is_greedy:
            parts.append("greedy")
        elif self.temperature is not None:
            parts.append(f"temperature {self.temperature:g}")
            parts += [f"top_p {self.top_p:g}"] if self.top_p is not None else []
            parts += [f"top_k {self.top_k}"] if self.top_k else []
        return ", ".join(filter(None, parts)) or "not known"


@dataclass(frozen=True)
class Score:
    """pass@k as far as a source tells it.

    Attributes:
        k: The k.
        value: Between 0 and 1.
        stderr: Standard error over problems; None: not known.
        low: Lower end of the 95 % interval; None: not known.
        high: Upper end of it.
    """

    k: int
    value: float
    stderr: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, value: PassAtK) -> Score:
        """A score that was computed here (its interval is the bootstrap's)."""
        return cls(value.k, value.value, None if value.problems < 2 else value.stderr, value.low, value.high)

    @classmethod
    def of_stderr(cls, k: int, value: float, stderr: float | None) -> Score:
        """A score with at most a standard error beside it: the interval is the normal one, within 0 and 1."""
        if stderr is None:
            return cls(k, value)
        return cls(k, value, stderr, max(0.0, value - Z_95 * stderr), min(1.0, value + Z_95 * stderr))


@dataclass(frozen=True)
class ReportResult:
    """What came of a task under a reading.

    Attributes:
        task: Name of the task.
        reading: How completions were read.
        settings: How they were drawn.
        scores: pass@k, by ascending k.
        problems: How many problems the scores cover; None: not known.
        dataset_problems: How many problems the dataset has; None: not known.
        lacks: What is missing for a whole result, one phrase each; empty: it is whole. A result that lacks anything
            must be labelled, and must not be averaged with others.
        dataset_sha256: Hash of the dataset's rows; None: not known.
        tallies: What came of each problem, by task_id and number of its description; empty: not known.
        outcomes: How many samples ended how; empty: not known.
        bug_types: Of the fix tasks: the score by kind of bug; empty: not known.
        tokens: How many tokens the model wrote, where that is known.
        suspicious: How many passes deserve a look.
    """

    task: str
    reading: str
    settings: Settings
    scores: tuple[Score, ...]
    problems: int | None = None
    dataset_problems: int | None = None
    lacks: tuple[str, ...] = ()
    dataset_sha256: str | None = None
    tallies: Mapping[ProblemKey, Tally] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    bug_types: Mapping[str, BugType] = field(default_factory=dict)
    tokens: int | None = None
    suspicious: int = 0

    @property
    def scenario(self) -> str:
        """Name of the scenario, such as `fixtests`."""
        return get_task(self.task).scenario.name

    @property
    def language(self) -> str:
        """Name of the language."""
        return get_task(self.task).language.name

    @property
    def problem_set(self) -> tuple[str, str]:
        """What tasks share that have the same problems: the benchmark and the language."""
        benchmark = "humanevalpack" if self.task.startswith("humaneval") else self.task.rpartition("-")[0]
        return benchmark, self.language

    @property
    def is_whole(self) -> bool:
        """Whether it covers all of the task."""
        return not self.lacks

    def pass_at(self, k: int) -> Score | None:
        """pass@k; None where it is not known."""
        return next((value for value in self.scores if value.k == k), None)

    def curve(self, ks: Iterable[int] | None = None) -> list[Score]:
        """pass@k for every k that the samples allow (or those of `ks`); just `scores` where no problem is known."""
        if not self.tallies:
            return list(self.scores)
        tallies = list(self.tallies.values())
        fewest = min(tally.samples for tally in tallies)
        wanted = range(1, fewest + 1) if ks is None else [k for k in ks if k <= fewest]
        return [Score.of(value) for value in score(tallies, wanted)]


class Details(Protocol):
    """The single samples of a run, read when they are asked for."""

    def problems(self, task: str) -> ProblemSet:
        """The problems that were asked, one for each description in explainsynthesize."""

    def prompt(self, task: str, problem: Problem) -> str:
        """What the model was given."""

    def samples(self, task: str) -> Iterable[Sample]:
        """What it wrote."""

    def judgements(self, task: str, reading: str) -> Mapping[ProblemKey, Sequence[Judgement]]:
        """What came of it."""


@dataclass(frozen=True)
class ReportRun:
    """A run as a report sees it.

    Attributes:
        label: Its name in the report, unique among the runs.
        model: The model.
        parameters: How many parameters the model has; None: not known.
        origin: What wrote it.
        path: Where it was read from.
        results: One for each task and reading.
        details: Its single samples; None where the source has only scores.
        notes: What else a reader must know, one sentence each.
    """

    label: str
    model: str
    parameters: float | None
    origin: Origin
    path: Path
    results: tuple[ReportResult, ...]
    details: Details | None = None
    notes: tuple[str, ...] = ()

    @property
    def lacks(self) -> tuple[str, ...]:
        """What is missing, task by task; empty: all results are whole."""
        return tuple(
            dict.fromkeys(f"{result.task}: {', '.join(result.lacks)}" for result in self.results if result.lacks)
        )

    @property
    def is_whole(self) -> bool:
        """Whether all of its results are whole."""
        return not self.lacks

    @property
    def readings(self) -> tuple[str, ...]:
        """The readings of its results, `paper` first."""
        found = dict.fromkeys(result.reading for result in self.results)
        return tuple(sorted(found, key=lambda name: name != PAPER.name))

    def result(self, task: str, reading: str = PAPER.name) -> ReportResult | None:
        """The result of a task under a reading; None where there is none."""
        return next((each for each in self.results if (each.task, each.reading) == (task, reading)), None)


def result_files(path: Path, pattern: str, *objects: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """A JSON file, or those of a folder, with their contents, if they hold the objects that a harness writes.

    Args:
        path: The file or folder.
        pattern: How the files are called in a folder, however deep.
        objects: Keys whose values must be objects.

    Raises:
        UserError: A file cannot be read, or is no JSON.
    """
    files = sorted(path.rglob(pattern)) if path.is_dir() else [path] if path.suffix == ".json" else []
    for file in files:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"could not read {file}: {error}") from None
        if isinstance(content, dict) and all(isinstance(content.get(key), dict) for key in objects):
            yield file, content


def check_known_tasks(names: Iterable[str], where: Path) -> list[str]:
    """Those names that are ours.

    Raises:
        UserError: None is.
    """
    all_names = list(names)
    known = [name for name in all_names if _is_task(name)]
    if not known:
        raise UserError(
            f"{where} has no result of our tasks (it has: {', '.join(all_names[:5]) or 'none'}); "
            "`octopack tasks list` shows them"
        )
    return known


def _is_task(name: str) -> bool:
    try:
        get_task(name)
    except UserError:
        return False
    return True


def parameters_in(name: str) -> float | None:
    """The number of parameters that a model's name tells, such as `-15B` or `-135M`."""
    found = re.findall(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)\s?([bBmM])(?![A-Za-z0-9])", name.replace("_", "-"))
    if not found:
        return None
    number, unit = found[-1]
    return float(number) * (1e9 if unit in "bB" else 1e6)


def short_name(model: str) -> str:
    """The last part of a model's name or path."""
    return model.rstrip("/").rsplit("/", 1)[-1] or model
