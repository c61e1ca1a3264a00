"""Runs of `octopack evaluate`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.evaluation import load as load_works
from octopack_tasks.evaluation import samples_by_problem, with_descriptions
from octopack_tasks.plans import Work
from octopack_tasks.problems import Problem, ProblemSet
from octopack_tasks.readings import READINGS
from octopack_tasks.report.inputs import Origin, ReportResult, ReportRun, Score, Settings, parameters_in, short_name
from octopack_tasks.results import TaskResult, judgements_by_problem, summarize, tallies_of
from octopack_tasks.runs import Judgement, ProblemKey, Run, Sample


def load(path: Path, dataset: str | None) -> list[ReportRun]:
    """The run in a folder (or to which a results file belongs); nothing where there is none.

    Raises:
        UserError: Its dataset is not there or has changed, or nothing in it is judged.
    """
    is_file_of_run = path.is_file() and path.name.startswith(("results", "manifest"))
    run = Run(path.parent if is_file_of_run else path)
    if not run.exists:
        return []
    try:
        works = load_works(run, dataset)
    except UserError as error:
        raise UserError(f"{run.folder}: {error} (--dataset says where the dataset of the runs is now)") from None
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{run.folder / 'manifest.json'} is damaged: {error!r}") from None
    results = [
        _result(run, work, result)
        for reading in READINGS
        if (run.folder / "verdicts" / reading).is_dir()
        for work, result in zip(works, summarize(run, works, reading).tasks, strict=True)
        if work.task.is_executed and (result.scores or result.missing)
    ]
    if not any(result.scores for result in results):
        raise UserError(
            f"{run.folder} is an empty run: nothing in it has a verdict; `octopack score {run.folder}` first"
        )
    manifest = run.manifest
    model = manifest["settings"]["model"]["name"]
    return [
        ReportRun(
            label=short_name(model) if manifest["settings"]["model"]["backend"] != "recorded" else run.folder.name,
            model=model,
            parameters=parameters_in(short_name(model)),
            origin=Origin.OCTOPACK,
            path=run.folder,
            results=tuple(results),
            details=RunDetails(run, works),
            notes=("A process still works on this run.",) if run.is_in_use else (),
        )
    ]


def _result(run: Run, work: Work, result: TaskResult) -> ReportResult:
    settings = run.manifest["settings"]
    judgements = judgements_by_problem(run, work.task.name, result.reading)
    asked = len({problem.task_id for problem in work.problems})
    lacks = []
    if result.missing:
        lacks.append(f"{result.missing} of {result.missing + sum(result.outcomes.values())} samples lack a verdict")
    if asked < len(work.whole):
        lacks.append(f"{asked} of {len(work.whole)} problems were asked")
    return ReportResult(
        task=result.task,
        reading=result.reading,
        settings=_settings(settings.get("sampling", {}), settings["tasks"][result.task]),
        scores=tuple(map(Score.of, result.scores)),
        problems=len({task_id for task_id, _ in judgements}),
        dataset_problems=len(work.whole),
        lacks=tuple(lacks),
        dataset_sha256=work.whole.sha256,
        tallies=dict(zip(judgements, tallies_of(judgements), strict=True)),
        outcomes=result.outcomes,
        bug_types=result.bug_types,
        tokens=result.tokens,
        suspicious=result.suspicious,
    )


def _settings(sampling: Mapping[str, Any], task: Mapping[str, Any]) -> Settings:
    return Settings(
        prompt=task["prompt"],
        n_samples=task["n_samples"],
        temperature=sampling.get("temperature"),
        top_p=sampling.get("top_p"),
        top_k=sampling.get("top_k"),
        max_length=task.get("max_length"),
    )


class RunDetails:
    """The samples of a run's folder."""

    def __init__(self, run: Run, works: Sequence[Work]) -> None:
        self._run = run
        self._works = works

    @cached_property
    def _described(self) -> Mapping[str, Work]:
        return {work.task.name: work for work in with_descriptions(self._run, self._works)}

    def problems(self, task: str) -> ProblemSet:
        """See `Details`."""
        return self._described[task].problems

    def prompt(self, task: str, problem: Problem) -> str:
        """See `Details`."""
        work = self._described[task]
        prompt = work.task.prompt(problem, work.plan.prompt)
        return prompt.text + prompt.prefill

    def samples(self, task: str) -> Iterable[Sample]:
        """See `Details`."""
        return [sample for group in samples_by_problem(self._run, task).values() for sample in group.values()]

    def judgements(self, task: str, reading: str) -> Mapping[ProblemKey, Sequence[Judgement]]:
        """See `Details`."""
        return judgements_by_problem(self._run, task, reading)
