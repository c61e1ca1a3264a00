"""Figures: all formats, nothing cut off, no text over other text, only what is known is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from report_runs import invented_run

from octopack_tasks.errors import UserError
from octopack_tasks.report import charts, figures
from octopack_tasks.report.inputs import Settings
from octopack_tasks.report.published import find_published
from octopack_tasks.report.standings import entries_of

pytest.importorskip("matplotlib")

THREE = ("fixtests", "explainsynthesize", "synthesize")


@pytest.fixture
def style() -> Iterator[None]:
    with charts.styled():
        yield


def texts_of(figure: Any) -> list[Any]:
    """The texts that are visible in a figure, after it is laid out."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def overlaps(figure: Any) -> list[tuple[str, str]]:
    """Pairs of texts that lie on each other by more than a hair."""
    boxes = [
        (text.get_text(), text.get_window_extent().padded(-1)) for text in texts_of(figure) if not text.get_rotation()
    ]
    return [(a, b) for (a, box_a), (b, box_b) in combinations(boxes, 2) if box_a.overlaps(box_b)]


def bars_of(axes: Any) -> list[float]:
    return [bar.get_height() for container in axes.containers for bar in container]


@pytest.mark.usefixtures("style")
def test_figure_1_has_the_papers_bars() -> None:
    figure = figures.draw_overview(entries_of([], find_published(["all"])))
    assert figure is not None
    titles = [axes.get_title().split("\n")[0] for axes in figure.axes]
    assert titles == ["Fixing code", "Explaining code", "Synthesizing code"]
    texts = [text.get_text() for text in texts_of(figure)]
    for printed in ("27.0", "24.5", "35.5", "47.8", "52.1", "78.3", "40.1", "7.5"):
        assert printed in texts
    assert "OctoCoder † (15.5B)" in texts
    assert not overlaps(figure)


@pytest.mark.usefixtures("style")
def test_bars_are_the_wider_the_more_parameters() -> None:
    figure = figures.draw_overview(entries_of([], find_published(["octogeex,octocoder,bloomz,gpt-4"])))
    assert figure is not None
    widths = [container[0].get_width() for container in figure.axes[0].containers]
    octogeex, octocoder, bloomz, gpt4 = widths
    assert octogeex < octocoder < bloomz
    assert gpt4 == octocoder  # not known: the median


@pytest.mark.usefixtures("style")
def test_half_runs_have_no_bar_among_means() -> None:
    half = invented_run("half", scenarios=THREE, lacks={"humanevalfixtests-go": ("half",)})
    figure = figures.draw_overview(entries_of([half], []))
    assert figure is not None
    fix, explain, _ = figure.axes
    assert bars_of(fix) == [0]
    assert bars_of(explain) != [0]
    assert "n/a" in [text.get_text() for text in texts_of(figure)]
    assert figures.draw_overview(entries_of([invented_run("h", lacks={"humanevalfixtests-go": ("half",)})], [])) is None


@pytest.mark.usefixtures("style")
def test_languages_have_intervals_and_halves_are_pale() -> None:
    run = invented_run(lacks={"humanevalfixtests-go": ("half",)})
    figure = figures.draw_languages(entries_of([run], find_published(["octocoder"])), "fixtests")
    assert figure is not None
    (axes,) = figure.axes
    published, ours = axes.containers
    assert [bar.get_height() for bar in published] == pytest.approx([30.4, 28.4, 30.6, 30.2, 26.1, 16.5])
    assert [bar.get_alpha() for bar in ours] == [None, None, None, 0.45, None, None]
    results = {result.language: result.scores[0] for result in run.results}
    drawn = sorted(tuple(line.get_ydata()) for line in axes.lines)
    assert drawn == sorted((100 * (score.low or 0), 100 * (score.high or 0)) for score in results.values())
    assert "* half a run" in [text.get_text() for text in texts_of(figure)]
    assert not overlaps(figure)


@pytest.mark.usefixtures("style")
def test_curves_rise_and_need_more_than_one_sample() -> None:
    run = invented_run(languages=["python", "go"], settings=Settings("instruct", 6, 0.8))
    figure = figures.draw_curves(entries_of([run], []), "fixtests")
    assert figure is not None
    for axes in figure.axes:
        (line,) = axes.lines
        assert list(line.get_xdata()) == [1, 2, 3, 5, 6]
        values = list(line.get_ydata())
        assert values == sorted(values)
    single = invented_run(settings=Settings("instruct", 1, 0.0))
    assert figures.draw_curves(entries_of([single], []), "fixtests") is None


