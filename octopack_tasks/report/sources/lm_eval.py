"""Results of lm-eval, with the samples that it logged beside them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.metrics import score
from octopack_tasks.problems import Problem, ProblemSet
from octopack_tasks.report.inputs import (
    Origin,
    ReportResult,
    ReportRun,
    Score,
    Settings,
    check_known_tasks,
    parameters_in,
    result_files,
    short_name,
)
from octopack_tasks.results import bug_types_of, outcomes_of, tallies_of
from octopack_tasks.runs import Judgement, ProblemKey, Sample
from octopack_tasks.tasks import get_task
from sandboxes import Status, Verdict


def load(path: Path, dataset: str | None) -> list[ReportRun]:
    """The runs in a results file, or in a folder: one for each folder with `results_*.json`, the newest of a task.

    Raises:
        UserError: A file is damaged, or holds no result of our tasks.
    """
    folders: dict[Path, list[tuple[Path, Mapping[str, Any]]]] = defaultdict(list)
    for file, content in result_files(path, "results_*.json", "results", "configs"):
        folders[file.parent].append((file, content))
    try:
        return [_run(path if path.is_file() else folder, found) for folder, found in folders.items()]
    except UserError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged, or of another version of lm-eval: {error!r}") from None


def _run(path: Path, files: Sequence[tuple[Path, Mapping[str, Any]]]) -> ReportRun:
    newest: dict[str, tuple[Path, Mapping[str, Any]]] = {}
    for file, content in sorted(files, key=lambda item: item[1].get("date", 0)):
        for name in check_known_tasks(content["results"], file):
            newest[name] = (file, content)
    logs = {name: log for name, (file, _) in newest.items() if (log := _log_of(file, name)).is_file()}
    details = LoggedDetails(logs)
    results = [
        result for name, (file, content) in newest.items() for result in _results(name, file, content, logs, details)
    ]
    if not results:
        raise UserError(f"{path} is an empty run: none of its tasks has a pass@k")
    _, content = next(iter(newest.values()))
    model = str(content.get("model_name") or content.get("config", {}).get("model") or path.stem)
    parameters = content.get("config", {}).get("model_num_parameters")
    name = short_name(model)
    return ReportRun(
        label=name,
        model=model,
        parameters=float(parameters) if isinstance(parameters, int) and parameters > 0 else parameters_in(name),
        origin=Origin.LM_EVAL,
        path=path,
        results=tuple(results),
        details=details if logs else None,
    )


def _log_of(results: Path, task: str) -> Path:
    return results.with_name(results.name.replace("results_", f"samples_{task}_", 1)).with_suffix(".jsonl")


def _results(
    task: str, file: Path, content: Mapping[str, Any], logs: Mapping[str, Path], details: LoggedDetails
) -> list[ReportResult]:
    by_reading: dict[str, list[Score]] = defaultdict(list)
    values = content["results"][task]
    for metric, value in values.items():
        match = re.fullmatch(r"pass@(\d+),(.+)", metric)
        if match and isinstance(value, int | float):
            stderr = values.get(f"pass@{match[1]}_stderr,{match[2]}")
            error = float(stderr) if isinstance(stderr, int | float) else None
            by_reading[match[2]].append(Score.of_stderr(int(match[1]), float(value), error))
    config = content["configs"].get(task, {})
    record = (config.get("metadata") or {}).get("octopack", {})
    counts = content.get("n-samples", {}).get(task, {})
    asked, whole = counts.get("effective"), record.get("dataset_rows") or counts.get("original")
    lacks = (f"{asked} of {whole} problems were asked",) if asked and whole and asked < whole else ()
    found = []
    for reading, scores in by_reading.items():
        judgements = details.judgements(task, reading) if task in logs else {}
        if judgements:
            scores = [Score.of(value) for value in score(tallies_of(judgements), [each.k for each in scores])]
        found.append(
            ReportResult(
                task=task,
                reading=reading,
                settings=_settings(config, record),
                scores=tuple(sorted(scores, key=lambda each: each.k)),
                problems=asked,
                dataset_problems=whole,
                lacks=lacks,
                dataset_sha256=record.get("dataset_sha256"),
                tallies=dict(zip(judgements, tallies_of(judgements), strict=True)),
                outcomes=outcomes_of(judgements),
                bug_types=bug_types_of(get_task(task), details.problems(task), judgements) if judgements else {},
                suspicious=sum(bool(each.verdict.suspicious) for group in judgements.values() for each in group),
            )
        )
    return found


def _settings(config: Mapping[str, Any], record: Mapping[str, Any]) -> Settings:
    drawn = config.get("generation_kwargs") or {}
    is_sampled = drawn.get("do_sample", bool(drawn.get("temperature")))
    return Settings(
        prompt=record.get("prompt"),
        n_samples=record.get("n_samples") or config.get("repeats"),
        temperature=drawn.get("temperature") if is_sampled else 0.0,
        top_p=drawn.get("top_p"),
        top_k=drawn.get("top_k"),
    )


class LoggedDetails:
    """The samples that lm-eval logged.

    Args:
        logs: The file of each task.
    """

    def __init__(self, logs: Mapping[str, Path]) -> None:
        self._logs = logs
        self._read: dict[str, _Log] = {}

    def _log(self, task: str) -> _Log:
        if task not in self._read:
            self._read[task] = _Log(task, self._logs[task])
        return self._read[task]

    def problems(self, task: str) -> ProblemSet:
        """See `Details`."""
        return self._log(task).problems

    def prompt(self, task: str, problem: Problem) -> str:
        """See `Details`."""
        return self._log(task).prompts[problem.task_id, problem.candidate or 0]

    def samples(self, task: str) -> Iterable[Sample]:
        """See `Details`."""
        return self._log(task).samples

    def judgements(self, task: str, reading: str) -> Mapping[ProblemKey, Sequence[Judgement]]:
        """See `Details`."""
        return self._log(task).judgements(reading)


class _Log:
    """A task's file of samples: a line for each problem and filter."""

    def __init__(self, task: str, path: Path) -> None:
        self._task = get_task(task)
        self._path = path
        self._lines = list(self._keyed_lines())

    def _keyed_lines(self) -> Iterable[tuple[ProblemKey, Mapping[str, Any]]]:
        counts: dict[tuple[str, str], int] = defaultdict(int)
        text = self._path.read_bytes()
        for number, line in enumerate(text.split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                task_id, reading = record["doc"]["task_id"], record["filter"]
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{self._path} line {number} is not a sample logged by lm-eval: {error!r}") from None
            candidate = counts[reading, task_id]
            counts[reading, task_id] += 1
            yield (task_id, candidate), record

    @cached_property
    def problems(self) -> ProblemSet:
        found: dict[ProblemKey, Problem] = {}
        for key, record in self._lines:
            if key not in found:
                problem = Problem.from_row(record["doc"], self._task.language.name, f"{self._path}: {key[0]}")
                found[key] = self._described(problem, record["doc"], key[1])
        return ProblemSet(self._task.language.name, str(self._path), tuple(found.values()))

    def _described(self, problem: Problem, row: Mapping[str, Any], candidate: int) -> Problem:
        if not self._task.needs_descriptions:
            return problem
        return dataclasses.replace(problem, description=row.get("description"), candidate=candidate)

    @cached_property
    def prompts(self) -> Mapping[ProblemKey, str]:
        found = {}
        for key, record in self._lines:
            try:
                found[key] = str(record["arguments"]["gen_args_0"]["arg_0"])
            except (KeyError, TypeError):
                found[key] = ""
        return found

    @cached_property
    def samples(self) -> Sequence[Sample]:
        found: dict[ProblemKey, list[Sample]] = {}
        for key, record in self._lines:
            if key not in found:
                texts = _flat(record["resps"])
                found[key] = [Sample(*key, number, text) for number, text in enumerate(texts)]
        return [sample for group in found.values() for sample in group]

    def judgements(self, reading: str) -> Mapping[ProblemKey, Sequence[Judgement]]:
        found: dict[ProblemKey, list[Judgement]] = {}
        for key, record in self._lines:
            if record["filter"] == reading:
                found[key] = [
                    self._judgement(key, number, text) for number, text in enumerate(_flat(record["filtered_resps"]))
                ]
        return found

    def _judgement(self, key: ProblemKey, number: int, text: str) -> Judgement:
        try:
            values = json.loads(text)
            verdict = Verdict(
                status=Status(values["verdict"]),
                reference_passed=values["reference_passed"],
                suspicious=tuple(values["suspicious"]),
                stderr=values["stderr"],
                detail=values["detail"],
                run_seconds=values["run_seconds"],
            )
            return Judgement(*key, number, values["solution"], values["program"], values["has_answer"], verdict)
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._path}: a response of {key[0]} was not judged by OctoPack ({error!r})") from None


def _flat(responses: Any) -> list[str]:
    """lm-eval nests the responses of a problem once or twice."""
    return [text for each in responses for text in ([each] if isinstance(each, str) else each)]
