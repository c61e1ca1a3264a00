"""Result files of the reference, bigcode-evaluation-harness: scores by task, and the arguments of the run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.readings import PAPER
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


def load(path: Path, dataset: str | None) -> list[ReportRun]:
    """The runs in a result file or a folder of `evaluation_*.json`; files of one model and of other tasks are one run.

    Raises:
        UserError: A file is damaged, or holds no result of our tasks.
    """
    runs: list[ReportRun] = []
    for file, content in result_files(path, "evaluation_*.json", "config"):
        if "results" in content:  # another harness's
            continue
        run = _run(file, content)
        for index, other in enumerate(runs):
            if other.model == run.model and not _tasks(other) & _tasks(run):
                together = (*other.results, *run.results)
                runs[index] = _make(path, run.model, together)
                break
        else:
            runs.append(run)
    return runs


def _run(file: Path, content: Mapping[str, Any]) -> ReportRun:
    config = content["config"]
    names = check_known_tasks((name for name in content if name != "config"), file)
    results = []
    for name in names:
        scores = _scores(content[name], f"{file}: {name}")
        limit, first = config.get("limit"), config.get("limit_start")
        lacks = [f"only {limit} problems were asked"] if limit else []
        lacks += [f"the first {first} problems were not asked"] if first else []
        results.append(ReportResult(name, PAPER.name, _settings(config), scores, problems=limit, lacks=tuple(lacks)))
    return _make(file, str(config.get("model") or file.stem), tuple(results))


def _scores(values: Any, where: str) -> tuple[Score, ...]:
    found = []
    for name, value in values.items() if isinstance(values, dict) else ():
        match = re.fullmatch(r"pass@(\d+)", name)
        if match and isinstance(value, int | float) and 0 <= value <= 1:
            found.append(Score(int(match[1]), float(value)))
    if not found:
        raise UserError(f"{where} has no pass@k between 0 and 1: {values!r:.80}")
    return tuple(sorted(found, key=lambda score: score.k))


def _settings(config: Mapping[str, Any]) -> Settings:
    # The reference's own default is to sample.
    is_sampled = config.get("do_sample", True)
    return Settings(
        prompt=config.get("prompt"),
        n_samples=config.get("n_samples"),
        temperature=config.get("temperature") if is_sampled else 0.0,
        top_p=config.get("top_p"),
        top_k=config.get("top_k"),
        max_length=config.get("max_length_generation"),
    )


def _make(path: Path, model: str, results: tuple[ReportResult, ...]) -> ReportRun:
    name = short_name(model)
    return ReportRun(name, model, parameters_in(name), Origin.BIGCODE, path, results)


def _tasks(run: ReportRun) -> set[str]:
    return {result.task for result in run.results}
