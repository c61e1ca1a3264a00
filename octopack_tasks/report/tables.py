"""Tables of results: scores of each scenario, their means, pass@k with intervals, causes of failure, kinds of bug."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from octopack_tasks.readings import PAPER
from octopack_tasks.report.formats import Cell, Column, Table, number_cell, percent_cell, text_cell
from octopack_tasks.report.inputs import ReportRun
from octopack_tasks.report.published import PublishedModel
from octopack_tasks.report.standings import (
    HALF_MARK,
    SCENARIO_TITLES,
    Entry,
    averaged,
    entries_of,
    in_order,
    language_title,
    notes_of,
    readings_of,
    scenarios_of,
    tasks_of,
)
from octopack_tasks.results import NO_ANSWER
from octopack_tasks.tasks import get_task

OUTCOMES = (
    "passed",
    "failed",
    "runtime_error",
    "compile_error",
    "timeout",
    "memory_limit",
    "output_limit",
    NO_ANSWER,
)
"""How samples end, in the order of tables and figures."""
BUG_TYPES = ("missing logic", "excess logic", "value misuse", "operator misuse", "variable misuse", "function misuse")
"""The kinds of bug, in the paper's order."""


def write_tables(runs: Sequence[ReportRun], published: Sequence[PublishedModel], out: Path) -> list[Path]:
    """Write every table there are numbers for, as Markdown, LaTeX, CSV and JSON.

    Args:
        runs: The runs; without any, the published scores stand alone.
        published: The published models to set beside them.
        out: The folder; tables of another reading than `paper` have it in their names.

    Raises:
        UserError: The folder cannot be written.
    """
    written: list[Path] = []
    for reading in readings_of(runs):
        for table in tables(entries_of(runs, published, reading), reading):
            written += table.write(out)
    return written


def tables(entries: Sequence[Entry], reading: str = PAPER.name) -> list[Table]:
    """Every table of entries of one reading that has a row."""
    scenarios = scenarios_of(entries)
    made = [
        summary_table(entries, reading),
        *(scores_table(entries, scenario, reading) for scenario in scenarios),
        pass_at_k_table(entries, reading),
        failures_table(entries, reading),
        bug_types_table(entries, reading),
    ]
    return [table for table in made if table.rows]


def summary_table(entries: Sequence[Entry], reading: str = PAPER.name) -> Table:
    """Mean pass@1 of each scenario: a row a model."""
    scenarios = {scenario: averaged(tasks_of(entries, scenario)) for scenario in scenarios_of(entries)}
    columns = [Column("model", "Model", is_number=False), Column("parameters", "Parameters")]
    columns += [Column(scenario, SCENARIO_TITLES[scenario].removeprefix("HumanEval")) for scenario in scenarios]
    rows = []
    for entry in entries:
        means = [entry.mean(tasks) for tasks in scenarios.values()]
        if any(mean is not None for mean in means) or not entry.is_published:
            size = Cell(size_text(entry.parameters) or "?", entry.parameters)
            rows.append((text_cell(entry.title), size, *(percent_cell(mean) for mean in means)))
    covered = "; ".join(
        f"{SCENARIO_TITLES[scenario].removeprefix('HumanEval')}: {', '.join(map(language_title, tasks))}"
        for scenario, tasks in scenarios.items()
    )
    notes = [note for scenario, tasks in scenarios.items() for note in notes_of(entries, scenario, tasks)]
    mean_note = f"Means are over languages ({covered}) and stand only where all of them are there and whole."
    return Table(
        _name("summary", reading),
        f"Mean pass@1 in percent{_read(reading)}.",
        tuple(columns),
        tuple(rows) if scenarios else (),
        (mean_note, *dict.fromkeys(notes)),
    )


def scores_table(entries: Sequence[Entry], scenario: str, reading: str = PAPER.name) -> Table:
    """pass@1 of a scenario: a row a model, a column a language."""
    tasks = tasks_of(entries, scenario)
    columns = [Column("model", "Model", is_number=False)]
    columns += [Column(get_task(task).language.name, language_title(task)) for task in tasks]
    if len(tasks) > 1:
        columns.append(Column("mean", "Mean"))
    rows = []
    for entry in entries:
        if any(task in entry.scores for task in tasks):
            cells = [_score_cell(entry, task) for task in tasks]
            means = [percent_cell(entry.mean(averaged(tasks)))] if len(tasks) > 1 else []
            rows.append((text_cell(entry.title), *cells, *means))
    details = {
        "scenario": scenario,
        "reading": reading,
        "published": [entry.name for entry in entries if entry.is_published],
        "half": {
            entry.name: {task: list(why) for task, why in entry.half.items() if task in tasks} for entry in entries
        },
    }
    return Table(
        _name(f"scores-{scenario}", reading),
        f"{SCENARIO_TITLES[scenario]}: pass@1 in percent{_read(reading)}.",
        tuple(columns),
        tuple(rows),
        (*notes_of(entries, scenario, tasks), *_mean_note(tasks)),
        details,
    )


def _mean_note(tasks: Sequence[str]) -> tuple[str, ...]:
    """Over which languages the mean is, where it is not over all that are shown."""
    over = averaged(tasks)
    return () if len(over) == len(tasks) else (f"Means are over {', '.join(map(language_title, over))}.",)


