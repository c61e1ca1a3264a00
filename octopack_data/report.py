"""What people look at of a data set of commits: languages and kinds of task as figures, Table 4 of the paper."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from octopack_data.commitpack.languages import directory_name, load_languages
from octopack_data.errors import DataError
from octopack_data.statistics import OTHER
from octopack_tasks.report.charts import COLORS, PAGE, new_figure, spread_out, styled, write_figure
from octopack_tasks.report.formats import Cell, Column, Table, number_cell, text_cell

SUMMARY = "summary.json"
"""What `octopack data statistics` writes."""

TASK_GROUPS: Mapping[str, tuple[str, ...]] = {
    "bugs": ("bug fixes",),
    "development": ("new features", "user interface"),
    "testing": ("testing", "logging"),
    "improvement": ("refactoring", "formatting", "performance", "security"),
    "upkeep": ("documentation", "dependencies", "build and tooling", "configuration", "internationalization"),
    "other": (OTHER,),
}
"""The inner ring of the sunburst: groups of kinds of task, much as in Figure 2 of the paper."""


@dataclass(frozen=True, slots=True)
class LanguageSize:
    """How much there is of a language."""

    megabytes: float
    samples: int


@dataclass(frozen=True)
class Corpus:
    """The sizes of a data set.

    Attributes:
        languages: By the folder's name of the language ("c++", "jupyter-notebook").
        megabytes_are: What a megabyte is: the published lists count blocks of the disk, ours the bytes of the rows.
        categories: How many rows ask for which kind of task; empty where that was not counted.
    """

    languages: Mapping[str, LanguageSize]
    megabytes_are: str
    categories: Mapping[str, int] = field(default_factory=dict)

    @property
    def megabytes(self) -> float:
        """Of all languages."""
        return math.fsum(size.megabytes for size in self.languages.values())

    @property
    def samples(self) -> int:
        """Of all languages."""
        return sum(size.samples for size in self.languages.values())

    def share(self, language: str) -> float:
        """Percent of the megabytes that are of a language."""
        size = self.languages.get(language)
        return 100 * size.megabytes / self.megabytes if size and self.megabytes else 0.0


def read_corpora(raw: Path, filtered: Path | None) -> tuple[Corpus, Corpus | None]:
    """Read the sizes of a data set and of what a filter left of it.

    Args:
        raw: A `summary.json` of `octopack data statistics` or its folder; or a folder with the reference's lists
            kilobytes.txt and line_counts.txt, whose kilobytes_filtered.txt and line_counts_filtered.txt then stand for
            the filtered set.
        filtered: The same for the filtered set; None where there is none.

    Raises:
        DataError: Nothing of that is there, or it is malformed.
    """
    lists = raw / "kilobytes.txt"
    if not lists.is_file():
        return _read_summary(raw), _read_corpus(filtered) if filtered else None
    corpus = _read_lists(lists, raw / "line_counts.txt")
    if filtered:
        return corpus, _read_corpus(filtered)
    beside = raw / "kilobytes_filtered.txt"
    return corpus, _read_lists(beside, raw / "line_counts_filtered.txt") if beside.is_file() else None


def _read_corpus(path: Path) -> Corpus:
    lists = path / "kilobytes.txt"
    return _read_lists(lists, path / "line_counts.txt") if lists.is_file() else _read_summary(path)


def _read_summary(path: Path) -> Corpus:
    file = path / SUMMARY if path.is_dir() else path
    try:
        content = orjson.loads(file.read_bytes())
        languages = {
            directory_name(row["language"]): LanguageSize(float(row["megabytes"]), int(row["rows"]))
            for row in content["languages"]
        }
        categories = {str(name): int(count) for name, count in content.get("categories", {}).items()}
    except OSError as error:
        raise DataError(
            f"{file}: cannot read it ({error.strerror}); write it with `octopack data statistics SHARDS -o {path}`"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file}: not a {SUMMARY} of `octopack data statistics` ({error!r})") from error
    if not languages:
        raise DataError(f"{file}: counts no language; run `octopack data statistics` over shards that have rows")
    return Corpus(languages, "million bytes of rows", categories)


def _read_lists(kilobytes: Path, counts: Path) -> Corpus:
    sizes, rows = _numbers(kilobytes), _numbers(counts)
    lacking = sizes.keys() ^ rows.keys()
    if lacking:
        raise DataError(f"{kilobytes} and {counts} do not list the same languages: {', '.join(sorted(lacking)[:5])}")
    languages = {name: LanguageSize(size / 1000, rows[name]) for name, size in sizes.items()}
    return Corpus(languages, "thousand blocks of 1,024 bytes on a disk")


def _numbers(path: Path) -> dict[str, int]:
    """The numbers of a list by language: `124 ags-script` as `du -sc` prints it, or `data/ags-script: 31`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot read it ({error})") from error
    numbers = {}
    for place, line in enumerate(lines, start=1):
        match = re.fullmatch(r"\s*(?:(\d+)\s+(\S+)|(\S+?):?\s+(\d+))\s*", line)
        if match is None:
            raise DataError(f"{path} line {place}: expected a name and a number, not {line!r}")
        name = (match[2] or match[3]).rsplit("/", 1)[-1]
        if name != "total":
            numbers[name] = int(match[1] or match[4])
    return numbers


