"""`octopack report`, as a user types it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from chromium import Page
from synthetic_runs import write_run

from octopack_tasks import cli
from octopack_tasks.errors import UserError

Typed = Callable[..., tuple[int, str, str]]

TASKS = ["humanevalfixtests-python", "humanevalfixtests-go"]


@pytest.fixture
def octopack(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Typed:
    """Types a command: its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    (ours,) = [point for point in entry_points(group="octopack.commands") if point.name == "evaluate"]

    def type_(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["octopack", *map(str, arguments)])
        monkeypatch.setattr(cli, "entry_points", lambda group: [ours])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return type_


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take seconds, and have tests of their own."""
    monkeypatch.setattr("octopack_tasks.report.figures.write_figures", lambda *_: [])


def there(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_report_of_two_runs_beside_published_scores(octopack: Typed, tmp_path: Path, page: Page) -> None:
    write_run(Path("a"), TASKS, model="made/first-7B", n_samples=2)
    write_run(Path("b"), TASKS, model="made/second-1B", n_samples=2, judge_share=0.6)
    code, out, err = octopack("report", "a", "b", "--with", "octocoder", "--out", "report")
    assert code == 0, err
    assert out.startswith("report/index.html: 2 run(s); viewer.html (")
    assert "second-1B is not whole" in err
    files = there(Path("report"))
    assert {"index.html", "viewer.html", "report.json", "tables/summary.md", "figures/overview.svg"} <= files
    assert set(json.loads(Path("report/report.json").read_text())["files"]) == files - {"report.json"}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".report")]
    page.call("Page.navigate", url=(tmp_path / "report" / "index.html").as_uri())
    page.wait("document.readyState === 'complete' && document.images.length > 2")
    page.wait("[...document.images].every(image => { image.loading = 'eager'; return image.naturalWidth > 0 })")
    linked = page.evaluate("[...document.querySelectorAll('a')].map(link => link.getAttribute('href'))")
    assert set(linked) == files - {"index.html", "report.json"}
    page.requests.clear()  # its own figures, from disk


@pytest.mark.usefixtures("no_figures")
def test_what_a_killed_report_left_is_in_nobodys_way(octopack: Typed) -> None:
    write_run(Path("a"), TASKS, n_samples=1)
    Path(f".report.{os.getpid()}").mkdir()  # in a container, the next process may well have the same number
    code, _, err = octopack("report", "a", "--out", "report")
    assert code == 0, err


@pytest.mark.usefixtures("no_figures")
def test_a_new_report_leaves_nothing_of_the_old_and_all_that_is_not_its_own(octopack: Typed) -> None:
    write_run(Path("a"), TASKS, model="made/first", n_samples=1)
    write_run(Path("b"), ["humanevalsynthesize-python"], model="made/second", n_samples=1)
    assert octopack("report", "a", "--out", "report")[0] == 0
    Path("report/my-notes.md").write_text("mine")
    before = there(Path("report"))
    assert octopack("report", "b", "--out", "report")[0] == 0
    after = there(Path("report"))
    assert "tables/scores-fixtests.md" in before - after
    assert "my-notes.md" in after
    Path("report/report.json").write_text(json.dumps({"files": ["../a/manifest.json", "/etc/hostname"]}))
    assert octopack("report", "b", "--out", "report")[0] == 0
    assert Path("a/manifest.json").exists()


@pytest.mark.usefixtures("no_figures")
def test_bad_input_is_one_line_and_writes_nothing(octopack: Typed, tmp_path: Path, toy_folder: Path) -> None:
    write_run(Path("a"), TASKS, n_samples=1)
    write_run(Path("empty"), TASKS, judge_share=0)
    write_run(Path("toy"), TASKS[:1], dataset=str(toy_folder), model="made/toy")
    Path("file").write_text("")
    before = there(tmp_path)
    for arguments, complaint in (
        (("nowhere",), "no file or folder nowhere"),
        (("empty",), "empty run"),
        (("a", "toy"), "--allow-mixed"),
        (("a", "--with", "octocodr"), "OctoCoder"),
    ):
        code, out, err = octopack("report", *arguments, "--out", "report")
        assert (code, out) == (2, "")
        assert complaint in err
        assert "Traceback" not in err
    assert octopack("report", "a", "--out", "file")[0] == 2
    assert octopack("report", "a", "--out", "a")[0] == 2
    assert there(tmp_path) == before
    code, _, err = octopack("report", "a", "toy", "--out", "report", "--allow-mixed")
    assert code == 0
    assert "another dataset" in err


def test_a_report_that_fails_half_way_changes_nothing(
    octopack: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> list[Path]:
        raise UserError("the disk is full")

    write_run(Path("a"), TASKS, n_samples=1)
    monkeypatch.setattr("octopack_tasks.report.figures.write_figures", fails)
    before = there(tmp_path)
    code, _, err = octopack("report", "a", "--out", "report")
    assert code == 2
    assert "the disk is full" in err
    assert there(tmp_path) == before
    assert not Path("report").exists()


def test_without_matplotlib_all_but_the_figures_is_written(octopack: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    known = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *more: None if name == "matplotlib" else known(name, *more)
    )
    write_run(Path("a"), TASKS, n_samples=1)
    code, _, err = octopack("report", "a", "--out", "report")
    assert code == 0
    assert "octopack[report]" in err
    assert {"viewer.html", "tables/summary.md"} <= there(Path("report"))


def test_published_scores_alone_are_the_papers_figures(octopack: Typed) -> None:
    code, out, err = octopack("report", "--with", "octocoder,ablations", "--out", "paper")
    assert code == 0, err
    assert out.startswith("paper/index.html: 0 run(s); ")
    files = there(Path("paper"))
    assert {"figures/overview.svg", "figures/ablations.pdf", "tables/scores-fixtests.tex", "index.html"} <= files
    assert "viewer.html" not in files
    assert not any(name.startswith("model-card") for name in files)
    assert "viewer.html" not in Path("paper/index.html").read_text()


@pytest.mark.usefixtures("no_figures")
def test_a_name_from_outside_does_nothing_to_terminals_and_files(octopack: Typed) -> None:
    write_run(Path("a"), TASKS[:1], model="evil/red\x1b[31m\u202e\ud800\nx", n_samples=1, judge_share=0.6)
    code, _, err = octopack("report", "a", "--out", "report")
    assert code == 0, err
    assert r"red\x1b[31m\u202e\ud800\nx is not whole" in err
    assert r"red\\x1b\[31m" in Path("report/tables/summary.md").read_text()


def test_nothing_to_report(octopack: Typed) -> None:
    code, _, err = octopack("report", "--out", "report")
    assert (code, "name at least one run, or published models with --with" in err) == (2, True)
