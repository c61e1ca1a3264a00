"""The verdicts of all 164 x 6 canonical and buggy programs are the recorded ones, in both sandboxes."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from octopack_tasks import PAPER_LANGUAGES
from octopack_tasks.problems import load_problems
from octopack_tasks.tasks import get_task
from sandboxes import Limits, Program, Status, open_sandbox

Key = tuple[str, str]  # task id, kind

# Programs that run into the plain commands' time limits fail sooner, too; how soon changes no verdict.
ENDLESS = Limits(cpu_seconds=3.0)

# Verdicts that may differ from the recorded ones, each with its cause.
EXCEPTIONS: dict[Key, str] = {
    ("Rust/32", "canonical"): "Newton's method on random polynomials without a seed hangs about every other time",
    ("Rust/32", "buggy"): "the same random polynomials",
    ("Go/95", "canonical"): "its answer depends on the order in which it meets a map's keys, which Go randomises",
}


def recorded(shared: Path, language: str) -> dict[Key, dict[str, Any]]:
    with gzip.open(shared / "golden" / "verdicts.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {(row["task_id"], row["kind"]): row for row in rows if row["language"] == language}


def programs(shared: Path, language: str) -> Iterator[tuple[Key, Program]]:
    task = get_task(f"humanevalfixtests-{language}")
    for problem in load_problems(language, shared / "data" / "humanevalpack"):
        # A completion begins with the white space that its prompt is stripped of.
        start = task.scenario.question(problem, task.language).start
        blank = start[len(start.rstrip()) :]
        for kind, body in (("canonical", problem.canonical_solution), ("buggy", problem.buggy_solution)):
            yield (problem.task_id, kind), task.program(problem, task.solution(problem, blank + body))


@pytest.mark.docker
@pytest.mark.parametrize("language", PAPER_LANGUAGES)
@pytest.mark.parametrize("backend", ["docker", "bubblewrap"])
def test_verdicts_are_the_recorded_ones(
    backend: str, language: str, shared: Path, sandbox_options: dict[str, dict[str, Any]]
) -> None:
    options = sandbox_options[backend]
    if language not in options.get("languages", PAPER_LANGUAGES):
        pytest.skip(f"this machine has no toolchain of its own for {language}, and no image to borrow one from")
    known = recorded(shared, language)
    jobs = dict(programs(shared, language))
    assert jobs.keys() == known.keys()
    for key, program in jobs.items():
        if language != "go":  # the order of Go's imports is the recording's hash seed's
            assert hashlib.sha256(program.source.encode()).hexdigest() == known[key]["sha256"], key
    limited = [
        replace(program, limits=ENDLESS) if known[key]["stage"] == "timeout" or key in EXCEPTIONS else program
        for key, program in jobs.items()
    ]
    with open_sandbox(backend, **{**options, "languages": [language]}, cache=False) as sandbox:
        verdicts = dict(zip(jobs, sandbox.run(limited), strict=True))
    different = {
        key: (verdict.status.value, verdict.detail, verdict.stderr[-300:])
        for key, verdict in verdicts.items()
        if key not in EXCEPTIONS and not (verdict.passed == verdict.reference_passed == known[key]["passed"])
    }
    assert not different
    suspicious = {key: verdict.suspicious for key, verdict in verdicts.items() if verdict.suspicious}
    assert not suspicious, "an honest program is called suspicious"


@pytest.mark.docker
def test_a_busy_machine_changes_no_verdict(shared: Path, sandbox_options: dict[str, dict[str, Any]]) -> None:
    # limits that wall-clock time would soon exceed: each worker gets a fraction of a core
    tight = Limits(cpu_seconds=2.0)
    jobs: dict[Key, Program] = {}
    expected: dict[Key, bool] = {}
    endless: set[Key] = set()
    for language in PAPER_LANGUAGES:
        known = recorded(shared, language)
        endless |= {key for key, one in known.items() if one["stage"] == "timeout"}
        kinds = {"passed": 4, "failed": 3, "timeout": 1}  # how many of each
        for key, program in programs(shared, language):
            kind = "passed" if known[key]["passed"] else "timeout" if known[key]["stage"] == "timeout" else "failed"
            if kinds[kind] and key not in EXCEPTIONS:
                kinds[kind] -= 1
                jobs[key], expected[key] = replace(program, limits=tight), known[key]["passed"]
    with open_sandbox("docker", **sandbox_options["docker"], cache=False) as sandbox:
        hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(8)]
        try:
            verdicts = dict(zip(jobs, sandbox.run(list(jobs.values())), strict=True))
        finally:
            for hog in hogs:
                hog.kill()
                hog.wait()
    assert {key: verdict.passed for key, verdict in verdicts.items()} == expected
    assert {key for key, verdict in verdicts.items() if verdict.status is Status.TIMEOUT} <= endless
