"""Figures and tables of data sets: with the published lists they are those of the paper."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from octopack_data.cli import register
from octopack_data.errors import DataError
from octopack_data.report import (
    TASK_GROUPS,
    Corpus,
    LanguageSize,
    draw_languages,
    draw_tasks,
    languages_table,
    read_corpora,
    write_report,
)
from octopack_data.statistics import category_names
from octopack_tasks.report.charts import styled

NAMES = ("CommitPack", "CommitPackFT")


@pytest.fixture
def statistics(tmp_path: Path) -> Path:
    """What `octopack data statistics` wrote of a few commits."""
    import typer

    row = {"old_contents": "a\n", "new_contents": "b\n", "message": "m", "license": "mit", "repos": "a/b"}
    subjects = ["Fix crash", "Add tests", "Fix typo in docs", "Bump version", "xyz", "Add feature"]
    languages = ["Python", "Python", "Jupyter Notebook", "C++", "C++", "Python"]
    rows = [
        {**row, "commit": str(n), "subject": subject, "lang": language, "old_file": "f", "new_file": "f"}
        for n, (subject, language) in enumerate(zip(subjects, languages, strict=True))
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    app = typer.Typer()
    register(app)
    done = CliRunner().invoke(app, ["data", "statistics", str(tmp_path / "rows.jsonl"), "-o", str(tmp_path / "stats")])
    assert done.exit_code == 0, done.output
    return tmp_path / "stats"


def lists(folder: Path, kilobytes: str, counts: str, suffix: str = "") -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"kilobytes{suffix}.txt").write_text(kilobytes)
    (folder / f"line_counts{suffix}.txt").write_text(counts)


def test_table_4_is_the_published_one(shared: Path, tmp_path: Path) -> None:
    """Every language, raw and filtered: megabytes, samples and share."""
    recorded = json.loads((shared / "facts" / "language_table.json").read_text(encoding="utf-8"))
    write_report(shared / "data" / "commitpack", None, NAMES, tmp_path)
    rows = {row["language"]: row for row in csv.DictReader((tmp_path / "languages.csv").open())}
    assert len(rows) == len(recorded["languages"]) + 1 == 351
    for language in recorded["languages"]:
        row = rows[language["lang"]]
        for ours, theirs in (("raw", "commitpack"), ("filtered", "commitpackft")):
            assert float(row[f"{ours}_megabytes"]) == pytest.approx(language[f"{theirs}_mb"] or 0, abs=1e-9)
            assert int(row[f"{ours}_samples"]) == (language[f"{theirs}_samples"] or 0)
            assert float(row[f"{ours}_percent"]) == pytest.approx(language[f"{theirs}_pct_mb"] or 0, abs=6e-5)
    totals = recorded["totals"]
    assert float(rows["total"]["raw_megabytes"]) == totals["commitpack_mb"] == 3709175.78
    assert int(rows["total"]["raw_samples"]) == totals["commitpack_samples"] == 57700105
    assert float(rows["total"]["filtered_megabytes"]) == totals["commitpackft_mb"] == 1545.02
    assert int(rows["total"]["filtered_samples"]) == totals["commitpackft_samples"] == 702062
    markdown = (tmp_path / "languages.md").read_text()
    assert "| json | 583,293.82 | 3,495,038 | 15.73 | 86.74 | 39,777 | 5.61 |" in markdown
    order = [row["raw_megabytes"] for name, row in rows.items() if name != "total"]
    assert order == sorted(order, key=float, reverse=True)


def test_figure_2_shows_the_paper_s_languages(shared: Path) -> None:
    raw, filtered = read_corpora(shared / "data" / "commitpack", None)
    with styled():
        figure = draw_languages(raw, filtered, NAMES)
        (axes,) = figure.axes
        labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[:5] == ["Markdown", "Python", "JavaScript", "Java", "JSON"]
    assert labels[-1] == "305 others"  # as in the paper
    before, after = ([bar.get_height() for bar in container] for container in axes.containers)
    assert sum(before) == raw.samples
    assert filtered is not None
    assert sum(after) == filtered.samples
    assert axes.get_ylim()[0] < min(height for height in after if height)


def test_everything_is_drawn_from_our_own_statistics(statistics: Path, tmp_path: Path) -> None:
    written = write_report(statistics, statistics / "summary.json", ("A/set", "B"), tmp_path / "out")
    assert {path.name for path in written} >= {
        *("languages.md", "languages.tex", "languages.csv", "languages.json", "languages.png", "languages.svg"),
        *("tasks.md", "tasks.csv", "tasks-a-set.png", "tasks-b.pdf"),
    }
    table = json.loads((tmp_path / "out" / "languages.json").read_text())
    by_name = {row["language"]: row for row in table["rows"]}
    assert by_name["python"]["raw_samples"] == by_name["python"]["filtered_samples"] == 3
    assert by_name["jupyter-notebook"]["raw_samples"] == 1
    assert "million bytes" in table["notes"][0]
    tasks = list(csv.DictReader((tmp_path / "out" / "tasks.csv").open()))
    assert sum(int(row["A/set_rows"]) for row in tasks) == 6
    assert {"group": "bugs", "task": "bug fixes"}.items() <= tasks[0].items()


def test_every_kind_of_task_has_a_group() -> None:
    assert {kind for kinds in TASK_GROUPS.values() for kind in kinds} == set(category_names())


def test_the_sunburst_has_a_label_for_every_kind() -> None:
    counts = {name: 2**number for number, name in enumerate(category_names())}
    with styled():
        figure = draw_tasks({**counts, "of another list": 5, "never": 0})
        figure.draw_without_rendering()
        texts = [text for text in figure.axes[0].texts if text.get_text()]
        named = [text for text in texts if "%" in text.get_text() and not text.get_rotation()]
        for name in (*category_names(), "of another list"):
            assert any(text.get_text().startswith(name) for text in named), name
        assert not any(text.get_text().startswith("never") for text in texts)
        boxes = [text.get_window_extent().padded(-1) for text in named]
    assert not any(one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[:n])


def test_one_set_alone_and_languages_that_only_the_filtered_has(tmp_path: Path) -> None:
    raw = Corpus({"a": LanguageSize(3.0, 30)}, "mb")
    filtered = Corpus({"b": LanguageSize(1.0, 5)}, "mb")
    rows = json.loads(languages_table(raw, filtered).json())["rows"]
    assert [row["language"] for row in rows] == ["total", "a", "b"]
    alone = languages_table(raw, None)
    assert [column.title for column in alone.columns] == ["Language", "MB", "Samples", "% (MB)"]
    lists(tmp_path / "l", "10 a\n20 b\n30 total\n", "data/a: 1\ndata/b: 2\ndata/total: 3\n")
    assert {path.stem for path in write_report(tmp_path / "l", None, NAMES, tmp_path / "o")} == {"languages"}


@pytest.mark.parametrize(
    ("kilobytes", "counts", "message"),
    [
        ("10 a\n", "data/b: 1\n", "do not list the same languages: a, b"),
        ("ten a\n", "data/a: 1\n", "line 1: expected a name and a number, not 'ten a'"),
        ("10 a extra\n", "data/a: 1\n", "line 1: expected"),
    ],
)
def test_lists_that_do_not_fit_are_refused(tmp_path: Path, kilobytes: str, counts: str, message: str) -> None:
    lists(tmp_path / "lists", kilobytes, counts)
    with pytest.raises(DataError, match=message):
        read_corpora(tmp_path / "lists", None)
    (tmp_path / "lists" / "kilobytes.txt").write_bytes(b"10 caf\xe9\n")
    with pytest.raises(DataError, match=r"kilobytes\.txt: cannot read it"):
        read_corpora(tmp_path / "lists", None)


@pytest.mark.parametrize("content", ["[]", "{", '{"languages": 3}', '{"languages": [{"language": "a"}]}'])
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(DataError, match=r"not a summary\.json of `octopack data statistics`"):
        read_corpora(tmp_path, None)


def test_no_statistics_and_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="write it with `octopack data statistics"):
        read_corpora(tmp_path / "absent", None)
    empty: dict[str, Any] = {"languages": [], "categories": {}}
    (tmp_path / "summary.json").write_text(json.dumps(empty))
    with pytest.raises(DataError, match="counts no language"):
        read_corpora(tmp_path, None)
