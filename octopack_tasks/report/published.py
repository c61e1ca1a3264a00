"""Models with published scores, by the names that people use for them."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from octopack_tasks.errors import UserError
from octopack_tasks.languages import LANGUAGES, PAPER_LANGUAGES
from octopack_tasks.presets import PublishedScores, presets, published_parameters, published_scores
from octopack_tasks.report.inputs import Settings
from octopack_tasks.tasks import TASKS

EVERYTHING = "all"
"""Stands for every model of the paper's main tables."""
ABLATIONS = "ablations"
"""Stands for the paper's ablations of instruction data (Figure 4)."""

PROBLEMS = 164
"""How many problems of each language published scores cover."""

_LEFT_OUT = ("elsewhere", "unrounded")
"""Tables of further reruns of models that the other tables have."""


@dataclass(frozen=True)
class Publication:
    """How a model's scores in a scenario came about.

    Attributes:
        settings: How completions were drawn.
        source: Where the scores were published.
        notes: What is odd about them, one sentence each.
    """

    settings: Settings
    source: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PublishedModel:
    """A model as others measured it.

    Attributes:
        name: Its name.
        preset: The preset with its settings; None where there is none.
        parameters: How many it has; None: not known.
        scores: pass@1 between 0 and 1 by task.
        means: The means over the paper's languages that the source prints, by scenario: they come from scores before
            rounding. Those that are wrong, as their notes say, are left out.
        bug_types: pass@1 by kind of bug, by task.
        publications: How the scores came about, by scenario.
        is_ablation: Whether it is a row of the paper's ablations.
    """

    name: str
    preset: str | None
    parameters: float | None
    scores: Mapping[str, float]
    means: Mapping[str, float]
    bug_types: Mapping[str, Mapping[str, float]]
    publications: Mapping[str, Publication]
    is_ablation: bool


def find_published(names: Iterable[str]) -> tuple[PublishedModel, ...]:
    """The published models that are meant, each once, in the order of their names.

    Args:
        names: Names of models or presets, in any spelling (`octocoder`, `GPT-4`, `gpt4`); `all` for every model of the
            main tables; `ablations` for the ablations of instruction data. Several may be joined by commas.

    Raises:
        UserError: A name means none; the message names the nearest.
    """
    models = published_models()
    wanted = [part.strip() for name in names for part in name.split(",") if part.strip()]
    found: dict[str, PublishedModel] = {}
    for name in wanted:
        for model in _meant(name, models):
            found.setdefault(model.name, model)
    return tuple(found.values())


def _meant(name: str, models: Iterable[PublishedModel]) -> list[PublishedModel]:
    if name.lower() == EVERYTHING:
        return [model for model in models if model.preset]
    if name.lower() == ABLATIONS:
        return [model for model in models if model.is_ablation]
    by_spelling = {_spelling(text): model for model in models for text in (model.preset or model.name, model.name)}
    if _spelling(name) in by_spelling:
        return [by_spelling[_spelling(name)]]
    near = difflib.get_close_matches(_spelling(name), by_spelling, n=1, cutoff=0.0)
    known = ", ".join(model.preset for model in models if model.preset)
    raise UserError(
        f"no published scores of {name!r}; the nearest name is {by_spelling[near[0]].name!r}. "
        f"There are: {known}, {EVERYTHING}, {ABLATIONS}"
    )


def _spelling(name: str) -> str:
    return re.sub(r"[^a-z0-9+]", "", name.lower().rsplit("/", 1)[-1])


@cache
def published_models() -> tuple[PublishedModel, ...]:
    """All models with published scores, those of the main tables first."""
    rows: dict[str, list[PublishedScores]] = {}
    for row in published_scores():
        if row.metric == "pass@1" and row.table_id not in _LEFT_OUT:
            rows.setdefault(_name(row), []).append(row)
    return tuple(_model(name, group) for name, group in rows.items())


def _name(row: PublishedScores) -> str:
    """The model's name; its preset's in tables that spell it otherwise."""
    if row.preset is None:
        return row.model
    preset = presets()[row.preset]
    return preset.scores or preset.title


def _model(name: str, rows: Sequence[PublishedScores]) -> PublishedModel:
    scores: dict[str, float] = {}
    means: dict[str, float] = {}
    bug_types: dict[str, Mapping[str, float]] = {}
    publications: dict[str, Publication] = {}
    for row in rows:
        shares = {column: value / 100 for column, value in row.scores.items()}
        if not shares.keys() <= {*LANGUAGES, *TASKS}:  # the columns are kinds of bug, in Python
            bug_types[f"humaneval{row.scenario}-python"] = shares
            continue
        by_task = {
            column if column in TASKS else f"humaneval{row.scenario}-{column}": share
            for column, share in shares.items()
        }
        scores.update(by_task)
        if row.printed_mean is not None and _is_mean(row.printed_mean, row.scores):
            means[row.scenario] = row.printed_mean / 100
        for scenario in {TASKS[task].scenario.name for task in by_task}:
            publications[scenario] = Publication(_settings(row, scenario), row.source, _notes(row))
    return PublishedModel(
        name=name,
        preset=rows[0].preset,
        parameters=published_parameters().get(re.sub(r" \(.*", "", name)),
        scores=scores,
        means=means,
        bug_types=bug_types,
        publications=publications,
        is_ablation=any(row.table_id == ABLATIONS for row in rows),
    )


def _is_mean(printed: float, scores: Mapping[str, float]) -> bool:
    """Whether a printed mean can be that of the six languages' scores, all printed with one decimal."""
    return scores.keys() == set(PAPER_LANGUAGES) and abs(printed - math.fsum(scores.values()) / len(scores)) < 0.1


def _notes(row: PublishedScores) -> tuple[str, ...]:
    # A wrong printed mean is no matter here where the table is not about means of languages.
    return (row.note,) if row.note and row.scenario else ()


def _settings(row: PublishedScores, scenario: str) -> Settings:
    task = presets()[row.preset].tasks.get(scenario) if row.preset else None
    n_samples = row.sampling.get("n_samples")
    return Settings(
        prompt=task.prompt if task else None,
        n_samples=None if n_samples is None else int(n_samples),
        temperature=row.sampling.get("temperature"),
        top_p=row.sampling.get("top_p"),
        max_length=task.max_length if task else None,
    )