@pytest.mark.usefixtures("style")
def test_figure_4_has_the_papers_lines() -> None:
    figure = figures.draw_ablations(entries_of([], find_published(["ablations"])))
    assert figure is not None
    lines = {line.get_label(): list(line.get_ydata()) for line in figure.axes[0].lines}
    assert lines["Fixing code"][5] == pytest.approx(30.4)
    assert lines["Explaining code"][:3] == pytest.approx([0.0, 0.6, 34.5])
    assert lines["Mean"][5] == pytest.approx(37.2333, abs=1e-3)
    assert not overlaps(figure)
    one = [invented_run(scenarios=THREE)]
    assert figures.draw_ablations(entries_of(one, find_published(["octocoder"]))) is None


@pytest.mark.usefixtures("style")
def test_failures_add_up() -> None:
    runs = [invented_run("a"), invented_run("b")]
    figure = figures.draw_failures(entries_of(runs, []), "fixtests")
    assert figure is not None
    ends = [0.0] * 12
    for container in figure.axes[0].containers:
        for index, bar in enumerate(container):
            assert bar.get_x() == pytest.approx(ends[index])
            ends[index] += bar.get_width()
    assert ends == pytest.approx([100] * 12)
    assert not overlaps(figure)


@pytest.mark.usefixtures("style")
def test_bugs_are_pooled_over_languages() -> None:
    run = invented_run(languages=["python", "go"])
    figure = figures.draw_bug_types(entries_of([run], []), "fixtests")
    assert figure is not None
    shares = [result.bug_types["missing logic"].pass_at_1 for result in run.results]
    assert bars_of(figure.axes[0])[0] == pytest.approx(100 * sum(shares) / 2)


def test_every_figure_is_written_in_three_formats_and_equal_again(tmp_path: Path) -> None:
    runs = [invented_run("7B $x_1^ <b>", scenarios=("fixtests", "synthesize"), languages=["python"])]
    written = figures.write_figures(runs, find_published(["gpt-4"]), tmp_path / "a")
    names = {path.stem for path in written}
    assert names == {
        *("overview", "languages-fixtests", "languages-synthesize", "pass-at-k-fixtests", "pass-at-k-synthesize"),
        *("failures-fixtests", "failures-synthesize", "bug-types-fixtests"),
    }
    assert {path.suffix for path in written} == {".png", ".pdf", ".svg"}
    starts = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}
    again = figures.write_figures(runs, find_published(["gpt-4"]), tmp_path / "b")
    for one, other in zip(written, again, strict=True):
        content = one.read_bytes()
        assert content.startswith(starts[one.suffix])
        assert content == other.read_bytes()
    assert "<b>" not in (tmp_path / "a" / "overview.svg").read_text(encoding="utf-8")


def test_the_users_own_settings_are_left_alone(tmp_path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 33}):
        figures.write_figures([invented_run(languages=["python"])], [], tmp_path)
        assert matplotlib.rcParams["font.size"] == 33


def test_names_that_are_too_long_are_cut_in_the_middle() -> None:
    (entry,) = entries_of([invented_run("a" * 40 + "-checkpoint-99")], [])
    assert figures._title(entry) == "a" * 23 + "…heckpoint-99"


@pytest.mark.filterwarnings("error")
def test_a_name_that_the_font_lacks_is_drawn_without_a_complaint(tmp_path: Path) -> None:
    with charts.styled():
        figure = charts.new_figure(2, 2)
        figure.suptitle("\N{CJK UNIFIED IDEOGRAPH-6A21}\N{OCTOPUS}")
        assert len(charts.write_figure(figure, tmp_path, "name")) == 3


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not write the figure overview"):
        figures.write_figures([invented_run(languages=["python"])], [], tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("positions", "expected"),
    [([], []), ([0.5], [0.5]), ([0.5, 0.5], [0.5, 0.6]), ([1.0, 1.0, 1.0], [0.8, 0.9, 1.0]), ([0, 1], [0, 1])],
)
def test_labels_are_spread_out(positions: list[float], expected: list[float]) -> None:
    assert charts.spread_out(positions, 0.1, 0, 1) == pytest.approx(expected)
