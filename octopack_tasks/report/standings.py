"""Runs and published models as entries of one kind, whatever tables and figures then show of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from octopack_tasks.languages import LANGUAGES, PAPER_LANGUAGES, Language
from octopack_tasks.readings import PAPER
from octopack_tasks.report.inputs import ReportResult, ReportRun, Score, Settings
from octopack_tasks.report.published import PROBLEMS, Publication, PublishedModel
from octopack_tasks.tasks import get_task

PUBLISHED_MARK = "†"
"""Follows the name of a model whose scores are published ones."""
HALF_MARK = "*"
"""Follows a score that does not cover its whole task."""

SCENARIO_TITLES: Mapping[str, str] = {
    "fixtests": "HumanEvalFix",
    "fixdocs": "HumanEvalFixDocs",
    "explainsynthesize": "HumanEvalExplain",
    "synthesize": "HumanEvalSynthesize",
    "quixbugs": "QuixBugs",
}
"""The benchmarks with a score, in the paper's order, by the paper's names."""

_LANGUAGE_ORDER = ("python", "js", "java", "go", "cpp", "rust")
"""The order of the paper's columns."""


@dataclass(frozen=True)
class Entry:
    """A model and its scores under one reading.

    Attributes:
        name: Its name.
        parameters: How many it has; None: not known.
        scores: pass@1 by task.
        half: Why a score does not cover its whole task, by task.
        results: Everything else that is known, by task; empty where published.
        publications: How published scores came about, by scenario; empty for runs.
        bug_types: pass@1 by kind of bug, by task.
        reading: How completions were read.
        notes: What else a reader must know.
        means: Means over the paper's languages that a source prints, by scenario; empty for runs.
        is_ablation: Whether it is a row of the paper's ablations.
    """

    name: str
    parameters: float | None
    scores: Mapping[str, Score]
    half: Mapping[str, tuple[str, ...]]
    results: Mapping[str, ReportResult]
    publications: Mapping[str, Publication]
    bug_types: Mapping[str, Mapping[str, float]]
    reading: str
    notes: tuple[str, ...] = ()
    means: Mapping[str, float] = field(default_factory=dict)
    is_ablation: bool = False

    @property
    def is_published(self) -> bool:
        """Whether others measured it."""
        return bool(self.publications)

    @property
    def title(self) -> str:
        """Its name, marked if it is published."""
        return f"{self.name} {PUBLISHED_MARK}" if self.is_published else self.name

    def mean(self, tasks: Iterable[str]) -> float | None:
        """Mean pass@1 of tasks; None unless every one of them is there and whole.

        A printed mean of the same tasks comes before one that is computed from rounded scores.
        """
        names = list(tasks)
        for scenario, printed in self.means.items():
            if sorted(names) == sorted(f"humaneval{scenario}-{language}" for language in PAPER_LANGUAGES):
                return printed
        if not names or any(name not in self.scores or name in self.half for name in names):
            return None
        return math.fsum(self.scores[name].value for name in names) / len(names)

    def settings(self, scenario: str) -> tuple[Settings, ...]:
        """How its completions in a scenario were drawn, each way once."""
        if self.is_published:
            publication = self.publications.get(scenario)
            return (publication.settings,) if publication else ()
        results = (result for result in self.results.values() if benchmark_of(result.task) == scenario)
        return tuple(dict.fromkeys(_drawn(result) for result in results))


def _drawn(result: ReportResult) -> Settings:
    """The settings of a result; of explainsynthesize, n is that of its descriptions, which are judged once each."""
    if result.scenario != "explainsynthesize" or not result.tallies:
        return result.settings
    return dataclasses.replace(result.settings, n_samples=max(candidate for _, candidate in result.tallies) + 1)


def readings_of(runs: Iterable[ReportRun]) -> tuple[str, ...]:
    """The readings of runs, `paper` first; it alone where there are no runs."""
    found = dict.fromkeys(reading for run in runs for reading in run.readings)
    return tuple(sorted(found, key=lambda name: name != PAPER.name)) or (PAPER.name,)


def entries_of(
    runs: Sequence[ReportRun], published: Sequence[PublishedModel], reading: str = PAPER.name
) -> tuple[Entry, ...]:
    """The published models, then the runs that have results under a reading."""
    return (
        *(_published_entry(model) for model in published),
        *(_run_entry(run, reading) for run in runs if reading in run.readings),
    )


def _published_entry(model: PublishedModel) -> Entry:
    return Entry(
        name=model.name,
        parameters=model.parameters,
        scores={task: Score(1, value) for task, value in model.scores.items()},
        half={},
        results={},
        publications=model.publications,
        bug_types=model.bug_types,
        reading=PAPER.name,
        means=model.means,
        is_ablation=model.is_ablation,
    )


def _run_entry(run: ReportRun, reading: str) -> Entry:
    results = {result.task: result for result in run.results if result.reading == reading}
    return Entry(
        name=run.label,
        parameters=run.parameters,
        scores={task: score for task, result in results.items() if (score := result.pass_at(1))},
        half={task: result.lacks for task, result in results.items() if result.lacks},
        results=results,
        publications={},
        bug_types={
            task: {name: kind.pass_at_1 for name, kind in result.bug_types.items()}
            for task, result in results.items()
            if result.bug_types
        },
        reading=reading,
        notes=run.notes,
    )


def benchmark_of(task: str) -> str:
    """What a task belongs to, whatever its language: a scenario of HumanEvalPack, or another benchmark."""
    return task.rpartition("-")[0].removeprefix("humaneval")


