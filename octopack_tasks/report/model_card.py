"""What a model card needs: the `model-index` metadata that model hubs read, and tables of the results."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from octopack_tasks.languages import PAPER_LANGUAGES
from octopack_tasks.problems import HUB_DATASET
from octopack_tasks.readings import PAPER
from octopack_tasks.report.formats import write_text
from octopack_tasks.report.inputs import ReportResult, ReportRun
from octopack_tasks.report.published import PROBLEMS, PublishedModel
from octopack_tasks.report.standings import SCENARIO_TITLES, benchmark_of, entries_of, language_title
from octopack_tasks.report.tables import tables
from octopack_tasks.tasks import get_task

_TABLES = ("summary", "scores-", "bug-types")
"""The tables of a model card; the others are for those who look closer."""


def write_model_card(runs: Sequence[ReportRun], published: Sequence[PublishedModel], out: Path) -> list[Path]:
    """Write, for each run, the part of a model card that HumanEvalPack's results fill: metadata and tables.

    Only whole results of all 164 problems, under the reading `paper`, become metadata, as hubs show them without any
    notes; the tables have everything, labelled.

    Args:
        runs: The runs; each is a model of its own.
        published: The published models to set beside it in the tables.
        out: The folder.

    Raises:
        UserError: The folder cannot be written.
    """
    written = []
    for run in runs:
        name = "model-card.md" if len(runs) == 1 else f"model-card-{_file_name(run.label)}.md"
        write_text(out / name, model_card(run, published))
        written.append(out / name)
    return written


def model_card(run: ReportRun, published: Sequence[PublishedModel] = ()) -> str:
    """The part of a model card that a run fills."""
    import yaml

    metadata = model_index(run.label, hub_scores(run))
    left_out = [f"{result.task} ({why})" for result in run.results if (why := _unfit(result))]
    lines = []
    if metadata:
        lines += ["---", yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True).strip(), "---", ""]
    lines += ["## HumanEvalPack", ""]
    if left_out:
        lines += [f"Not in the metadata: {'; '.join(dict.fromkeys(left_out))}.", ""]
    for reading in run.readings:
        for table in tables(entries_of([run], published, reading), reading):
            if table.name.startswith(_TABLES):
                lines += [table.markdown()]
    return "\n".join(lines)


def hub_scores(run: ReportRun) -> dict[str, dict[str, float]]:
    """The scores of a run that are fit for a hub, between 0 and 1: by task, then by metric such as `pass@1`."""
    return {
        result.task: {f"pass@{score.k}": score.value for score in result.scores}
        for result in run.results
        if not _unfit(result) and result.scores and result.reading == PAPER.name
    }


def _unfit(result: ReportResult) -> str:
    """Why a result does not stand for the benchmark; "" if it does."""
    if result.language not in PAPER_LANGUAGES:
        return f"{HUB_DATASET} has no {language_title(result.task)}"
    if result.dataset_problems not in (None, PROBLEMS):
        return f"a dataset of {result.dataset_problems} problems, not the {PROBLEMS} of {HUB_DATASET}"
    return ", ".join(result.lacks)


def model_index(name: str, scores: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The metadata of a model card that tells hubs its scores: `model-index`, with pass@k in percent.

    Args:
        name: The model.
        scores: Scores between 0 and 1, by task and then by metric (`pass@1`).
    """
    if not scores:
        return {}
    return {"model-index": [{"name": name, "results": list(_results(scores))}]}


def _results(scores: Mapping[str, Mapping[str, float]]) -> Iterable[dict[str, Any]]:
    for task, metrics in scores.items():
        language = get_task(task).language.name
        yield {
            "task": {"type": "text-generation", "name": "Code generation"},
            "dataset": {
                "type": HUB_DATASET,
                "name": f"{_benchmark(task)} ({language_title(task)})",
                "config": language,
                "split": "test",
            },
            "metrics": [
                # The hub's tools merge results of one dataset and language: the name says which of them it is.
                {"type": metric, "name": f"{metric} ({_benchmark(task)})", "value": round(100 * value, 2)}
                for metric, value in metrics.items()
            ],
        }


def _benchmark(task: str) -> str:
    name = benchmark_of(task)
    return SCENARIO_TITLES.get(name, name)


def _file_name(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", label).strip("-.") or "model"
