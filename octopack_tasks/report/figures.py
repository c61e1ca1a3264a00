"""Figures of results: Figures 1 and 4 of the paper for any models; languages, pass@k, causes of failure, bugs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octopack_tasks.readings import PAPER
from octopack_tasks.report.charts import (
    COLORS,
    COLUMN,
    PAGE,
    color,
    hatch,
    new_figure,
    percent_axis,
    spread_out,
    styled,
    write_figure,
)
from octopack_tasks.report.formats import percent_text
from octopack_tasks.report.inputs import ReportRun, Score
from octopack_tasks.report.published import PublishedModel
from octopack_tasks.report.standings import (
    HALF_MARK,
    PUBLISHED_MARK,
    SCENARIO_TITLES,
    Entry,
    averaged,
    entries_of,
    language_title,
    readings_of,
    scenarios_of,
    tasks_of,
)
from octopack_tasks.report.tables import BUG_TYPES, OUTCOMES, size_text
from octopack_tasks.results import NO_ANSWER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = {
    "fixtests": "Fixing code",
    "fixdocs": "Fixing code (docs)",
    "explainsynthesize": "Explaining code",
    "synthesize": "Synthesizing code",
}
"""The panels of Figure 1: scenarios by what they ask for. The paper has three, without fixdocs."""
_ABLATION_LINES = ("fixtests", "explainsynthesize", "synthesize")
_OUTCOME_COLORS = {
    "passed": "#009E73",
    "failed": "#D55E00",
    "runtime_error": "#E69F00",
    "compile_error": "#CC79A7",
    "timeout": "#56B4E9",
    "memory_limit": "#0072B2",
    "output_limit": "#332288",
    NO_ANSWER: "#BBBBBB",
}
_DARK_OUTCOMES = ("memory_limit", "output_limit")
_WIDEST_BAR = 0.6
_LETTERS = 36
"""The longest name of a model in a figure; tables have it whole."""
_CURVE_KS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)
"""The k's of a curve, evenly spread on its logarithmic axis."""


def write_figures(runs: Sequence[ReportRun], published: Sequence[PublishedModel], out: Path) -> list[Path]:
    """Write every figure there are numbers for, as PNG, PDF and SVG.

    Args:
        runs: The runs; without any, the published scores stand alone.
        published: The published models to set beside them.
        out: The folder; figures of another reading than `paper` have it in their names.

    Raises:
        UserError: matplotlib is missing, or the folder cannot be written.
    """
    written: list[Path] = []
    with styled():
        for reading in readings_of(runs):
            suffix = "" if reading == PAPER.name else f"-{reading}"
            for name, figure in figures(entries_of(runs, published, reading)).items():
                written += write_figure(figure, out, f"{name}{suffix}")
    return written


def figures(entries: Sequence[Entry]) -> dict[str, Figure]:
    """Every figure of entries of one reading, by name; drawn inside `styled`."""
    drawn: dict[str, Figure | None] = {"overview": draw_overview(entries), "ablations": draw_ablations(entries)}
    for scenario in scenarios_of(entries):
        drawn[f"languages-{scenario}"] = draw_languages(entries, scenario)
        drawn[f"pass-at-k-{scenario}"] = draw_curves(entries, scenario)
        drawn[f"failures-{scenario}"] = draw_failures(entries, scenario)
        drawn[f"bug-types-{scenario}"] = draw_bug_types(entries, scenario)
    return {name: figure for name, figure in drawn.items() if figure is not None}


# ----------------------------------------------------------------------------------------------------------- Figure 1


