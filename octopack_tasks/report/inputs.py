"""What a report is made of: runs of `octopack evaluate`, lm-eval's results, the reference's result files, as one thing.

runs = load_runs([Path("runs/octocoder"), Path("evaluation_results.json")])
for run in runs:
    for result in run.results:
        print(run.label, result.task, result.reading, result.pass_at(1), result.lacks)
"""

from __future__ import annotations

import dataclasses
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


MIXED_NOTE = "Answers another dataset than other runs of this report"
"""Begins the note on runs that --allow-mixed let through."""


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


def load_runs(
    paths: Iterable[Path | str], *, dataset: str | None = None, allow_mixed: bool = False
) -> tuple[ReportRun, ...]:
    """Read the runs of a report.

    Args:
        paths: Run folders, results of lm-eval (a file, or a folder of them), result files of the reference (or a
            folder of them). `LABEL=PATH` names a run.
        dataset: Where the dataset of run folders is now, if it is no longer where they say.
        allow_mixed: Accept runs of different datasets; they are labelled then.

    Raises:
        UserError: A path holds no results, nothing in it has been judged, or the runs answer different datasets.
    """
    runs: list[ReportRun] = []
    for path in map(str, paths):
        label, source = _label_and_path(path)
        found = _load(source, dataset)
        runs += [dataclasses.replace(run, label=label) if label and len(found) == 1 else run for run in found]
    if not runs:
        raise UserError("name at least one run")
    return _with_unique_labels(_checked_datasets(runs, allow_mixed=allow_mixed))


def _label_and_path(text: str) -> tuple[str, Path]:
    label, equals, rest = text.partition("=")
    if equals and label and rest and "/" not in label and not Path(text).exists():
        return label, Path(rest).expanduser()
    return "", Path(text).expanduser()


def _load(path: Path, dataset: str | None) -> list[ReportRun]:
    from octopack_tasks.report.sources import bigcode, lm_eval, octopack

    if not path.exists():
        raise UserError(f"there is no file or folder {path}")
    for load in (octopack.load, lm_eval.load, bigcode.load):
        found = load(path, dataset)
        if found:
            return found
    shards = sorted(path.glob("*/manifest.json")) if path.is_dir() else []
    if shards:
        folders = " ".join(str(shard.parent) for shard in shards[:3]) + " ..." * (len(shards) > 3)
        raise UserError(
            f"{path} holds {len(shards)} runs; name them one by one ({folders}), or put shards of one run together "
            "with `octopack merge`"
        )
    raise UserError(
        f"{path} holds no results: it is neither a run folder, nor results of lm-eval (results_*.json), nor a result "
        "file of the reference (evaluation_*.json)"
    )


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


def _checked_datasets(runs: Sequence[ReportRun], *, allow_mixed: bool) -> list[ReportRun]:
    """Refuse or label runs of different datasets."""
    hashes: dict[tuple[str, str], dict[str, str]] = {}
    for run in runs:
        for result in run.results:
            if result.dataset_sha256:
                hashes.setdefault(result.problem_set, {}).setdefault(result.dataset_sha256, str(run.path))
    mixed = {problem_set: owners for problem_set, owners in hashes.items() if len(owners) > 1}
    if mixed and not allow_mixed:
        (_, language), owners = next(iter(mixed.items()))
        named = " and ".join(f"{sha256[:12]} ({path})" for sha256, path in list(owners.items())[:2])
        raise UserError(
            f"the runs answer different datasets: {language} has the hashes {named}. Their scores do not compare; to "
            "report them side by side all the same, labelled, add --allow-mixed"
        )
    return [_labelled_dataset(run, mixed) for run in runs]


def _labelled_dataset(run: ReportRun, mixed: Mapping[tuple[str, str], Mapping[str, str]]) -> ReportRun:
    own = {
        result.language: result.dataset_sha256
        for result in run.results
        if result.problem_set in mixed and result.dataset_sha256
    }
    if not own:
        return run
    named = ", ".join(f"{language} {sha256[:12]}" for language, sha256 in own.items())
    note = f"{MIXED_NOTE} (hashes: {named})."
    return dataclasses.replace(run, notes=(*run.notes, note))


def _with_unique_labels(runs: Sequence[ReportRun]) -> tuple[ReportRun, ...]:
    """Labels that tell the runs apart: the model's name, with the folder's where several have it, or a number."""
    counts = {run.label: sum(other.label == run.label for other in runs) for run in runs}
    named = [
        run if counts[run.label] == 1 else dataclasses.replace(run, label=f"{run.label} ({run.path.name})")
        for run in runs
    ]
    seen: dict[str, int] = {}
    unique = []
    for run in named:
        seen[run.label] = number = seen.get(run.label, 0) + 1
        unique.append(run if number == 1 else dataclasses.replace(run, label=f"{run.label} #{number}"))
    return tuple(unique)