# ------------------------------------------------------------------------------------------------------------- tables


def languages_table(raw: Corpus, filtered: Corpus | None) -> Table:
    """Table 4 of the paper: megabytes, samples and share of the megabytes of each language, the largest first."""
    corpora = [("Raw", "raw", raw), *([("Filtered", "filtered", filtered)] if filtered else [])]
    columns = [Column("language", "Language", is_number=False)]
    for group, name, _ in corpora:
        title = group if filtered else ""
        columns += [
            Column(f"{name}_megabytes", "MB", group=title),
            Column(f"{name}_samples", "Samples", group=title),
            Column(f"{name}_percent", "% (MB)", group=title),
        ]
    order = sorted(raw.languages, key=lambda name: (-raw.languages[name].megabytes, name))
    if filtered:
        order += sorted(filtered.languages.keys() - raw.languages.keys())
    total = [text_cell("total"), *(cell for _, _, corpus in corpora for cell in _total_cells(corpus))]
    rows = [
        (text_cell(name), *(cell for _, _, corpus in corpora for cell in _size_cells(corpus, name))) for name in order
    ]
    notes = [f"{group}: a megabyte is a {corpus.megabytes_are}." for group, _, corpus in corpora]
    return Table(
        "languages",
        f"Languages of the commits{', before and after filtering' if filtered else ''}, by size.",
        tuple(columns),
        (tuple(total), *rows),
        tuple(notes),
    )


def _total_cells(corpus: Corpus) -> list[Cell]:
    return [
        number_cell(round(corpus.megabytes, 6), ",.2f"),
        number_cell(corpus.samples, ",d"),
        Cell("100.00", 100.0),
    ]


def _size_cells(corpus: Corpus, language: str) -> list[Cell]:
    size = corpus.languages.get(language, LanguageSize(0.0, 0))
    return [
        number_cell(size.megabytes, ",.2f"),
        number_cell(size.samples, ",d"),
        number_cell(round(corpus.share(language), 6), ".2f"),
    ]


def categories_table(corpora: Iterable[tuple[str, Corpus]]) -> Table:
    """Kinds of task: what the commit messages of each data set ask for."""
    counted = [(name, corpus.categories) for name, corpus in corpora if corpus.categories]
    columns = [Column("group", "Group", is_number=False), Column("task", "Task", is_number=False)]
    for name, _ in counted:
        columns += [Column(f"{name}_rows", "Rows", group=name), Column(f"{name}_percent", "%", group=name)]
    rows = []
    for group, kinds in _groups(counted[0][1] if counted else {}).items():
        for kind in kinds:
            cells = [text_cell(group), text_cell(kind)]
            for _, categories in counted:
                count = categories.get(kind, 0)
                share = 100 * count / (sum(categories.values()) or 1)
                cells += [number_cell(count, ",d"), number_cell(round(share, 6), ".1f")]
            rows.append(tuple(cells))
    return Table("tasks", "Kinds of task that the commit messages ask for.", tuple(columns), tuple(rows))