def draw_overview(entries: Sequence[Entry]) -> Figure | None:
    """Figure 1: a panel a scenario, a bar a model, its mean pass@1 as height; the more parameters, the wider.

    Widths grow with the square root of the number of parameters, so that 176B does not crush 6B; a model whose number
    is not known has the median width and a dashed outline. None where no model has a mean.
    """
    runs = [entry for entry in entries if not entry.is_published]
    panels = {name: averaged(tasks_of(entries, name)) for name in PANELS if name in scenarios_of(entries)}
    if len(panels) == len(PANELS) and not any(entry.mean(panels["fixdocs"]) for entry in runs):
        del panels["fixdocs"]
    shown = [entry for entry in entries if any(entry.mean(tasks) is not None for tasks in panels.values())]
    if not shown or (runs and all(entry.is_published for entry in shown)):
        return None
    figure = new_figure(PAGE if len(panels) > 1 or len(shown) > 6 else COLUMN, 2.3)
    inks, widths = _inks(entries), _widths(shown)
    is_upright = len(shown) * len(panels) > 15
    for axes, (scenario, tasks) in zip(_panels(figure, len(panels)), panels.items(), strict=True):
        left = 0.0
        for entry, width in zip(shown, widths, strict=True):
            mean = entry.mean(tasks)
            axes.bar(
                left + width / 2,
                100 * mean if mean is not None else 0,
                width=width,
                label=f"{_title(entry)} ({size_text(entry.parameters) or '?'})",
                **_bar_style(inks[entry.title], is_size_known=entry.parameters is not None),
            )
            text = "n/a" if mean is None else percent_text(mean)
            _over_bar(axes, left + width / 2, 100 * (mean or 0), text, is_upright)
            left += width + 0.12
        margin = max(0.2, (3 - left) / 2)  # one bar or two do not fill the panel
        axes.set_xlim(-margin, left - 0.12 + margin)
        axes.set_xticks([])
        axes.set_title(f"{PANELS[scenario]}\n({_languages(tasks)})", y=-0.02, va="top", pad=0, fontsize=7)
    highest = max(100 * mean for entry in shown for tasks in panels.values() if (mean := entry.mean(tasks)) is not None)
    for axes in figure.axes:
        percent_axis(axes, "mean pass@1 (%)" if axes is figure.axes[0] else "")
        axes.set_ylim(0, max(highest * (1.22 if is_upright else 1.12), 1))
    _legend_above(figure, figure.axes[0])
    return figure


def _panels(figure: Figure, count: int) -> list[Axes]:
    axes: Any = figure.subplots(1, count, sharey=True, squeeze=False)
    return list(axes[0])


def _widths(entries: Sequence[Entry]) -> list[float]:
    known = [entry.parameters for entry in entries if entry.parameters]
    middle = statistics.median(known) if known else 1.0
    roots = [math.sqrt((entry.parameters or middle) / middle) for entry in entries]
    return [min(max(root, 0.35), 3.0) for root in roots]


def _inks(entries: Iterable[Entry]) -> dict[str, int]:
    """The number of each entry's colour, the same in all figures of a report; runs have the first ones."""
    ordered = sorted(entries, key=lambda entry: entry.is_published)
    return {entry.title: index for index, entry in enumerate(ordered)}


def _bar_style(ink: int, *, is_size_known: bool = True) -> dict[str, Any]:
    style: dict[str, Any] = {"color": color(ink), "edgecolor": "white", "hatch": hatch(ink)}
    if not is_size_known:
        style |= {"edgecolor": "black", "linestyle": (0, (2, 1.5)), "linewidth": 0.8}
    return style


def _title(entry: Entry, tasks: Iterable[str] = ()) -> str:
    """The entry's name, its middle cut out if it is too long for a legend, with the marks that belong to it."""
    name = entry.name if len(entry.name) <= _LETTERS else f"{entry.name[: _LETTERS - 13]}…{entry.name[-12:]}"
    published = f" {PUBLISHED_MARK}" if entry.is_published else ""
    return f"{name}{published}{HALF_MARK if any(task in entry.half for task in tasks) else ''}"


def _over_bar(axes: Axes, x: float, height: float, text: str, is_upright: bool) -> None:
    axes.annotate(
        text,
        (x, height),
        xytext=(0, 1.5),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=5.5,
        rotation=90 if is_upright else 0,
    )


_INCHES_OF_A_LETTER = 0.0475
_INCHES_OF_A_LEGEND_LINE = 0.125


def _legend_above(figure: Figure, axes: Axes, width: float | None = None) -> None:
    """Set the legend above the panels, in as many columns as fit, and make the figure higher by as much."""
    from matplotlib.lines import Line2D

    handles, labels = axes.get_legend_handles_labels()
    for mark, meaning in ((PUBLISHED_MARK, "published"), (HALF_MARK, "half a run")):
        if any(mark in label for label in labels):
            handles, labels = [*handles, Line2D([], [], linestyle="none")], [*labels, f"{mark} {meaning}"]
    room = (width or figure.get_figwidth()) / _INCHES_OF_A_LETTER
    lines = next(
        lines
        for lines in range(1, len(labels) + 1)
        if lines == len(labels)
        or sum(max(map(len, labels[start : start + lines])) + 8 for start in range(0, len(labels), lines)) <= room
    )
    figure.legend(handles, labels, loc="outside upper center", ncols=math.ceil(len(labels) / lines))
    figure.set_figheight(figure.get_figheight() + _INCHES_OF_A_LEGEND_LINE * lines)


