"""What a pack of problems is like: lengths, kinds of bug and their symptoms by language, as tables and a figure."""

from __future__ import annotations

import os
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from octopack_tasks.languages import PAPER_LANGUAGES, get_language
from octopack_tasks.problems import STARTER_PACK, Problem, ProblemSet, dataset_name, load_problems
from octopack_tasks.report.charts import PAGE, color, hatch, new_figure, styled, write_figure
from octopack_tasks.report.formats import Column, Table, number_cell, text_cell
from octopack_tasks.report.standings import languages_in_order
from octopack_tasks.report.tables import BUG_TYPES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _lines(text: str) -> int:
    return sum(bool(line.strip()) for line in text.splitlines())


LENGTHS: Mapping[str, Callable[[Problem], int]] = {
    "prompt, characters": lambda problem: len(problem.prompt),
    "documentation, characters": lambda problem: len(problem.docstring),
    "solution, characters": lambda problem: len(problem.canonical_solution.strip("\n")),
    "solution, lines": lambda problem: _lines(problem.canonical_solution),
    "tests, lines": lambda problem: _lines(problem.test),
}
"""What is measured of a problem; lines are those that are not blank."""

_NONE = "not told"
_LABEL_CHARACTERS = 40


def load_pack(dataset: str | os.PathLike[str] | None = None) -> tuple[ProblemSet, ...]:
    """The problems of every language that a dataset has.

    Args:
        dataset: See `load_problems`. Of a dataset on the hub the six languages of the paper are loaded.

    Raises:
        UserError: It is not there or malformed.
    """
    name = dataset_name(dataset)
    folder = Path(name).expanduser()
    languages = [language for language in languages_in_order() if language in PAPER_LANGUAGES]
    if name == STARTER_PACK:
        languages = list(languages_in_order())
    elif folder.is_dir():
        there = [language for language in languages_in_order() if (folder / f"{language}.jsonl").is_file()]
        languages = there or languages  # without any, the error says what is expected
    return tuple(load_problems(language, name) for language in languages)


def write_statistics(pack: Sequence[ProblemSet], out: Path) -> list[Path]:
    """Write all tables and the figure.

    Raises:
        UserError: matplotlib is missing, or the folder cannot be written.
    """
    written = [path for table in tables(pack) for path in table.write(out)]
    with styled():
        return [*written, *write_figure(draw_pack(pack), out, "problems")]


def tables(pack: Sequence[ProblemSet]) -> tuple[Table, ...]:
    """The tables: lengths, kinds of bug, symptoms."""
    return (
        lengths_table(pack),
        _counts_table(pack, "bug-types", "Kind of bug", _bug_type),
        _counts_table(pack, "symptoms", "Symptom", _symptom),
    )


def lengths_table(pack: Sequence[ProblemSet]) -> Table:
    """How long problems are: a row for each language and measure."""
    columns = [Column("language", "Language", is_number=False), Column("length", "Length", is_number=False)]
    columns += [Column(name, name) for name in ("problems", "mean", "min", "median", "max")]
    rows = []
    for problems in pack:
        for name, measure in LENGTHS.items():
            values = sorted(map(measure, problems))
            numbers = [statistics.fmean(values), values[0], statistics.median(values), values[-1]]
            rows.append(
                (
                    text_cell(get_language(problems.language).title),
                    text_cell(name),
                    number_cell(len(values), "d"),
                    *(number_cell(number, ",.1f" if index == 0 else ",g") for index, number in enumerate(numbers)),
                )
            )
    notes = ("Lines are those that are not blank.",)
    return Table("lengths", "How long problems are.", tuple(columns), tuple(rows), notes)


def _counts_table(pack: Sequence[ProblemSet], name: str, title: str, of: Callable[[Problem], str]) -> Table:
    """How many problems have which value: a row a value, a column a language."""
    counts = {problems.language: Counter(map(of, problems)) for problems in pack}
    columns = [Column(name.removesuffix("s"), title, is_number=False)]
    columns += [Column(language, get_language(language).title) for language in counts]
    rows = [
        (text_cell(value), *(number_cell(count[value], ",d") for count in counts.values()))
        for value in _values(counts.values())
    ]
    return Table(name, f"{title}: how many problems.", tuple(columns), tuple(rows))


def _values(counts: Iterable[Mapping[str, int]]) -> list[str]:
    """The values that occur: known kinds of bug in the paper's order, others by how often they are."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    known = [kind for kind in BUG_TYPES if total[kind]]
    return [*known, *sorted(total.keys() - set(known), key=lambda value: (value == _NONE, -total[value], value))]


def _bug_type(problem: Problem) -> str:
    return problem.bug_type or _NONE


def _symptom(problem: Problem) -> str:
    return problem.failure_symptoms or _NONE


def draw_pack(pack: Sequence[ProblemSet]) -> Figure:
    """Lengths as boxes, kinds of bug and symptoms as stacked bars; a place for each language in all four panels."""
    figure = new_figure(PAGE, 4.6)
    (solutions, documentation), (bugs, symptoms) = figure.subplots(2, 2)
    _draw_boxes(solutions, pack, "solution, lines")
    _draw_boxes(documentation, pack, "documentation, characters")
    _draw_counts(bugs, pack, _bug_type, "kinds of bug")
    _draw_counts(symptoms, pack, _symptom, "symptoms")
    return figure


def _draw_boxes(axes: Axes, pack: Sequence[ProblemSet], name: str) -> None:
    values = [[LENGTHS[name](problem) for problem in problems] for problems in pack]
    axes.boxplot(
        values,
        positions=range(len(pack)),
        widths=0.55,
        patch_artist=True,
        boxprops={"facecolor": color(4), "linewidth": 0.6},
        medianprops={"color": "black", "linewidth": 1.2},
        whiskerprops={"linewidth": 0.6},
        capprops={"linewidth": 0.6},
        flierprops={"marker": ".", "markersize": 2.5, "markeredgecolor": "#777777"},
    )
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, axis="y")
    axes.set_title(name.capitalize(), loc="left")
    _name_languages(axes, pack)


def _draw_counts(axes: Axes, pack: Sequence[ProblemSet], of: Callable[[Problem], str], name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    counts = [Counter(map(of, problems)) for problems in pack]
    ends = [0] * len(pack)
    for index, value in enumerate(_values(counts)):
        heights = [count[value] for count in counts]
        axes.bar(
            range(len(pack)),
            heights,
            bottom=ends,
            width=0.7,
            color=color(index),
            hatch=hatch(index),
            edgecolor="white",
            label=_label(value),
        )
        ends = [end + height for end, height in zip(ends, heights, strict=True)]
    axes.set_ylabel("problems")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(name.capitalize(), loc="left")
    _name_languages(axes, pack)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, fontsize=6)


def _label(value: str) -> str:
    """A value as a legend can show it: in one line, not too long; a name that begins with `_` would be left out."""
    shown = "".join(character if character.isprintable() else " " for character in value)
    shown = shown if len(shown) <= _LABEL_CHARACTERS else f"{shown[: _LABEL_CHARACTERS - 1]}…"
    return f" {shown}" if shown.startswith("_") else shown


def _name_languages(axes: Axes, pack: Sequence[ProblemSet]) -> None:
    titles = [get_language(problems.language).title for problems in pack]
    axes.set_xlim(-0.6, len(pack) - 0.4)
    axes.set_xticks(range(len(pack)), titles, fontsize=6 if len(pack) <= 6 else 5)
    axes.tick_params(axis="x", length=0)