def _groups(categories: Mapping[str, int]) -> dict[str, list[str]]:
    """The kinds that occur by their group, the largest first; kinds of other lists are their own group."""
    known = {kind: group for group, kinds in TASK_GROUPS.items() for kind in kinds}
    groups: dict[str, list[str]] = {}
    for kind in sorted(categories, key=lambda name: (-categories[name], name)):
        if categories[kind]:
            groups.setdefault(known.get(kind, kind), []).append(kind)
    return groups


# ------------------------------------------------------------------------------------------------------------ figures

_BARS = 45
"""Languages with a bar of their own in the figure, as in the paper."""


def draw_languages(raw: Corpus, filtered: Corpus | None, names: tuple[str, str], most: int = _BARS) -> Any:
    """Figure 2, upper half: samples of each language on a logarithmic scale, the filtered ones within the raw."""
    figure = new_figure(PAGE, 2.5)
    axes = figure.add_subplot()
    order = sorted(raw.languages, key=lambda name: (-raw.languages[name].samples, name))
    shown, rest = order[:most], order[most:]
    labels = [_titles().get(name, name) for name in shown] + ([f"{len(rest)} others"] if rest else [])
    positions = range(len(labels))
    least = 1.0
    for index, (name, corpus) in enumerate(zip(names, (raw, filtered), strict=True)):
        if corpus is None:
            continue
        sizes = corpus.languages
        counts = [sizes[language].samples if language in sizes else 0 for language in shown]
        if rest:
            counts.append(sum(size.samples for language, size in sizes.items() if language not in shown))
        least = min([count for count in counts if count], default=1.0)
        axes.bar(
            positions,
            counts,
            width=0.8 if index == 0 else 0.5,
            color=COLORS[4] if index == 0 else COLORS[6],
            label=f"{name} ({corpus.samples:,} samples)",
        )
    axes.set_yscale("log")
    axes.set_ylim(bottom=10 ** math.floor(math.log10(max(least, 1.0))) / 2)
    axes.yaxis.set_major_formatter(lambda value, _: _short_count(value))
    axes.minorticks_off()
    axes.set_ylabel("samples")
    axes.grid(visible=True, axis="y")
    axes.set_xlim(-0.7, len(labels) - 0.3)
    axes.set_xticks(list(positions), labels, rotation=90, fontsize=5.5)
    axes.tick_params(axis="x", length=0)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure


def _titles() -> dict[str, str]:
    """The proper name of a language by its folder's."""
    return {directory_name(language): language for language in load_languages()}