def _languages(tasks: Sequence[str]) -> str:
    titles = [language_title(task) for task in tasks]
    return ", ".join(titles) if len(titles) <= 2 else f"mean of {len(titles)} languages"


# ---------------------------------------------------------------------------------------------------------- languages


def draw_languages(entries: Sequence[Entry], scenario: str) -> Figure | None:
    """pass@1 of a scenario by language, with 95 % intervals where they are known."""
    tasks = tasks_of(entries, scenario)
    scored = [entry for entry in entries if any(task in entry.scores for task in tasks)]
    shown = [entry for entry in scored if not entry.is_ablation] or scored  # ablations have a figure of their own
    figure = new_figure(PAGE if len(shown) * len(tasks) > 12 else COLUMN, 2.2)
    axes = figure.add_subplot()
    inks, width = _inks(entries), min(0.82 / len(shown), _WIDEST_BAR)
    for index, entry in enumerate(shown):
        places = [place + (index - (len(shown) - 1) / 2) * width for place in range(len(tasks))]
        scores = [entry.scores.get(task) for task in tasks]
        bars = axes.bar(
            places,
            [100 * score.value if score else 0 for score in scores],
            width=width * 0.94,
            label=_title(entry, tasks),
            **_bar_style(inks[entry.title]),
        )
        for bar, place, task, score in zip(bars, places, tasks, scores, strict=True):
            _interval(axes, place, score)
            if task in entry.half and score:
                bar.set_alpha(0.45)
                _over_bar(axes, place, 100 * (score.high or score.value), HALF_MARK, is_upright=False)
    percent_axis(axes)
    axes.set_ylim(top=max(min(axes.get_ylim()[1] * 1.06, 104), 1))
    axes.set_xlim(-0.6, len(tasks) - 0.4)
    axes.set_xticks(range(len(tasks)), [language_title(task) for task in tasks])
    axes.tick_params(axis="x", length=0)
    axes.set_title(SCENARIO_TITLES[scenario], loc="left")
    _legend_above(figure, axes)
    return figure


def _interval(axes: Axes, place: float, score: Score | None) -> None:
    if score is not None and score.low is not None and score.high is not None:
        axes.plot([place, place], [100 * score.low, 100 * score.high], color="black", linewidth=0.7)


# ------------------------------------------------------------------------------------------------------------- curves


def draw_curves(entries: Sequence[Entry], scenario: str) -> Figure | None:
    """pass@k against k by language, with 95 % intervals; None where no run has more than one sample a problem."""
    tasks = tasks_of(entries, scenario)
    found = {(entry.title, task): _curve(entry, task) for entry in entries for task in tasks}
    shown = [entry for entry in entries if any(len(found[entry.title, task]) > 1 for task in tasks)]
    tasks = tuple(task for task in tasks if any(len(found[entry.title, task]) > 1 for entry in shown))
    if not tasks:
        return None
    curves = {(entry.title, task): found[entry.title, task] for entry in shown for task in tasks}
    inks = _inks(entries)
    columns = min(len(tasks), 3)
    rows = math.ceil(len(tasks) / columns)
    figure = new_figure(PAGE if columns > 1 else COLUMN, 0.5 + 1.6 * rows)
    panels: Any = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, task in zip(panels.flat, tasks, strict=False):
        for entry in shown:
            curve = curves[entry.title, task]
            ks, ink = [score.k for score in curve], inks[entry.title]
            axes.plot(
                ks,
                [100 * score.value for score in curve],
                color=color(ink),
                linestyle="--" if task in entry.half else "-",
                marker="os^Dv"[ink % 5],
                markersize=2.5,
                label=_title(entry, tasks),
            )
            if all(score.low is not None for score in curve):
                low, high = ([100 * (getattr(score, end) or 0) for score in curve] for end in ("low", "high"))
                axes.fill_between(ks, low, high, color=color(ink), alpha=0.15, linewidth=0)
        axes.set_title(language_title(task), loc="left")
        axes.set_xscale("log")
        _whole_ticks(axes, max(score.k for curve in curves.values() for score in curve))
    highest = max(100 * (score.high or score.value) for curve in curves.values() for score in curve)
    for axes in panels.flat:
        percent_axis(axes, "pass@k (%)" if axes in panels[:, 0] else "")
        axes.set_ylim(0, max(min(highest * 1.05, 102), 1))
    for axes in panels.flat[len(tasks) :]:
        axes.set_visible(False)
    for axes in panels.flat[max(len(tasks) - columns, 0) : len(tasks)]:  # the lowest of each column
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("k")
    _legend_above(figure, panels[0][0])
    return figure


