"""`octopack data commitpack ...` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from octopack_data.commitpack.cli import register
from octopack_data.commitpack.shard import PUBLISHED_COLUMNS

app = typer.Typer()
register(app)

COMMANDS = ["metadata", "group", "scrape", "opt-out", "licenses", "languages", "shard", "publish"]


@app.callback()
def data() -> None:
    """Stand for `octopack data`."""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["commitpack", *map(str, arguments)])


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def tables(tmp_path: Path) -> list[object]:
    languages = write_rows(tmp_path / "l.jsonl", [{"repo_name": "o/r", "language": [{"name": "Go", "bytes": 1}]}])
    licenses = write_rows(tmp_path / "i.jsonl", [{"repo_name": "o/r", "license": "mit"}])
    rows = [
        {
            "commit": f"{n:040x}",
            "subject": "s",
            "message": message,
            "repo_name": ["o/r"],
            "difference": [{"old_path": "a.go", "new_path": "a.go"}],
        }
        for n, message in enumerate(["Fix the total\n", "Update README\n", "x\n"])
    ]
    commits = write_rows(tmp_path / "c.jsonl", rows)
    return ["--languages", languages, "--licenses", licenses, "--commits", commits, "-o", tmp_path / "meta"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0
    assert f"octopack data commitpack {command}" in " ".join(result.output.split())


def test_the_options_of_scrape_are_readable_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = call("scrape", "--help").output
    for name in ("--allow-protocol", "--token-variable", "--max-transfer-bytes", "--no-follow-renames"):
        assert name in text


def test_metadata(tables: list[object], tmp_path: Path) -> None:
    result = call("metadata", *tables, "--reasons")
    assert result.exit_code == 0, result.output
    assert "1 commits in 1 shard(s)" in result.output
    statistics = json.loads((tmp_path / "meta/statistics.json").read_text())
    assert statistics["reasons"]["stock_message"] == 1
    assert statistics["reasons"]["message_length"] == 1
    again = call("metadata", *tables)
    assert "there already" in again.output
    told = call("metadata", *tables, "--explain", f"{1:040x}")
    assert "dropped by stock_message" in told.output
    assert "kept" in call("metadata", *tables, "--explain", f"{0:040x}").output


def test_a_folder_named_like_markup_is_printed_as_it_is(tables: list[object], tmp_path: Path) -> None:
    result = call("metadata", *tables[:-1], tmp_path / "meta[/bold]")
    assert result.exit_code == 0, result.output
    assert "meta[/bold]" in result.output
    assert "sorted[/bold]" in call("group", tmp_path / "meta[/bold]", "-o", tmp_path / "sorted[/bold]").output


def test_metadata_says_what_it_would_do(tables: list[object], tmp_path: Path) -> None:
    result = call("metadata", *tables, "--dry-run")
    assert result.exit_code == 0
    assert not (tmp_path / "meta").exists()
    sql = call("metadata", "--show-sql", "--engine", "bigquery").output
    assert sql.count("SELECT") >= 5
    assert "@licenses" in sql
    assert "$licenses" in call("metadata", "--show-sql").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["metadata"], "give --languages, --licenses, --commits and --output"),
        (["metadata", "--rules", "nowhere.yaml"], "nowhere.yaml: cannot read the rules"),
        (["opt-out", "nowhere", "-o", "out", "--logins", "nowhere.txt"], "nowhere.txt: cannot read the list"),
        (["languages", "nowhere", "-o", "out"], "nowhere: no such file or folder"),
        (["scrape", "nowhere", "-o", "out"], "nowhere: no such file or folder"),
        (["publish", "nowhere"], "no manifest.json"),
        (["publish", "nowhere", "--push", "name"], "expected ORG/NAME"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not list(tmp_path.iterdir())


def test_from_rows_to_a_card(tmp_path: Path) -> None:
    row = dict.fromkeys(PUBLISHED_COLUMNS, "x") | {"new_file": "a.py", "repos": "o/r", "license": "mit"}
    del row["lang"]
    write_rows(tmp_path / "raw/part.jsonl", [row, row | {"repos": "out/x"}, row | {"license": "gpl-3.0"}])
    logins = tmp_path / "logins.txt"
    logins.write_text("out\n")
    for command in (
        ["opt-out", tmp_path / "raw", "-o", tmp_path / "a", "--logins", logins],
        ["licenses", tmp_path / "a", "-o", tmp_path / "b"],
        ["languages", tmp_path / "b", "-o", tmp_path / "c"],
        ["shard", tmp_path / "c", "-o", tmp_path / "d"],
    ):
        result = call(*command)
        assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "d/python/python-0001.jsonl").read_text())["lang"] == "Python"
    card = call("publish", tmp_path / "d").output
    assert "| python |" in card
    assert "data/python/python-0001.jsonl" in card
    assert not (tmp_path / "d/README.md").exists()


def test_grouping(tmp_path: Path) -> None:
    columns = ("commit", "subject", "message", "repos", "license", "old_file", "new_file")
    write_rows(tmp_path / "m/x.jsonl", [dict.fromkeys(columns, "v") | {"repos": f"o/{n}"} for n in range(4)])
    result = call("group", tmp_path / "m", "-o", tmp_path / "out", "--rows-per-shard", 2)
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 2
