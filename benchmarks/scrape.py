"""Commits scraped per second: one fetch for many commits against a fresh clone for each, from the same server.

The baseline does for every commit what the reference does: a new folder, `git init`, `git remote add`, a fetch of the
commit and its parent, two checkouts, two `cat`, and the folder removed, each through a shell. Both sides run one after
the other, in turns, against one `git daemon` on the loopback, with one connection, and must return the same contents.

    python benchmarks/scrape.py                     # 4 repositories of 256 commits
    python benchmarks/scrape.py --commits 30        # the mean of the published data: 57.7 M commits, 1.9 M repositories
    python benchmarks/scrape.py --files 2000        # larger snapshots, where fetching without file contents pays off
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from octopack_data.commitpack.git import Limits, Remote
from octopack_data.commitpack.hosts import Pace
from octopack_data.commitpack.scrape import ScrapeStep
from octopack_data.commitpack.scraper import Scraper, Strategy, Target
from octopack_data.executors import run_units
from octopack_data.pipeline import Job, discover_units
from octopack_data.shards import iter_rows

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def write_repository(folder: Path, commits: int, files: int, lines: int, seed: int) -> list[tuple[str, str]]:
    """Write a bare repository of `files` files in which each commit edits one; return (commit, file) of each edit."""
    generator = random.Random(seed)
    folder.mkdir(parents=True)
    run = {"cwd": folder, "env": ENVIRONMENT, "check": True}
    subprocess.run(["git", "init", "--quiet", "--bare"], **run)
    for name in ("allowFilter", "allowAnySHA1InWant"):
        subprocess.run(["git", "config", f"uploadpack.{name}", "true"], **run)
    names = [f"src/module{n % 20}/part{n // 20}/file{n}.py" for n in range(files)]
    texts = {name: [f"value_{generator.getrandbits(40)} = {n}" for n in range(lines)] for name in names}
    stream: list[bytes] = []

    def commit(number: int, changed: list[str]) -> None:
        stream.append(f"commit refs/heads/main\nmark :{number}\n".encode())
        stream.append(f"committer C <c@example.org> {number} +0000\ndata 6\nChange\n".encode())
        for name in changed:
            data = "\n".join(texts[name]).encode()
            stream.append(f"M 100644 inline {name}\ndata {len(data)}\n".encode() + data + b"\n")

    commit(1, names)
    edits = []
    for number in range(2, commits + 2):
        name = generator.choice(names)
        texts[name][generator.randrange(lines)] = f"value_{generator.getrandbits(40)} = {number}"
        commit(number, [name])
        edits.append(name)
    subprocess.run(["git", "fast-import", "--quiet", "--export-marks=marks"], input=b"".join(stream), **run)
    marks = dict(line.split() for line in (folder / "marks").read_text().splitlines())
    return [(marks[f":{number}"], name) for number, name in enumerate(edits, start=2)]


@contextmanager
def git_daemon(root: Path) -> Iterator[int]:
    """Serve the repositories below `root` on a free port of the loopback; end the server afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["git", "daemon", "--export-all", f"--base-path={root}", "--listen=127.0.0.1", f"--port={port}"]
    daemon = subprocess.Popen([*command, "--reuseaddr"], env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        daemon.terminate()
        daemon.wait()


def scrape_one_by_one(template: str, work: Path, repository: str, edits: list[tuple[str, str]]) -> dict[str, str]:
    """Scrape as the reference does, and return the new contents by commit."""
    found = {}
    for number, (commit, name) in enumerate(edits):
        folder = work / str(number)
        shell(f"mkdir {folder}", work)
        shell("git init", folder)
        shell(f"git remote add origin {template.replace('{repo}', repository)}", folder)
        shell(f"git fetch --depth 2 origin {commit}", folder)
        shell(f"git checkout FETCH_HEAD -- {name}", folder)
        found[commit] = shell(f"cat {name}", folder)
        shell(f"git checkout FETCH_HEAD^ -- {name}", folder)
        shell(f"cat {name}", folder)
        shell(f"rm -rf {folder}", work)
    return found


def shell(command: str, folder: Path) -> str:
    """Run one command through a shell."""
    done = subprocess.run([command], shell=True, cwd=folder, env=ENVIRONMENT, capture_output=True, check=False)
    return done.stdout.decode(errors="ignore")


def scrape_in_groups(
    template: str, work: Path, repository: str, edits: list[tuple[str, str]], strategy: Strategy
) -> dict[str, str]:
    """Scrape as this package does, with one connection, and return the new contents by commit."""
    remote = Remote(template, ("git",))
    scraper = Scraper(remote, Limits(), Pace(connections=1), strategy, scratch=work)
    targets = [Target(str(n), commit, name, name, (repository,)) for n, (commit, name) in enumerate(edits)]
    found = {}
    for start in range(0, len(targets), 256):
        for result in scraper.scrape(repository, targets[start : start + 256]):
            assert result.contents is not None, result
            found[result.target.commit] = result.contents.new
    return found


def run_step(template: str, folder: Path, edits: dict[str, list[tuple[str, str]]], connections: int) -> float:
    """Scrape all repositories as `octopack data commitpack scrape` does, from shard to shard; return the seconds."""
    rows = [
        {"commit": commit, "old_file": name, "new_file": name, "subject": "s", "message": "s", "repos": repository}
        for repository, changes in edits.items()
        for commit, name in changes
    ]
    shard = folder / "meta.jsonl"
    shard.write_text("".join(json.dumps(row) + "\n" for row in rows))
    step = ScrapeStep(remote=Remote(template, ("git",)), pace=Pace(connections=connections))
    output = folder / f"out-{connections}"
    began = time.perf_counter()
    run_units(Job(step, output), discover_units([shard]))
    seconds = time.perf_counter() - began
    assert sum(1 for _ in iter_rows(output / "meta.jsonl")) == len(rows)
    return seconds


def main() -> int:
    """Run both sides and print their rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repositories", type=int, default=4, help="number of repositories (and of turns)")
    parser.add_argument("--commits", type=int, default=256, help="commits to scrape in each")
    parser.add_argument("--files", type=int, default=100, help="files in a snapshot")
    parser.add_argument("--lines", type=int, default=60, help="lines of a file")
    parser.add_argument("--sample", type=int, default=40, help="commits of each repository that the baseline scrapes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "served"
        edits = {
            f"owner/r{n}": write_repository(
                root / f"owner/r{n}.git", options.commits, options.files, options.lines, seed=n
            )
            for n in range(options.repositories)
        }
        seconds: dict[str, list[float]] = {"one by one": [], "full": [], "blobless": [], "auto": []}
        counts = {"one by one": min(options.sample, options.commits)}
        with git_daemon(root) as port:
            template = f"git://127.0.0.1:{port}/{{repo}}.git"
            for repository, changes in edits.items():  # in turns, so that a busy moment touches all sides
                work = Path(folder) / "work"
                work.mkdir()
                began = time.perf_counter()
                expected = scrape_one_by_one(template, work, repository, changes[: counts["one by one"]])
                seconds["one by one"].append((time.perf_counter() - began) / len(expected))
                for strategy in (Strategy.FULL, Strategy.BLOBLESS, Strategy.AUTO):
                    began = time.perf_counter()
                    found = scrape_in_groups(template, work, repository, changes, strategy)
                    seconds[strategy.value].append((time.perf_counter() - began) / len(found))
                    if any(found[commit] != text for commit, text in expected.items()):
                        print("the two ways disagree about the contents of a commit", file=sys.stderr)
                        return 1
                shutil.rmtree(work)
            commits = options.repositories * options.commits
            for connections in (1, 4):
                whole = run_step(template, Path(folder), edits, connections)
                seconds[f"command, {connections}"] = [whole / commits]
    print(f"{options.repositories} repositories, {options.commits} commits each, {options.files} files a snapshot")
    print("(full, blobless, auto: the fetching alone; command: from metadata shard to output shard, by connections)")
    print(f"{'way':<12}{'commits/s':>12}{'ratio':>8}")
    baseline = statistics.mean(seconds["one by one"])
    for way, each in seconds.items():
        print(f"{way:<12}{1 / statistics.mean(each):>12,.1f}{baseline / statistics.mean(each):>7.1f}x")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