def _curve(entry: Entry, task: str) -> list[Score]:
    """pass@k for some k's up to all samples; what the source tells where its problems are not known."""
    result = entry.results.get(task)
    if result is None or not result.tallies:
        return list(result.scores) if result else []
    most = min(tally.samples for tally in result.tallies.values())
    return result.curve([*(k for k in _CURVE_KS if k < most), most])


def _whole_ticks(axes: Axes, most: int) -> None:
    from matplotlib.ticker import NullLocator

    ticks = [k for base in (1, 10, 100, 1000) for k in (base, 2 * base, 5 * base) if k <= most]
    ticks += [most] if most > 1.3 * ticks[-1] else []
    axes.set_xticks(ticks, [str(k) for k in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


# ----------------------------------------------------------------------------------------------------------- Figure 4


def draw_ablations(entries: Sequence[Entry]) -> Figure | None:
    """Figure 4: how fixing, explaining and synthesizing Python, and their mean, change from model to model.

    None where fewer than two models have all three.
    """
    tasks = [f"humaneval{scenario}-python" for scenario in _ABLATION_LINES]
    shown = [entry for entry in entries if entry.mean(tasks) is not None]
    # The figure is about variants of a model: runs, or the paper's own; a single run beside other models is none.
    variants = [entry for entry in shown if not entry.is_published or entry.is_ablation]
    if len(variants) < 2:
        return None
    figure = new_figure(COLUMN if len(variants) <= 7 else PAGE, 2.9)
    axes = figure.add_subplot()
    lines = [
        *((PANELS[scenario], [100 * entry.scores[task].value for entry in variants])
          for scenario, task in zip(_ABLATION_LINES, tasks, strict=True)),
        ("Mean", [100 * (entry.mean(tasks) or 0) for entry in variants]),
    ]  # fmt: skip
    for index, (name, values) in enumerate(lines):
        is_mean = name == "Mean"
        axes.plot(
            range(len(variants)),
            values,
            color="black" if is_mean else color(index),
            linestyle="--" if is_mean else "-",
            marker="osD^"[index],
            label=name,
            clip_on=False,
        )
    percent_axis(axes)
    low, high = axes.get_ylim()
    ends = spread_out([values[-1] for _, values in lines], (high - low) / 17, low, high)
    for index, ((name, values), end) in enumerate(zip(lines, ends, strict=True)):
        gain = values[-1] - values[0]
        axes.annotate(
            f"{values[-1]:.1f} ({gain:+.1f})",
            (len(variants) - 1, end),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=6,
            color="black" if name == "Mean" else color(index),
        )
    axes.set_xlim(-0.3, len(variants) - 0.7)
    labels = [_wrapped(entry.title) for entry in variants]
    axes.set_xticks(range(len(variants)), labels, rotation=40, ha="right", rotation_mode="anchor", fontsize=6)
    axes.set_ylabel("pass@1 in Python (%)")
    _legend_above(figure, axes)
    return figure


def _wrapped(name: str, most: int = 24) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(name.replace(f" {PUBLISHED_MARK}", f"\N{NO-BREAK SPACE}{PUBLISHED_MARK}"), most)[:3])


# ----------------------------------------------------------------------------------------------------------- failures


def draw_failures(entries: Sequence[Entry], scenario: str) -> Figure | None:
    """How samples ended, in percent, by language and model; None where it is not known."""
    bars = [
        (entry, task)
        for task in tasks_of(entries, scenario)
        for entry in entries
        if task in entry.results and entry.results[task].outcomes
    ]
    if not bars:
        return None
    figure = new_figure(PAGE if len(bars) > 6 else COLUMN + 1.2, 0.75 + 0.17 * len(bars))
    axes = figure.add_subplot()
    found = {outcome for entry, task in bars for outcome in entry.results[task].outcomes}
    order = [*(name for name in OUTCOMES if name in found), *sorted(found.difference(OUTCOMES))]
    places = _places_by_language([task for _, task in bars])
    starts = [0.0] * len(bars)
    for index, outcome in enumerate(order):
        shares = []
        for entry, task in bars:
            outcomes = entry.results[task].outcomes
            shares.append(100 * outcomes.get(outcome, 0) / sum(outcomes.values()))
        shade = _OUTCOME_COLORS.get(outcome, COLORS[index % len(COLORS)])
        label = outcome.replace("_", " ")
        axes.barh(places, shares, left=starts, height=0.84, color=shade, edgecolor="white", label=label)
        for place, start, share in zip(places, starts, shares, strict=True):
            if share >= 6:
                ink = "white" if outcome in _DARK_OUTCOMES else "black"
                style: dict[str, Any] = {"ha": "center", "va": "center_baseline", "fontsize": 5.5, "color": ink}
                axes.text(start + share / 2, place, f"{share:.0f}", **style)
        starts = [start + share for start, share in zip(starts, shares, strict=True)]
    names = [_title(entry, [task]) for entry, task in bars]
    languages = [language_title(task) for _, task in bars]
    is_one = len(set(names)) == 1
    labels = languages if is_one else [f"{name}, {text}" for name, text in zip(names, languages, strict=True)]
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 100)
    axes.set_xlabel(
        "samples (%)" + (f"     {HALF_MARK} half a run" if any(HALF_MARK in name for name in names) else "")
    )
    axes.set_title(f"{SCENARIO_TITLES[scenario]}{f', {names[0]}' if is_one else ''}", loc="left")
    _legend_above(figure, axes)
    return figure