def _score_cell(entry: Entry, task: str) -> Cell:
    score = entry.scores.get(task)
    cell = percent_cell(score.value if score else None)
    return Cell(f"{cell.text}{HALF_MARK}", cell.value) if score and task in entry.half else cell


def pass_at_k_table(entries: Sequence[Entry], reading: str = PAPER.name) -> Table:
    """pass@k with its interval: a row for each model, task and k."""
    columns = (
        Column("model", "Model", is_number=False),
        Column("task", "Task", is_number=False),
        Column("problems", "Problems"),
        Column("k", "k"),
        Column("pass_at_k", "pass@k"),
        Column("low", "low"),
        Column("high", "high"),
        Column("standard_error", "Std. error"),
        Column("whole", "Whole", is_number=False),
    )
    rows = []
    for entry, task in _judged(entries):
        result = entry.results[task]
        for score in result.scores:
            shares = (score.value, score.low, score.high, score.stderr)
            rows.append(
                (
                    text_cell(entry.title),
                    text_cell(task),
                    number_cell(result.problems, "d"),
                    number_cell(score.k, "d"),
                    *(percent_cell(share) for share in shares),
                    Cell("yes" if result.is_whole else "no", result.is_whole),
                )
            )
    halves = [
        f"{entry.name}, {task}: half a run ({', '.join(entry.half[task])})."
        for entry, task in _judged(entries)
        if task in entry.half
    ]
    return Table(
        _name("pass-at-k", reading),
        f"pass@k in percent with its 95 % interval over problems{_read(reading)}.",
        columns,
        tuple(rows),
        tuple(halves),
    )


def failures_table(entries: Sequence[Entry], reading: str = PAPER.name) -> Table:
    """How samples ended: a row for each model and task, a column a cause."""
    judged = [(entry, task) for entry, task in _judged(entries) if entry.results[task].outcomes]
    found = {outcome for entry, task in judged for outcome in entry.results[task].outcomes}
    shown = [*(name for name in OUTCOMES if name in found), *sorted(found.difference(OUTCOMES))]
    columns = [Column("model", "Model", is_number=False), Column("task", "Task", is_number=False)]
    columns += [Column("samples", "Samples"), *(Column(name, name.replace("_", " ")) for name in shown)]
    rows = []
    for entry, task in judged:
        outcomes = entry.results[task].outcomes
        counts = [sum(outcomes.values()), *(outcomes.get(name, 0) for name in shown)]
        mark = HALF_MARK if task in entry.half else ""
        rows.append((text_cell(entry.title), Cell(f"{task}{mark}", task), *(number_cell(n, ",d") for n in counts)))
    notes = (f"{HALF_MARK} Half a run.",) if any(task in entry.half for entry, task in judged) else ()
    caption = f"How many samples ended how{_read(reading)}."
    return Table(_name("failures", reading), caption, tuple(columns), tuple(rows), notes)


def bug_types_table(entries: Sequence[Entry], reading: str = PAPER.name) -> Table:
    """pass@1 of the fix tasks by kind of bug: a row for each model and task."""
    own = {task for entry in entries if not entry.is_published for task in entry.bug_types}
    shown = [(entry, task) for entry in entries for task in in_order(entry.bug_types) if task in own or not own]
    columns = [Column("model", "Model", is_number=False), Column("task", "Task", is_number=False)]
    columns += [Column(name, name) for name in BUG_TYPES]
    rows = []
    for entry, task in shown:
        shares = (entry.bug_types[task].get(name) for name in BUG_TYPES)
        mark = HALF_MARK if task in entry.half else ""
        cells = (percent_cell(share) for share in shares)
        rows.append((text_cell(entry.title), Cell(f"{task}{mark}", task), *cells))
    counts = {
        task: {name: kind.problems for name, kind in result.bug_types.items()}
        for entry in entries
        for task, result in entry.results.items()
        if result.bug_types and task not in entry.half
    }
    alike: dict[str, list[str]] = {}
    for task, kinds in counts.items():
        told = ", ".join(f"{kinds[name]} of {name}" for name in BUG_TYPES if name in kinds)
        alike.setdefault(told, []).append(task)
    notes = [f"Problems in {', '.join(tasks)}: {told}." for told, tasks in alike.items()]
    if any(task in entry.half for entry, task in shown):
        notes.append(f"{HALF_MARK} Half a run.")
    published = [entry for entry, _ in shown if entry.is_published]
    if published:
        notes.append(f"† Published scores ({', '.join(entry.name for entry in published)}): the paper's table 16.")
    caption = f"pass@1 in percent by kind of bug{_read(reading)}."
    return Table(_name("bug-types", reading), caption, tuple(columns), tuple(rows), tuple(notes), {"problems": counts})


def _judged(entries: Iterable[Entry]) -> list[tuple[Entry, str]]:
    return [(entry, task) for entry in entries for task in in_order(entry.results)]


def size_text(parameters: float | None) -> str:
    """A number of parameters as people write it, such as 15.5B; "" where it is not known."""
    if parameters is None:
        return ""
    return f"{parameters / 1e9:g}B" if parameters >= 1e9 else f"{parameters / 1e6:.3g}M"


def _name(name: str, reading: str) -> str:
    return name if reading == PAPER.name else f"{name}-{reading}"


def _read(reading: str) -> str:
    return "" if reading == PAPER.name else f" (reading: {reading})"