def scenarios_of(entries: Iterable[Entry]) -> tuple[str, ...]:
    """The scenarios that runs have a score in (published models too, where there are no runs), in the paper's order."""
    found = {benchmark_of(task) for entry in _leading(entries) for task in entry.scores}
    return tuple(scenario for scenario in SCENARIO_TITLES if scenario in found)


def tasks_of(entries: Iterable[Entry], scenario: str) -> tuple[str, ...]:
    """The tasks of a scenario that runs have a score in (published models too, where there are no runs)."""
    found = {task for entry in _leading(entries) for task in entry.scores if benchmark_of(task) == scenario}
    return tuple(in_order(found))


def averaged(tasks: Sequence[str]) -> tuple[str, ...]:
    """Those of a scenario's tasks that a mean is taken over: in the paper's languages, if there are any."""
    of_paper = tuple(task for task in tasks if _language(task).name in PAPER_LANGUAGES)
    return of_paper or tuple(tasks)


def _leading(entries: Iterable[Entry]) -> Sequence[Entry]:
    all_entries = list(entries)
    return [entry for entry in all_entries if not entry.is_published] or all_entries


def languages_in_order() -> tuple[str, ...]:
    """All languages, those of the paper first, in the order of its tables."""
    return (*_LANGUAGE_ORDER, *(name for name in LANGUAGES if name not in _LANGUAGE_ORDER))


def in_order(tasks: Iterable[str]) -> list[str]:
    """Tasks in the paper's order: scenario by scenario, in each the languages."""
    scenarios, languages = list(SCENARIO_TITLES), languages_in_order()
    return sorted(tasks, key=lambda task: (scenarios.index(benchmark_of(task)), languages.index(_language(task).name)))


def _language(task: str) -> Language:
    return get_task(task).language


def language_title(task: str) -> str:
    """The language of a task, as prose spells it."""
    return _language(task).title


def notes_of(entries: Sequence[Entry], scenario: str, tasks: Sequence[str]) -> tuple[str, ...]:
    """What must be known to compare the scores of a scenario: sources, halves, settings that differ, other problems."""
    shown = [entry for entry in entries if any(task in entry.scores for task in tasks)]
    return (
        *_sources(shown, scenario),
        *_halves(shown, tasks),
        *_differences(shown, scenario),
        *_other_problems(shown, tasks),
        *(f"{entry.name}: {note}" for entry in shown for note in entry.notes),
    )


def _sources(entries: Iterable[Entry], scenario: str) -> list[str]:
    published = [(entry, entry.publications[scenario]) for entry in entries if scenario in entry.publications]
    groups: dict[tuple[str, str], list[str]] = {}
    for entry, publication in published:
        groups.setdefault((publication.source, _sampling(publication.settings)), []).append(entry.name)
    notes = [
        f"{PUBLISHED_MARK} Published scores ({', '.join(names)}): {source}; drawn with {sampling}."
        for (source, sampling), names in groups.items()
    ]
    return [*notes, *(f"{entry.name}: {note}" for entry, publication in published for note in publication.notes)]


def _halves(entries: Iterable[Entry], tasks: Iterable[str]) -> list[str]:
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for entry, task in product(entries, tasks):
        if task in entry.half:
            groups.setdefault((entry.name, entry.half[task]), []).append(task)
    return [
        f"{HALF_MARK} {name}, {', '.join(halves)}: half a run ({', '.join(why)}); the score covers the rest and is "
        "part of no mean."
        for (name, why), halves in groups.items()
    ]


def _differences(entries: Sequence[Entry], scenario: str) -> list[str]:
    """One note each for samplings, prompt formats and readings, where they differ."""
    notes = []
    for what, of in (("Sampling", _sampling), ("Prompt formats", _prompt)):
        groups = _grouped(entries, scenario, of)
        if len(groups) > 1:
            told = "; ".join(f"{value} ({', '.join(names)})" for value, names in groups.items())
            notes.append(f"{what} differ{'s' if what == 'Sampling' else ''}: {told}.")
    readings: dict[str, list[str]] = {}
    for entry in entries:
        readings.setdefault(entry.reading, []).append(entry.title)
    if len(readings) > 1:
        told = "; ".join(f"{reading} ({', '.join(names)})" for reading, names in readings.items())
        notes.append(f"Readings differ: {told}.")
    return notes


def _grouped(entries: Iterable[Entry], scenario: str, of: Callable[[Settings], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for entry in entries:
        for value in dict.fromkeys(of(settings) for settings in entry.settings(scenario)):
            if value:
                groups.setdefault(value, []).append(entry.title)
    return groups


def _sampling(settings: Settings) -> str:
    return str(dataclasses.replace(settings, prompt=None))


def _prompt(settings: Settings) -> str:
    return settings.prompt or ""


def _other_problems(entries: Sequence[Entry], tasks: Iterable[str]) -> list[str]:
    """Runs of another number of problems than published scores cover, where such stand beside them."""
    if not any(entry.is_published for entry in entries):
        return []
    groups: dict[int, list[str]] = {}
    for entry in entries:
        counts = {result.dataset_problems for task in tasks if (result := entry.results.get(task))}
        for count in sorted(count for count in counts if count and count != PROBLEMS):
            groups.setdefault(count, []).append(entry.name)
    return [
        f"Other problems: {count} of each language ({', '.join(names)}); published scores are of {PROBLEMS}."
        for count, names in groups.items()
    ]