def _places_by_language(tasks: Sequence[str]) -> list[float]:
    """A place for each bar, with a gap where the language changes."""
    places: list[float] = []
    for index, task in enumerate(tasks):
        gap = 1.0 if not index or tasks[index - 1] == task else 1.45
        places.append(places[-1] + gap if places else 0.0)
    return places


# ---------------------------------------------------------------------------------------------------------- bug types


def draw_bug_types(entries: Sequence[Entry], scenario: str) -> Figure | None:
    """pass@1 by kind of bug, the mean of the languages weighted by their problems; None where it is not known."""
    tasks = [
        task for task in tasks_of(entries, scenario) if any(task in e.bug_types for e in entries if not e.is_published)
    ]
    shown = [
        entry
        for entry in entries
        if tasks and all(task in entry.bug_types and task not in entry.half for task in tasks)
    ]
    if not shown:
        return None
    figure = new_figure(PAGE if len(shown) > 2 else COLUMN, 2.1)
    axes = figure.add_subplot()
    inks, width = _inks(entries), min(0.82 / len(shown), _WIDEST_BAR)
    for index, entry in enumerate(shown):
        places = [place + (index - (len(shown) - 1) / 2) * width for place in range(len(BUG_TYPES))]
        shares = [_pooled(entry, tasks, kind) for kind in BUG_TYPES]
        heights = [100 * (share or 0) for share in shares]
        axes.bar(places, heights, width=width * 0.94, label=_title(entry), **_bar_style(inks[entry.title]))
        for place, share, height in zip(places, shares, heights, strict=True):
            text = "n/a" if share is None else percent_text(share, 0)
            _over_bar(axes, place, height, text, is_upright=len(shown) > 4)
    percent_axis(axes)
    axes.set_ylim(top=max(axes.get_ylim()[1] * 1.06, 1))
    axes.set_xlim(-0.6, len(BUG_TYPES) - 0.4)
    axes.set_xticks(range(len(BUG_TYPES)), [kind.replace(" ", "\n") for kind in BUG_TYPES])
    axes.tick_params(axis="x", length=0)
    axes.set_title(f"{SCENARIO_TITLES[scenario]} by kind of bug ({_pooled_languages(tasks)})", loc="left")
    _legend_above(figure, axes)
    return figure


def _pooled_languages(tasks: Sequence[str]) -> str:
    titles = [language_title(task) for task in tasks]
    return ", ".join(titles) if len(titles) <= 2 else f"{len(titles)} languages"


def _pooled(entry: Entry, tasks: Sequence[str], kind: str) -> float | None:
    found = []
    for task in tasks:
        if kind in entry.bug_types[task]:
            result = entry.results.get(task)
            problems = result.bug_types[kind].problems if result else 1
            found.append((entry.bug_types[task][kind], problems))
    total = sum(problems for _, problems in found)
    return sum(share * problems for share, problems in found) / total if total else None
