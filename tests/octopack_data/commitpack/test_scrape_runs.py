"""Scraping as a step: rows in, rows out, reasons aside; interrupted at any moment it ends with the same bytes."""

from __future__ import annotations

import json
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if shutil.which("git") is None:
    pytest.skip("needs git", allow_module_level=True)
sys.path.insert(0, str(Path(__file__).parent))

from git_server import Change, Server, make_repository, serve

from octopack_data.commitpack.git import Limits, Remote
from octopack_data.commitpack.hosts import Pace
from octopack_data.commitpack.journal import Journal
from octopack_data.commitpack.scrape import ScrapeStep
from octopack_data.errors import DataError
from octopack_data.executors import run_units
from octopack_data.pipeline import Job, discover_units, pending, summarise

Row = dict[str, Any]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "served").mkdir()
    with serve(tmp_path / "served") as running:
        yield running


def metadata_row(commit: str, path: str, repos: str, message: str = "Fix it\n") -> Row:
    return {
        "commit": commit,
        "subject": message.strip(),
        "message": message,
        "repos": repos,
        "license": "mit",
        "old_file": path,
        "new_file": path,
    }


def write_metadata(server: Server, folder: Path, repositories: int = 3, commits: int = 6) -> list[Row]:
    rows = []
    for number in range(repositories):
        name = f"o/r{number}"
        ids = make_repository(server.root, name, [Change({"a.py": b"%d" % n}) for n in range(commits)])
        rows += [metadata_row(commit, "a.py", name) for commit in ids]
    rows += [
        metadata_row("1" * 40, "a.py", "o/gone"),
        metadata_row(rows[0]["commit"], "a.py", "o/gone,o/r0"),
        metadata_row("2" * 40, "a.zzz", "o/r0"),
        metadata_row("3" * 40, "a.py", "o/r0", "Update a.py"),
        metadata_row("4" * 40, "a.py", "o/r0", "lalala"),
        metadata_row("5" * 40, "a.py", ""),
        dict(rows[1]),  # the same row twice stays twice
    ]
    folder.mkdir(exist_ok=True)
    (folder / "meta.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


def step(server: Server, **changes: Any) -> ScrapeStep:
    pace = Pace(connections=4, attempts=2, backoff=0.01)
    return ScrapeStep(remote=Remote(server.template, ("http",)), limits=Limits(seconds=20), **{"pace": pace} | changes)


def run(tool: ScrapeStep, inputs: Path, output: Path) -> Job:
    units = discover_units([inputs])
    job = Job(tool, output)
    run_units(job, pending(job, units))
    assert summarise(job, units).missing == 0
    return job


def rows_of(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_rows_in_are_rows_out(server: Server, tmp_path: Path) -> None:
    rows = write_metadata(server, tmp_path / "meta")
    run(step(server), tmp_path / "meta", tmp_path / "out")
    kept = rows_of(tmp_path / "out/meta.jsonl")
    dropped = rows_of(tmp_path / "out/_dropped/meta.jsonl")
    assert len(kept) + len(dropped) == len(rows)
    assert [row["commit"] for row in kept] == [rows[n]["commit"] for n in (*range(18), 19, 24)]  # in the input's order
    for row in kept:
        assert set(row) == {*rows[0], "old_contents", "new_contents", "repo"}
        assert row["repo"] in row["repos"]
    assert {row["commit"][0]: row["dropped_by"] for row in dropped} == {
        "1": "gone",
        "2": "extension",
        "3": "update_file",
        "4": "noise_message",
        "5": "no_repository",
    }
    gone = next(row for row in dropped if row["dropped_by"] == "gone")
    assert gone["tried"] == [{"repo": "o/gone", "reason": "gone"}]
    assert "not found" in gone["error"]
    statistics = json.loads((tmp_path / "out/statistics.json").read_text())
    assert statistics["tallies"]["repositories"] == {"first": 19, "fork": 1}
    assert not (tmp_path / "out/.octopack/work/meta").exists()


def test_a_second_run_asks_nobody(server: Server, tmp_path: Path) -> None:
    write_metadata(server, tmp_path / "meta")
    run(step(server), tmp_path / "meta", tmp_path / "out")
    before = sum(server.requests.values())
    run(step(server), tmp_path / "meta", tmp_path / "out")
    assert sum(server.requests.values()) == before


def test_how_fast_it_is_fetched_does_not_count_as_a_change(server: Server) -> None:
    slow = step(server, pace=Pace(per_second=1.0, connections=1), group=2)
    assert slow.config() == step(server).config()
    assert step(server, max_repositories=1).config() != step(server).config()


def test_a_step_travels_without_its_token(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "s3cret-t0ken")
    tool = ScrapeStep(remote=Remote(server.template, ("http",), "MY_TOKEN"))
    sent = pickle.dumps(tool)
    assert b"s3cret" not in sent
    assert pickle.loads(sent) == tool
    assert "s3cret" not in json.dumps(tool.config())


def test_a_limit_holds_for_scraping_too(server: Server, tmp_path: Path) -> None:
    write_metadata(server, tmp_path / "meta")
    units = discover_units([tmp_path / "meta"])
    run_units(Job(step(server, limit=3), tmp_path / "out", limit=3), units)
    assert len(rows_of(tmp_path / "out/meta.jsonl")) == 3
    assert not server.requests["o/r1"]


def test_broken_lines_are_kept_aside(server: Server, tmp_path: Path) -> None:
    write_metadata(server, tmp_path / "meta", repositories=1, commits=2)
    with (tmp_path / "meta/meta.jsonl").open("a") as file:
        file.write('{"commit": "cut\n{"commit": 1}\n')
    run(step(server), tmp_path / "meta", tmp_path / "out")
    assert len((tmp_path / "out/_broken/meta.jsonl").read_text().splitlines()) == 2


def test_passing_failures_can_be_tried_again(server: Server, tmp_path: Path) -> None:
    write_metadata(server, tmp_path / "meta")
    server.always["o/r1"] = 500
    run(step(server), tmp_path / "meta", tmp_path / "out")
    dropped = rows_of(tmp_path / "out/_dropped/meta.jsonl")
    assert sum(row["dropped_by"] == "server_error" for row in dropped) == 6
    del server.always["o/r1"]
    run(step(server, retry=True), tmp_path / "out/_dropped/meta.jsonl", tmp_path / "again")
    kept = rows_of(tmp_path / "again/meta.jsonl")
    assert len(kept) == 6
    assert not {"dropped_by", "error", "tried"} & set(kept[0])
    assert {row["dropped_by"] for row in rows_of(tmp_path / "again/_dropped/meta.jsonl")} == {"not_retried"}


def test_an_unreachable_host_stops_and_keeps_what_was_done(server: Server, tmp_path: Path) -> None:
    write_metadata(server, tmp_path / "meta")
    nowhere = ScrapeStep(
        remote=Remote("http://127.0.0.1:1/{repo}.git", ("http",)),
        pace=Pace(attempts=1, backoff=0.01, give_up_after=1, connections=1),
    )
    with pytest.raises(DataError, match="cannot be reached"):
        run(nowhere, tmp_path / "meta", tmp_path / "out")
    assert not (tmp_path / "out/meta.jsonl").exists()


def test_after_an_outage_nothing_is_lost(server: Server, tmp_path: Path) -> None:
    rows = write_metadata(server, tmp_path / "meta", repositories=3)
    server.always |= {"o/r1": 429, "o/r2": 429}
    tool = step(server, pace=Pace(connections=1, attempts=1, give_up_after=2))
    with pytest.raises(DataError, match="keeps limiting the rate"):
        run(tool, tmp_path / "meta", tmp_path / "out")
    server.always.clear()
    server.requests.clear()
    run(tool, tmp_path / "meta", tmp_path / "out")
    assert len(rows_of(tmp_path / "out/meta.jsonl")) == len(rows) - 5
    assert not {"server_error", "rate_limited"} & {
        row["dropped_by"] for row in rows_of(tmp_path / "out/_dropped/meta.jsonl")
    }
    assert server.requests["o/r0"] <= 2  # only for the row that was still open


def test_one_row_can_be_explained(server: Server, tmp_path: Path) -> None:
    rows = write_metadata(server, tmp_path / "meta")
    assert [j.passed for j in step(server).explain(dict(rows[0]))] == [True, True, True, True]
    assert [(j.rule, j.passed) for j in step(server).explain(dict(rows[20]))] == [("extension", False)]
    last = step(server).explain(dict(rows[18]))[-1]
    assert (last.rule, last.passed) == ("gone", False)


# ----------------------------------------------------------------------------------------------------------- journal


def test_a_journal_survives_being_cut_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    keys = [f"{n:032x}" for n in range(5)]
    journal = Journal(path, "heading")
    for number, key in enumerate(keys):
        journal.add(key, json.dumps({"n": number, "text": "\u00e9" * number}).encode())
    journal.close()
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        cut = Journal(path, "heading")
        there = [key for key in keys if key in cut]
        assert there == keys[: len(there)]
        for key in keys[len(there) :]:
            cut.add(key, json.dumps({"n": int(key, 16)}).encode())
        assert [json.loads(cut.wait_for(key, lambda: False))["n"] for key in keys] == list(range(5))
        cut.close()


def test_a_journal_of_another_run_is_not_used(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", "one")
    journal.add("0" * 32, b"{}")
    journal.close()
    assert "0" * 32 not in Journal(tmp_path / "journal", "other")


# ---------------------------------------------------------------------------------------------------- kill, and go on


def command(server: Server, output: Path, meta: Path, *more: str) -> list[str]:
    call = "from octopack_tasks.cli import main; main()"
    options = [
        "--remote",
        server.template,
        "--allow-protocol",
        "http",
        "--connections",
        "2",
        "--commits-per-fetch",
        "4",
    ]
    return [sys.executable, "-c", call, "data", "commitpack", "scrape", str(meta), "-o", str(output), *options, *more]


def files_of(output: Path) -> dict[str, bytes]:
    """Every result, without the engine's own records."""
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file() and ".octopack" not in path.parts
    }


def test_killed_and_run_again_it_gives_the_same_bytes(server: Server, tmp_path: Path) -> None:
    write_metadata(server, tmp_path / "meta", repositories=4, commits=12)
    done = subprocess.run(command(server, tmp_path / "whole", tmp_path / "meta"), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    asked_for_all = sum(server.requests.values())
    server.requests.clear()
    slowly = command(server, tmp_path / "cut", tmp_path / "meta", "--requests-per-second", "4")
    journal = tmp_path / "cut/.octopack/work/meta/journal"
    for lines in (5, 20):  # interrupted twice, each time in the middle of the work
        process = subprocess.Popen(slowly, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if journal.is_file() and journal.read_bytes().count(b"\n") > lines:
                break
            time.sleep(0.02)
        assert process.poll() is None, "the run ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "cut/meta.jsonl").exists()
    before = sum(server.requests.values())
    done = subprocess.run(command(server, tmp_path / "cut", tmp_path / "meta"), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert files_of(tmp_path / "cut") == files_of(tmp_path / "whole")
    assert sum(server.requests.values()) - before < asked_for_all  # what was there was not fetched again
    assert not list((tmp_path / "cut").rglob("repository-*"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--remote", "ssh://git@host/{repo}"], "protocol 'ssh' is not allowed"),
        (["--token-variable", "NO_SUCH_VARIABLE_HERE"], "no such environment variable"),
        (["--full-bytes", "999999999999"], "is above --max-transfer-bytes"),
        (["--shard", "3/2"], "expected i/n"),
    ],
)
def test_wrong_options_are_one_line(server: Server, tmp_path: Path, more: list[str], message: str) -> None:
    write_metadata(server, tmp_path / "meta", repositories=1, commits=2)
    done = subprocess.run(
        command(server, tmp_path / "out", tmp_path / "meta", *more), capture_output=True, check=False, text=True
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
