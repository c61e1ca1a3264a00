"""What a pack is like, counted from its rows."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from octopack_tasks import cli, load_problems
from octopack_tasks.errors import UserError
from octopack_tasks.languages import LANGUAGES
from octopack_tasks.report.charts import styled
from octopack_tasks.report.formats import Table
from octopack_tasks.report.problem_statistics import draw_pack, load_pack, tables, write_statistics

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def octopack(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Types a command: its exit code, output and errors."""

    def type_(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["octopack", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return type_


def rows_of(table: Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(table.json())["rows"]
    return rows


def test_the_starter_pack_is_counted() -> None:
    pack = load_pack("starter")
    assert {problems.language for problems in pack} == set(LANGUAGES)
    lengths, bugs, symptoms = tables(pack)
    python = {row["length"]: row for row in rows_of(lengths) if row["language"] == "Python"}
    texts = [problem.docstring for problem in load_problems("python", "starter")]
    documentation = python["documentation, characters"]
    assert documentation["mean"] == pytest.approx(sum(map(len, texts)) / len(texts))
    assert (documentation["min"], documentation["max"]) == (min(map(len, texts)), max(map(len, texts)))
    for table in (bugs, symptoms):
        for problems in pack:
            assert sum(row[problems.language] for row in rows_of(table)) == len(problems)


def test_humanevalpack_has_the_papers_bugs(shared: Path) -> None:
    """Table 16 has its kinds of bug; the six languages have the same bugs."""
    _, bugs, symptoms = tables(load_pack(shared / "data" / "humanevalpack"))
    counts = {row.pop("bug-type"): set(row.values()) for row in rows_of(bugs)}
    assert counts == {
        "missing logic": {33},
        "excess logic": {31},
        "value misuse": {44},
        "operator misuse": {25},
        "variable misuse": {23},
        "function misuse": {8},
    }
    assert {row["symptom"]: row["go"] for row in rows_of(symptoms)} == {
        "incorrect output": 160,
        "infinite loop": 3,
        "stackoverflow": 1,
    }


def test_own_packs_with_some_languages_and_without_bugs(row: dict[str, Any], tmp_path: Path) -> None:
    rows = [{**row, "bug_type": ""}, {**row, "task_id": "Toy/1", "bug_type": "own [kind]"}]
    (tmp_path / "python.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pack = load_pack(tmp_path)
    assert [problems.language for problems in pack] == ["python"]
    assert [row["bug-type"] for row in rows_of(tables(pack)[1])] == ["own [kind]", "not told"]


def test_the_figure_has_every_problem(tmp_path: Path) -> None:
    pack = load_pack("starter")
    with styled():
        figure = draw_pack(pack)
        heights = [bar.get_height() for container in figure.axes[2].containers for bar in container]
    assert sum(heights) == sum(map(len, pack))
    names = {path.name for path in write_statistics(pack, tmp_path)}
    assert names >= {"lengths.md", "bug-types.tex", "symptoms.csv", "problems.png", "problems.pdf", "problems.svg"}


def test_a_pack_of_one_problem_with_odd_kinds_is_drawn(row: dict[str, Any], tmp_path: Path) -> None:
    odd = {"bug_type": "_own\x1b[2J\nkind", "failure_symptoms": "$x^$" * 99}
    (tmp_path / "python.jsonl").write_text(json.dumps({**row, **odd}) + "\n")
    pack = load_pack(tmp_path)
    with styled():
        bugs, symptoms = draw_pack(pack).axes[2:]
    for axes, label in ((bugs, " _own [2J kind"), (symptoms, "$x^$" * 9 + "$x^…")):
        legend = axes.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == [label]
        assert all(tick == int(tick) for tick in axes.get_yticks())  # there is no half a problem
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_statistics(pack, tmp_path / "out")
    ElementTree.parse(tmp_path / "out" / "problems.svg")


def test_the_command(octopack: Typed, tmp_path: Path, row: dict[str, Any]) -> None:
    (tmp_path / "python.jsonl").write_text(json.dumps({**row, "failure_symptoms": "[red]odd"}) + "\n")
    code, out, _ = octopack("tasks", "stats", "--dataset", tmp_path, "--out", tmp_path / "out")
    assert code == 0
    assert "missing logic" in out
    assert "[red]odd" in out  # a dataset's text is text
    assert out.rstrip().endswith(f"15 files in {tmp_path / 'out'}")
    code, _, err = octopack("tasks", "stats", "--dataset", tmp_path / "absent")
    assert (code, "no folder" in err) == (2, True)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no file python\.jsonl"):
        load_pack(tmp_path)