def _short_count(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def draw_tasks(categories: Mapping[str, int]) -> Any:
    """Figure 2, lower half: a sunburst of kinds of task, groups inside."""
    from matplotlib.colors import to_rgb

    figure = new_figure(4.6, 3.1)
    axes = figure.add_subplot()
    total = sum(categories.values())
    groups = _groups(categories)
    inner: list[tuple[str, int, Any]] = []
    outer: list[tuple[str, int, Any]] = []
    for index, (group, kinds) in enumerate(groups.items()):
        base = to_rgb("#999999" if group == OTHER else COLORS[index % (len(COLORS) - 1)])
        inner.append((group, sum(categories[kind] for kind in kinds), base))
        for place, kind in enumerate(kinds):
            outer.append((kind, categories[kind], _paler(base, 0.25 + 0.5 * place / len(kinds))))
    for wedge, (group, count, shade) in zip(_ring(axes, inner, 0.72, 0.55), inner, strict=True):
        _label_piece(axes, (wedge.theta1 + wedge.theta2) / 2, group, count / total, _ink_on(shade))
    labels = [
        ((wedge.theta1 + wedge.theta2) / 2, f"{kind} {_share(count, total)}")
        for wedge, (kind, count, _) in zip(_ring(axes, outer, 1.0, 0.3), outer, strict=True)
    ]
    for is_right in (True, False):
        _label_side(axes, [(angle, text) for angle, text in labels if (_on_circle(1, angle)[0] >= 0) is is_right])
    axes.set_xlim(-2.2, 2.2)
    axes.set_ylim(-1.25, 1.25)
    axes.set_aspect("equal")
    return figure


def _ring(axes: Any, pieces: Sequence[tuple[str, int, Any]], radius: float, width: float) -> Any:
    """Draw pieces (name, count, colour) clockwise from the top as a ring; its wedges."""
    wedges, _ = axes.pie(
        [count for _, count, _ in pieces],
        radius=radius,
        colors=[shade for *_, shade in pieces],
        startangle=90,
        counterclock=False,
        wedgeprops={"width": width, "edgecolor": "white", "linewidth": 0.6},
    )
    return wedges


def _label_piece(axes: Any, angle: float, name: str, share: float, ink: str) -> None:
    """Write a name into a piece of the inner ring: level if there is room, else along the radius; not in a sliver."""
    if share < 0.025:
        return
    x, y = _on_circle(0.47, angle)
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 5.6, "color": ink}
    if share >= 0.18:
        axes.text(x, y, f"{name}\n{share:.0%}", **style)
    else:
        upright = angle if math.cos(math.radians(angle)) >= 0 else angle + 180
        axes.text(x, y, f"{name} {share:.0%}", rotation=upright, rotation_mode="anchor", **style)


def _ink_on(shade: tuple[float, float, float]) -> str:
    """Black or white, whichever reads better on a colour (luminance as in ITU-R BT.709)."""
    red, green, blue = shade
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.4 else "white"


def _label_side(axes: Any, labels: Sequence[tuple[float, str]]) -> None:
    """Write the names of one side in a column, each with a line to its piece."""
    ends = [_on_circle(1.0, angle) for angle, _ in labels]
    heights = spread_out([1.12 * y for _, y in ends], 0.15, -1.2, 1.2)
    for (angle, text), (x, y), height in zip(labels, ends, heights, strict=True):
        side = 1 if x >= 0 else -1
        elbow = _on_circle(1.06, angle)
        axes.plot([x, elbow[0], side * 1.25], [y, elbow[1], height], color="#777777", linewidth=0.5, clip_on=False)
        axes.text(side * 1.29, height, text, ha="left" if side > 0 else "right", va="center", fontsize=6.2)


def _on_circle(radius: float, degrees: float) -> tuple[float, float]:
    return radius * math.cos(math.radians(degrees)), radius * math.sin(math.radians(degrees))


def _paler(shade: tuple[float, float, float], share: float) -> tuple[float, ...]:
    return tuple(part + (1 - part) * share for part in shade)


def _share(count: int, total: int) -> str:
    percent = 100 * count / total
    return f"{percent:.1f} %" if percent >= 0.1 else "< 0.1 %"


# --------------------------------------------------------------------------------------------------------------- both


def write_report(raw: Path, filtered: Path | None, names: tuple[str, str], output: Path) -> list[Path]:
    """Write every table and figure there are numbers for.

    Raises:
        DataError: The inputs are not there or malformed.
        UserError: matplotlib is missing, or the folder cannot be written.
    """
    before, after = read_corpora(raw, filtered)
    written = languages_table(before, after).write(output)
    corpora = [(name, corpus) for name, corpus in zip(names, (before, after), strict=True) if corpus is not None]
    if any(corpus.categories for _, corpus in corpora):
        written += categories_table(corpora).write(output)
    with styled():
        written += write_figure(draw_languages(before, after, names), output, "languages")
        for name, corpus in corpora:
            if any(corpus.categories.values()):
                written += write_figure(
                    draw_tasks(corpus.categories), output, f"tasks-{re.sub(r'[^a-z0-9.+-]+', '-', name.lower())}"
                )
    return written
