"""Scraping from servers on the loopback: the contents, the failures and their reasons, and hostile repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

if shutil.which("git") is None:
    pytest.skip("needs git", allow_module_level=True)
sys.path.insert(0, str(Path(__file__).parent))

from git_server import ENVIRONMENT, Change, Server, git, make_repository, serve

from octopack_data.commitpack.git import (
    Failure,
    GitError,
    Limits,
    Remote,
    check_git,
    classify,
    parse_commit,
    parse_tree,
    tree_path,
)
from octopack_data.commitpack.hosts import HostGate, Pace
from octopack_data.commitpack.scrape import prefilter, target_of
from octopack_data.commitpack.scraper import Decoding, Scraped, Scraper, Strategy, Target
from octopack_data.errors import DataError

FAST = Pace(attempts=2, backoff=0.01, longest=0.05)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "served").mkdir()
    with serve(tmp_path / "served") as running:
        yield running


def scraper(server: Server, **changes: Any) -> Scraper:
    options: dict[str, Any] = {"limits": Limits(seconds=20), "pace": FAST} | changes
    return Scraper(Remote(server.template, ("http",)), **options)


def target(commit: str, path: str = "a.py", repos: str = "o/r", key: str = "") -> Target:
    row = {"commit": commit, "old_file": path, "new_file": path, "repos": repos}
    return target_of(key or f"{commit}{path}", row)


def scrape_one(tool: Scraper, item: Target) -> Scraped:
    (result,) = tool.scrape(item.repositories[0], [item])
    return result


def texts(result: Scraped) -> tuple[str, str]:
    assert result.contents is not None, (result.failure, result.detail)
    return result.contents.old, result.contents.new


# ---------------------------------------------------------------------------------------------------------- contents


@pytest.mark.parametrize("strategy", list(Strategy))
def test_many_commits_of_a_repository(server: Server, strategy: Strategy) -> None:
    changes = [Change({f"src/f{n % 3}.py": b"x = %d\n" % n, "other.txt": b"%d" % n}) for n in range(40)]
    commits = make_repository(server.root, "o/r", changes)
    tool = scraper(server, strategy=strategy)
    results = list(tool.scrape("o/r", [target(c, f"src/f{n % 3}.py") for n, c in enumerate(commits)]))
    for number, result in enumerate(results):
        assert texts(result) == (f"x = {number - 3}\n" if number > 2 else "", f"x = {number}\n")
        assert result.repository == "o/r"
    assert sum(server.requests.values()) < 10  # not one for each commit


@pytest.mark.parametrize("strategy", [Strategy.FULL, Strategy.BLOBLESS])
def test_added_deleted_and_root_commits(server: Server, strategy: Strategy) -> None:
    first, second, third = make_repository(
        server.root, "o/r", [Change({"a.py": b"1"}), Change({"b.py": b"2"}), Change({"a.py": None})]
    )
    tool = scraper(server, strategy=strategy)
    assert texts(scrape_one(tool, target(first))) == ("", "1")
    assert texts(scrape_one(tool, target(second, "b.py"))) == ("", "2")
    assert texts(scrape_one(tool, target(third))) == ("1", "")
    assert texts(scrape_one(tool, target(second))) == ("1", "1")  # untouched by the commit: the same twice


def test_a_merge_is_compared_with_its_first_parent(server: Server, tmp_path: Path) -> None:
    make_repository(server.root, "o/r", [Change({"a.py": b"base"})])
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "-b", "main", str(server.root / "o/r.git"), str(clone))
    git(clone, "checkout", "--quiet", "-b", "side")
    (clone / "b.py").write_text("side")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "side")
    git(clone, "checkout", "--quiet", "main")
    (clone / "a.py").write_text("main")
    git(clone, "commit", "--quiet", "-am", "main")
    git(clone, "merge", "--quiet", "--no-ff", "-m", "merge", "side")
    git(clone, "push", "--quiet", "origin", "main")
    merge = git(clone, "rev-parse", "HEAD")
    assert texts(scrape_one(scraper(server), target(merge, "b.py"))) == ("", "side")
    assert texts(scrape_one(scraper(server), target(merge, "a.py"))) == ("main", "main")


STRANGE_PATHS = [
    "with blank/a b.py",
    "quote'\".py",
    "$(touch pwned).py",
    ";touch pwned;.py",
    "-rf.py",
    "--upload-pack=touch pwned",
    "new\nline.py",
    "tab\t.py",
    "h\u00e9/\u65e5\u672c.py",
    ":(glob)**.py",
    "back\\slash.py",
    "HEAD^.py",
]


@pytest.mark.parametrize("strategy", [Strategy.FULL, Strategy.BLOBLESS])
def test_strange_paths_are_only_paths(server: Server, strategy: Strategy, tmp_path: Path) -> None:
    changes = [Change({path: path.encode()}) for path in STRANGE_PATHS]
    commits = make_repository(server.root, "o/r", changes)
    items = [target(commit, path) for commit, path in zip(commits, STRANGE_PATHS, strict=True)]
    results = list(scraper(server, strategy=strategy, scratch=tmp_path).scrape("o/r", items))
    assert [texts(result) for result in results] == [("", path) for path in STRANGE_PATHS]
    assert not [path for path in tmp_path.rglob("*") if "pwned" in path.name]


# ---------------------------------------------------------------------------------------------------------- failures


def test_every_answer_of_a_server_has_its_reason(server: Server) -> None:
    (commit,) = make_repository(server.root, "o/r", [Change({"a.py": b"1"})])
    statuses = {
        401: Failure.PRIVATE,
        403: Failure.PRIVATE,
        404: Failure.GONE,
        410: Failure.GONE,
        451: Failure.GONE,
        429: Failure.RATE_LIMITED,
        500: Failure.SERVER_ERROR,
        502: Failure.SERVER_ERROR,
        301: Failure.RENAMED,
        302: Failure.RENAMED,
    }
    tool = scraper(server)
    for status, reason in statuses.items():
        server.always[f"s/{status}"] = status
        result = scrape_one(tool, target(commit, repos=f"s/{status}"))
        assert (status, result.failure) == (status, reason), result.detail
        assert result.tried == ((f"s/{status}", reason.value),)
    for name in ("cut", "garbage"):
        shutil.copytree(server.root / "o/r.git", server.root / f"o/{name}.git")
    server.cut["o/cut"] = 150
    server.garbage.add("o/garbage")
    assert scrape_one(tool, target(commit, repos="o/cut")).failure is Failure.SERVER_ERROR
    assert scrape_one(tool, target(commit, repos="o/garbage")).failure is Failure.DAMAGED
    server.hang.add("o/hang")
    slow = scraper(server, limits=Limits(seconds=0.5))
    assert scrape_one(slow, target(commit, repos="o/hang")).failure is Failure.TIMEOUT


def test_what_is_in_a_commit_decides(server: Server) -> None:
    make_repository(server.root, "o/other", [Change({"x": b"1"})])
    cases: list[tuple[dict[str, Any], str, Failure]] = [
        ({"a.py": b"1"}, "b.py", Failure.PATH_MISSING),
        ({"a.py": b"1"}, "a.py/b.py", Failure.PATH_MISSING),
        ({"a.py": b"1"}, "A.py", Failure.PATH_MISSING),
        ({"d/a.py": b"1"}, "d", Failure.NOT_A_FILE),
        ({"a.py": ("120000", b"/etc/passwd")}, "a.py", Failure.NOT_A_FILE),
        ({"d": ("120000", b"/etc")}, "d/passwd", Failure.NOT_A_FILE),
        ({"a.py": ("160000", b"1" * 40)}, "a.py", Failure.NOT_A_FILE),
        ({"a.py": b"x" * 2001}, "a.py", Failure.TOO_LARGE),
        ({"a.py": b"a\0b"}, "a.py", Failure.BINARY),
        ({"a.py": "na\u00efve".encode("latin-1")}, "a.py", Failure.ENCODING),
        ({"a.py": b"1"}, "../a.py", Failure.BAD_REQUEST),
        ({"a.py": b"1"}, "./a.py", Failure.BAD_REQUEST),
        ({"a.py": b"1"}, "d//a.py", Failure.BAD_REQUEST),
        ({"a.py": b"1"}, "", Failure.BAD_REQUEST),
        ({"a.py": b"1"}, "a\0.py", Failure.BAD_REQUEST),
        ({"a.py": b"1"}, "\ud800.py", Failure.BAD_REQUEST),
    ]
    # Each case in a folder of its own, so that no commit edits what another one wrote.
    changes = [Change({f"{n}/{name}": data for name, data in files.items()}) for n, (files, _, _) in enumerate(cases)]
    commits = make_repository(server.root, "o/r", changes)
    items = [target(c, f"{n}/{cases[n][1]}", repos="o/r,o/other") for n, c in enumerate(commits)]
    for strategy in (Strategy.FULL, Strategy.BLOBLESS):
        tool = scraper(server, strategy=strategy, limits=Limits(file_bytes=2000))
        results = {result.target: result for result in tool.scrape("o/r", items)}
        for item, (files, path, reason) in zip(items, cases, strict=True):
            assert results[item].failure is reason, (files, path, results[item])
            assert len(results[item].tried) == 1  # the same commit elsewhere holds the same
    exact = make_repository(server.root, "o/exact", [Change({"a.py": b"x" * 2000})])
    assert (
        len(texts(scrape_one(scraper(server, limits=Limits(file_bytes=2000)), target(exact[0], repos="o/exact")))[1])
        == 2000
    )


def test_the_old_file_can_be_the_fault(server: Server) -> None:
    _, commit = make_repository(server.root, "o/r", [Change({"a.py": ("120000", b"b")}), Change({"a.py": b"1"})])
    assert scrape_one(scraper(server), target(commit)).failure is Failure.NOT_A_FILE


def test_bytes_that_are_no_text_can_be_left_out_as_published(server: Server) -> None:
    (commit,) = make_repository(server.root, "o/r", [Change({"a.py": b"na\xefve \xe2\x82\xac"})])
    assert texts(scrape_one(scraper(server, decoding=Decoding.IGNORE), target(commit)))[1] == "nave \u20ac"


@pytest.mark.parametrize("commit", ["", "HEAD", "main", "-x", "--upload-pack=id", "A" * 40, "f" * 39, "0" * 40 + "\n"])
def test_only_whole_ids_are_asked_for(server: Server, commit: str) -> None:
    make_repository(server.root, "o/r", [Change({"a.py": b"1"})])
    assert scrape_one(scraper(server), target(commit)).failure is Failure.BAD_REQUEST
    assert not server.requests


@pytest.mark.parametrize(
    "name",
    [
        "r",
        "o/r/x",
        "../../etc",
        "o/..",
        "o/.",
        "-o/r",
        "o/r;id",
        "o/r x",
        "o/$(id)",
        "o@h/r",
        "file:///etc",
        "o/" + "r" * 300,
    ],
)
def test_only_names_of_repositories_are_asked_for(server: Server, name: str) -> None:
    result = scrape_one(scraper(server), target("0" * 40, repos=name))
    assert result.failure is Failure.BAD_REPOSITORY
    assert not server.requests


def test_ids_of_other_objects_are_refused(server: Server) -> None:
    make_repository(server.root, "o/r", [Change({"a.py": b"1"})])
    folder = server.root / "o/r.git"
    for name in ("main:a.py", "main^{tree}"):
        result = scrape_one(scraper(server), target(git(folder, "rev-parse", name)))
        assert result.contents is None
        assert result.failure in (Failure.BAD_REQUEST, Failure.GIT_ERROR, Failure.DAMAGED), result.detail


def test_missing_commits_cost_only_themselves(server: Server) -> None:
    commits = make_repository(server.root, "o/r", [Change({"a.py": b"%d" % n}) for n in range(20)])
    missing = [f"{n:040x}" for n in range(6)]
    mixed = [*missing[:2], *commits[:9], *missing[2:4], *commits[9:], *missing[4:]]
    results = list(scraper(server).scrape("o/r", [target(commit) for commit in mixed]))
    found = {result.target.commit: result for result in results}
    assert len(results) == len(mixed)
    assert all(found[commit].failure is Failure.COMMIT_MISSING for commit in missing)
    assert all(found[commit].contents for commit in commits)


# --------------------------------------------------------------------------------------------------- forks, renames


def test_repositories_are_tried_in_order(server: Server) -> None:
    (commit,) = make_repository(server.root, "o/second", [Change({"a.py": b"1"})])
    make_repository(server.root, "o/unrelated", [Change({"b.py": b"1"})])
    shutil.copytree(server.root / "o/second.git", server.root / "o/third.git")
    item = target(commit, repos="o/gone,o/unrelated,o/gone,o/second,o/third")
    assert item.repositories == ("o/gone", "o/unrelated", "o/second", "o/third")
    result = scrape_one(scraper(server), item)
    assert texts(result) == ("", "1")
    assert result.repository == "o/second"
    assert result.tried == (("o/gone", "gone"), ("o/unrelated", "commit_missing"))
    assert not server.requests["o/third"]
    few = scrape_one(scraper(server, max_repositories=2), item)
    assert few.failure is Failure.COMMIT_MISSING
    assert [name for name, _ in few.tried] == ["o/gone", "o/unrelated"]


def test_a_dead_repository_is_asked_once(server: Server) -> None:
    commits = make_repository(server.root, "o/r", [Change({"a.py": b"%d" % n}) for n in range(6)])
    tool = scraper(server)
    for commit in commits:
        assert texts(scrape_one(tool, target(commit, repos="o/gone,o/r")))
    assert server.requests["o/gone"] == 1


def test_a_rename_is_followed_on_the_same_host_only(server: Server) -> None:
    (commit,) = make_repository(server.root, "new/name", [Change({"a.py": b"1"})])
    here = f"http://127.0.0.1:{server.port}"
    places = {
        "o/renamed": f"{here}/new/name.git/info/refs?service=git-upload-pack",
        "o/other-host": f"http://localhost:{server.port}/new/name.git/info/refs?service=git-upload-pack",
        "o/user": f"http://evil@127.0.0.1:{server.port}/new/name.git/info/refs",
        "o/file": f"file://{server.root}/new/name.git/info/refs",
        "o/outside": f"{here}/../../etc/info/refs",
        "o/loop": f"{here}/o/loop.git/info/refs?service=git-upload-pack",
        "o/relative": "/new/name.git/info/refs?service=git-upload-pack",
        "o/no-scheme": f"//localhost:{server.port}/new/name.git/info/refs",
    }
    for name, place in places.items():
        server.always[name] = 301
        server.headers[name] = {"Location": place}
    renamed = ("o/renamed", "o/relative")
    for name in renamed:
        assert texts(scrape_one(scraper(server), target(commit, repos=name))) == ("", "1")
    for name in places:
        follow = scraper(server, follow_renames=name not in renamed)
        result = scrape_one(follow, target(commit, repos=name))
        assert result.failure is Failure.RENAMED, (name, result)


# ------------------------------------------------------------------------------------------------- pace, and limits


def test_a_limiting_server_is_asked_again_later(server: Server) -> None:
    (commit,) = make_repository(server.root, "o/r", [Change({"a.py": b"1"})])
    server.statuses["o/r"] = [429, 429, 503, 503]  # each refusal is followed by one question for Retry-After
    server.headers["o/r"] = {"Retry-After": "0"}
    assert texts(scrape_one(scraper(server, pace=replace(FAST, attempts=5)), target(commit))) == ("", "1")


@pytest.mark.parametrize("asked", ["\xb2", "-1", "1e9", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 5000])
def test_a_pause_that_is_no_number_of_seconds_is_not_made(server: Server, asked: str) -> None:
    (commit,) = make_repository(server.root, "o/r", [Change({"a.py": b"1"})])
    server.statuses["o/r"] = [429, 429]
    server.headers["o/r"] = {"Retry-After": asked}
    assert texts(scrape_one(scraper(server, pace=FAST), target(commit))) == ("", "1")


def test_waiting_grows_and_honours_the_server() -> None:
    gate = HostGate("host", Pace(backoff=1.0, longest=100.0))
    assert 1 <= gate.delay(1, None) <= 1.25
    assert 8 <= gate.delay(4, None) <= 10
    assert 60 <= gate.delay(1, 60.0) <= 75
    assert gate.delay(30, None) <= 125
    assert gate.delay(1, 1e9) <= 125


def test_the_rate_is_kept() -> None:
    gate = HostGate("host", Pace(per_second=1000.0))
    starts = []
    for _ in range(5):
        with gate.request():
            starts.append(gate._next_start)
    assert all(later - earlier >= 0.001 - 1e-9 for earlier, later in pairwise(starts))


def test_an_unreachable_host_ends_the_run() -> None:
    tool = Scraper(Remote("http://127.0.0.1:1/{repo}.git", ("http",)), Limits(), replace(FAST, give_up_after=2))
    assert scrape_one(tool, target("0" * 40)).failure is Failure.UNREACHABLE
    with pytest.raises(DataError, match=r"127\.0\.0\.1:1 cannot be reached.*run the same command again"):
        scrape_one(tool, target("0" * 40))


def test_a_large_repository_is_fetched_in_another_way(server: Server) -> None:
    noise = os.urandom(300_000).hex().encode()
    changes = [Change({"big.bin": noise, "a.py": b"0"}), *(Change({"a.py": b"%d" % n}) for n in range(1, 8))]
    commits = make_repository(server.root, "o/r", changes)
    limits = Limits(full_bytes=100_000, pack_bytes=200_000)
    for strategy, kept in ((Strategy.AUTO, 8), (Strategy.BLOBLESS, 8), (Strategy.FULL, 0)):
        tool = scraper(server, strategy=strategy, limits=limits)
        results = list(tool.scrape("o/r", [target(commit) for commit in commits]))
        assert sum(result.contents is not None for result in results) == kept, strategy
        assert all(result.failure in (None, Failure.TOO_LARGE) for result in results)
    whole = scraper(server, strategy=Strategy.BLOBLESS, limits=limits)
    mixed = [target(commits[0], "big.bin"), *(target(commit) for commit in commits)]
    results = list(whole.scrape("o/r", mixed))  # the one large file must not take the others with it
    assert [result.failure for result in results if result.target.new_file == "big.bin"] == [Failure.TOO_LARGE]
    assert sum(result.contents is not None for result in results) == 8


# -------------------------------------------------------------------------------------------- hostile repositories


def test_nothing_that_a_repository_brings_is_run(server: Server, tmp_path: Path) -> None:
    trap = tmp_path / "pwned"
    touch = f"touch {trap}".encode()
    files: dict[str, Any] = {
        ".gitattributes": b"* filter=evil text eol=crlf\n*.py filter=evil diff=evil merge=evil\n",
        ".gitconfig": b'[filter "evil"]\nsmudge = ' + touch + b"\n",
        ".git-hooks/post-checkout": ("100755", b"#!/bin/sh\n" + touch + b"\n"),
        "hooks/post-checkout": ("100755", b"#!/bin/sh\n" + touch + b"\n"),
        ".gitmodules": b'[submodule "x"]\npath = x\nurl = -u./payload\nupdate = !' + touch + b"\n",
        "config": b"[core]\nfsmonitor = " + touch + b"\n",
        "x": ("160000", b"1" * 40),
        "a.py": b"one\ntwo\n",
        "link": ("120000", b"/etc/passwd"),
    }
    (commit,) = make_repository(server.root, "o/r", [Change(files)])
    hook = server.root / "o/r.git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {trap}\n")
    hook.chmod(0o755)
    for strategy in (Strategy.FULL, Strategy.BLOBLESS):
        tool = scraper(server, strategy=strategy, scratch=tmp_path)
        assert texts(scrape_one(tool, target(commit))) == ("", "one\ntwo\n")  # raw bytes: no line ends changed
        assert texts(scrape_one(tool, target(commit, ".gitattributes")))[1].startswith("* filter=evil")
        assert scrape_one(tool, target(commit, "link")).failure is Failure.NOT_A_FILE
        assert scrape_one(tool, target(commit, "x")).failure is Failure.NOT_A_FILE
    assert not trap.exists()
    assert not list(tmp_path.glob("repository-*"))  # nothing is left behind


def test_the_users_own_configuration_is_not_used(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (commit,) = make_repository(server.root, "o/r", [Change({"a.py": b"1"})])
    trap = tmp_path / "pwned"
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f'[url "ext::sh -c touch% {trap}"]\n\tinsteadOf = http://\n[core]\n\thooksPath = {home}\n'
        f"[credential]\n\thelper = !touch {trap}\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(home))
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.sshCommand")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"touch {trap}")
    assert texts(scrape_one(scraper(server), target(commit))) == ("", "1")
    server.always["o/private"] = 401
    assert scrape_one(scraper(server), target(commit, repos="o/private")).failure is Failure.PRIVATE
    assert not trap.exists()
    assert not (tmp_path / "trace").exists()


def test_a_bomb_is_not_unpacked(server: Server) -> None:
    (commit,) = make_repository(server.root, "o/r", [Change({"a.py": bytes(64 << 20), "b.py": b"1"})])
    for strategy in (Strategy.FULL, Strategy.BLOBLESS):
        tool = scraper(server, strategy=strategy)
        assert scrape_one(tool, target(commit)).failure is Failure.TOO_LARGE
        assert texts(scrape_one(tool, target(commit, "b.py"))) == ("", "1")


def test_a_talkative_server_changes_nothing(server: Server) -> None:
    (commit,) = make_repository(server.root, "o/r", [Change({"a.py": b"1"})])
    server.chatter["o/r"] = (
        b"fatal: not our ref " + commit.encode() + b"\n" + b"\x1b[31mno space left on device\n" * 9999
    )
    assert texts(scrape_one(scraper(server), target(commit))) == ("", "1")


def test_a_server_that_ignores_filters_is_held_to_the_limits(server: Server) -> None:
    (commit,) = make_repository(server.root, "o/r", [Change({"a.py": b"y" * 5000, "b.py": b"1"})])
    git(server.root / "o/r.git", "config", "uploadpack.allowFilter", "false")
    tool = scraper(server, limits=Limits(file_bytes=100))
    assert scrape_one(tool, target(commit)).failure is Failure.TOO_LARGE
    assert texts(scrape_one(tool, target(commit, "b.py"))) == ("", "1")


# -------------------------------------------------------------------------------------------------------- credentials


def test_a_token_goes_to_its_host_and_nowhere_else(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "s3cret-t0ken")
    (commit,) = make_repository(server.root, "o/r", [Change({"a.py": b"1"})])
    (tmp_path / "other").mkdir()
    with serve(tmp_path / "other") as other:
        server.always["o/moved"] = 301
        server.headers["o/moved"] = {"Location": f"http://127.0.0.1:{other.port}/o/r.git/info/refs"}
        tool = Scraper(Remote(server.template, ("http",), "MY_TOKEN"), Limits(), FAST, scratch=tmp_path)
        assert texts(scrape_one(tool, target(commit))) == ("", "1")
        moved = scrape_one(tool, target(commit, repos="o/moved"))
        assert moved.failure is Failure.RENAMED
        assert not other.requests
    sent = {header for header in server.authorizations if header}
    assert len(sent) == 1
    server.always["o/no"] = 403
    refused = scrape_one(tool, target(commit, repos="o/no"))
    for text in (refused.detail, moved.detail, repr(tool), repr(tool.remote)):
        assert "s3cret" not in text


def test_a_refused_token_ends_the_run(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "expired")
    (commit,) = make_repository(server.root, "o/r", [Change({"a.py": b"1"})])
    server.always |= {f"o/p{n}": 401 for n in range(4)}
    tool = Scraper(Remote(server.template, ("http",), "MY_TOKEN"), Limits(), replace(FAST, give_up_after=3))
    for name in ("o/p0", "o/p1"):
        assert scrape_one(tool, target(commit, repos=name)).failure is Failure.PRIVATE
    assert texts(scrape_one(tool, target(commit))) == ("", "1")  # one success, and the count begins anew
    server.always["o/r"] = 401
    for name in ("o/p2", "o/p3"):
        scrape_one(tool, target(commit, repos=name))
    with pytest.raises(DataError, match="does not accept the token"):
        scrape_one(tool, target(commit))


def test_text_that_is_stored_holds_no_token_and_no_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "s3cret-t0ken")
    remote = Remote("https://example.org/{repo}.git", token_variable="MY_TOKEN")
    encoded = remote.authorization().removeprefix("Basic ")
    stored = remote.redact(f"fatal: s3cret-t0ken {encoded}\x1b[31m\n\u202e" + "x" * 1000)
    assert "s3cret" not in stored
    assert encoded not in stored
    assert stored.isprintable()
    assert len(stored) <= 300


@pytest.mark.parametrize(
    ("remote", "message"),
    [
        (Remote("https://github.com/owner/name.git"), r"put \{repo\} where"),
        (Remote("http://example.org/{repo}.git"), "protocol 'http' is not allowed"),
        (Remote("ext::sh -c id {repo}"), "put|not allowed"),
        (Remote("file:///srv/{repo}.git"), "protocol 'file' is not allowed"),
        (Remote("ssh://git@github.com/{repo}.git"), "protocol 'ssh' is not allowed"),
        (
            Remote("ssh://git@github.com/{repo}.git", ("https", "ssh")),
            "--allow-protocol ssh: not spoken here; known are",
        ),
        (Remote("ext::sh -c id /{repo}", ("https", "ext")), "--allow-protocol ext: not spoken"),
        (Remote("https://user:pass@github.com/{repo}.git"), "no user or password"),
        (Remote(token_variable="NO_SUCH_VARIABLE_HERE"), "no such environment variable"),
        (Remote("http://example.org/{repo}.git", ("http",), "PATH"), "only sent over https"),
    ],
)
def test_remotes_that_cannot_be_meant(remote: Remote, message: str) -> None:
    with pytest.raises(DataError, match=message):
        remote.check()


# ------------------------------------------------------------------------------------------------------- small parts


def test_git_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check_git()
    old = tmp_path / "git"
    old.write_text("#!/bin/sh\necho git version 2.20.1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"2\.20\.1: scraping needs git 2\.31"):
        check_git()
    old.unlink()
    with pytest.raises(DataError, match="git is not installed"):
        check_git()


def test_a_full_disk_is_no_commits_fault() -> None:
    with pytest.raises(DataError, match="disk is full"):
        classify(128, "fatal: write error: No space left on device")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("fatal: repository 'https://h/o/ssl.git/' not found", Failure.GONE),
        ("fatal: repository 'https://h/o/redirect.git/' not found", Failure.GONE),
        ("remote: fatal: not our ref 1\nfatal: the remote end hung up unexpectedly", Failure.SERVER_ERROR),
        ("fatal: remote error: upload-pack: not our ref " + "a" * 40, Failure.COMMIT_MISSING),
        ("fatal: transport 'file' not allowed", Failure.BAD_REQUEST),
        ("something new", Failure.GIT_ERROR),
        ("", Failure.GIT_ERROR),
    ],
)
def test_gits_words(words: str, reason: Failure) -> None:
    assert classify(128, words).reason is reason


def test_what_a_serving_process_says_in_between_does_not_change_gits_words() -> None:
    own, others = "fatal: remote error: upload-pack: not our ref 1", "fatal: git upload-pack: not our ref 1"
    assert classify(128, f"{own}\n{others}").detail == classify(128, f"{others}\n{own}").detail == own


def test_parsing_commits_and_trees() -> None:
    tree, parent = "a" * 40, "b" * 40
    message = f"\n\ntree {'c' * 40}\nparent {'d' * 40}\n"
    commit = parse_commit(f"tree {tree}\nparent {parent}\nparent {'e' * 40}\nauthor x{message}".encode())
    assert commit is not None
    assert (commit.tree, commit.parent) == (tree, parent)
    root = parse_commit(f"tree {tree}\nauthor x{message}".encode())
    assert root is not None
    assert root.parent is None
    assert parse_commit(b"author x\n\ntree " + b"a" * 40) is None
    tricky = b" 100644 name\0" + b"\0" * 7  # an id that looks like an entry
    entries = parse_tree(b"100644 a b\0" + tricky + b"40000 dir\0" + b"\1" * 20)
    assert entries == {b"a b": (0o100644, tricky.hex()), b"dir": (0o40000, "01" * 20)}


def test_paths_must_be_inside() -> None:
    assert tree_path("a/b.py") == [b"a", b"b.py"]
    for path in ("", "/", "a/", "./a", "a/../b", "a\0"):
        with pytest.raises(GitError):
            tree_path(path)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"new_file": "a.py", "old_file": "a.py", "message": "Fix"}, None),
        ({"new_file": "a.zzz", "old_file": "a.zzz", "message": "Fix"}, "extension"),
        ({"new_file": "a.PY", "old_file": "a.PY", "message": "Fix"}, "extension"),
        ({"new_file": "d/Makefile", "old_file": "d/Makefile", "message": "Fix"}, None),
        ({"new_file": "d/a.py", "old_file": "d/a.py", "message": "Update d/a.py"}, "update_file"),
        ({"new_file": "d/a.py", "old_file": "d/a.py", "message": "Update d/a.py\n"}, None),
        ({"new_file": "a.py", "old_file": "a.py", "message": "please\n"}, "noise_message"),
        ({"new_file": "a.py", "old_file": "a.py", "message": "lalala"}, "noise_message"),
        ({"new_file": "a.py", "old_file": "a.py", "message": "Initial commit"}, None),
        ({"new_file": "a.py", "old_file": "a.py", "message": "initial commit"}, "noise_message"),
    ],
)
def test_rules_before_scraping(row: dict[str, Any], reason: str | None) -> None:
    assert prefilter(row) == reason


def test_contents_are_what_a_checkout_gives(server: Server, tmp_path: Path) -> None:
    """Compares with the reference's way: a fresh clone, two checkouts, two cats."""
    changes = [Change({f"d/f{n % 2}.py": b"line\n" * n + b"%d" % n}) for n in range(6)]
    commits = make_repository(server.root, "o/r", changes)
    items = [target(commit, f"d/f{n % 2}.py") for n, commit in enumerate(commits)]
    for item, result in zip(items, scraper(server).scrape("o/r", items), strict=True):
        clone = tmp_path / item.commit
        clone.mkdir()
        git(clone, "init", "--quiet")
        git(clone, "fetch", "--quiet", "--depth", "2", str(server.root / "o/r.git"), item.commit)
        git(clone, "checkout", "FETCH_HEAD", "--", item.new_file)
        new = (clone / item.new_file).read_text()
        old_there = subprocess.run(
            ["git", "checkout", "FETCH_HEAD^", "--", item.old_file],
            cwd=clone,
            env=ENVIRONMENT,
            capture_output=True,
            check=False,
        )
        old = (clone / item.old_file).read_text() if old_there.returncode == 0 else ""
        assert texts(result) == (old, new)
