"""Watching a run while another process works on it."""

from __future__ import annotations

import gzip
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_ins import StandInModel, StandInSandbox

from octopack_tasks.errors import UserError
from octopack_tasks.evaluation import ModelChoice, generate_and_score, load, start, status_of
from octopack_tasks.judging import note_environment
from octopack_tasks.metrics import Tally
from octopack_tasks.plans import Plan, TaskPlan
from octopack_tasks.readings import CORRECTED
from octopack_tasks.runs import Run
from octopack_tasks.watch import Pace, Snapshot, TaskProgress, Watcher

SUPPORT = Path(__file__).parents[1] / "support"
WRITER = """
import sys
from pathlib import Path
from stand_ins import StandInModel, StandInSandbox
from octopack_tasks.evaluation import ModelChoice, generate_and_score, start
from octopack_tasks.plans import Plan, TaskPlan
from octopack_tasks.runs import Run

names = ("humanevalfixtests-python", "humanevalexplaindescribe-go", "humanevalexplainsynthesize-go")
plan = Plan(tuple(TaskPlan(name, n_samples=4, max_length=99_999) for name in names), "starter")
works = plan.load()
with Run(Path(sys.argv[1])).locked() as run:
    start(run, plan, works, ModelChoice("stand-in", "model"))
    print("begun", flush=True)
    generate_and_score(run, plan, works, lambda: StandInModel(seconds=0.03), StandInSandbox())
"""
OCTOPACK = (sys.executable, "-c", "from octopack_tasks.cli import main; main()")
PLAN = Plan((TaskPlan("humanevalfixtests-python", n_samples=2, max_length=99_999),), "starter")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes a run, begun already."""
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    command = [sys.executable, "-c", WRITER, str(tmp_path / "run")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


@pytest.fixture
def half(tmp_path: Path) -> Run:
    """A run that its process left before the end."""

    works = PLAN.load()
    with Run(tmp_path / "half").locked() as run:
        start(run, PLAN, works, ModelChoice("stand-in", "model"))
        with pytest.raises(ConnectionError):
            generate_and_score(run, PLAN, works, lambda: StandInModel(fails_after=5), StandInSandbox())
    return Run(tmp_path / "half")


def test_looks_only_grow_and_end_where_the_run_ends(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    watcher = Watcher(run)
    looks = [watcher.look()]
    while not looks[-1].is_complete:
        assert writer.poll() in (None, 0)
        time.sleep(0.05)
        looks.append(watcher.look())
    assert writer.wait() == 0
    for value in ("samples", "judged", "tokens"):
        values = [getattr(look, value) for look in looks]
        assert values == sorted(values)
        assert len(set(values)) > 3  # it was seen on its way
    assert any(look.is_in_use for look in looks)
    found = {status.task: status for status in status_of(run, load(run))}
    for task in looks[-1].tasks:
        status = found[task.name]
        assert (task.samples, task.expected, task.judged) == (status.samples, status.expected, status.judged)
        judged = run.judgements(task.name, "paper")
        assert sum(tally.correct for tally in task.tallies) == sum(each.verdict.passed for each in judged)
    assert len(looks[-1].tasks) == 3


def test_the_command_leaves_when_the_run_is_complete(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    command = [*OCTOPACK, "status", str(tmp_path / "run"), "--watch", "--every", "0.1"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert writer.wait() == 0
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "humanevalexplainsynthesize-go" in shown.stdout
    assert shown.stdout.rstrip().endswith("complete")


def test_control_c_leaves_at_once_and_says_what_to_do(half: Run) -> None:
    before = {path: path.read_bytes() for path in half.folder.rglob("*") if path.is_file()}
    terminal, inside = pty.openpty()
    command = [*OCTOPACK, "status", str(half.folder), "--watch", "--every", "0.1"]
    with subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside, start_new_session=True) as process:
        os.close(inside)
        try:
            shown = _read_until(terminal, b"no process works on it")
            process.send_signal(signal.SIGINT)
            shown += _read_until(terminal, b"incomplete: run the command")
            assert process.wait(timeout=300) == 1
        finally:
            process.kill()
    os.close(terminal)
    assert b"Traceback" not in shown
    assert "━".encode() in shown
    assert b"\x1b[?25h" in shown  # the cursor is back
    assert before == {path: path.read_bytes() for path in half.folder.rglob("*") if path.is_file()}


def _read_until(terminal: int, text: bytes) -> bytes:
    shown = b""
    deadline = time.monotonic() + 300
    while text not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 65536)
    return shown


def test_verdicts_that_are_judged_again_count_once(half: Run) -> None:
    watcher = Watcher(half)
    first = watcher.look()
    assert first.judged > 0
    assert not first.is_in_use
    judgements = half.judgements("humanevalfixtests-python", "paper")
    with half.locked() as run:
        assert watcher.look().is_in_use
        run.drop_judgements("paper")
        assert watcher.look().judged == 0
        run.add_judgements("humanevalfixtests-python", "paper", judgements)
    assert watcher.look().judged == first.judged
    with half.locked() as run:  # in one go between two looks, with other lengths
        run.drop_judgements("paper")
        for judgement in [*judgements, *judgements]:
            run.add_judgements("humanevalfixtests-python", "paper", [judgement])
    assert watcher.look().judged == first.judged


def test_every_reading_that_a_run_is_scored_with_is_waited_for(half: Run) -> None:
    watcher = Watcher(half)
    first = watcher.look()
    with half.locked() as run:
        note_environment(run, CORRECTED, StandInSandbox())
        assert watcher.look().judged == 0
        run.add_judgements(
            "humanevalfixtests-python", "corrected", half.judgements("humanevalfixtests-python", "paper")
        )
    assert watcher.look().judged == first.judged > 0
    assert status_of(half, load(half))[0].judged == first.judged


def test_a_torn_end_is_read_when_it_is_whole(half: Run) -> None:
    path = half.folder / "samples" / "humanevalfixtests-python.jsonl.gz"
    whole = path.read_bytes()
    watcher = Watcher(half)
    path.write_bytes(whole[:-5])
    seen = watcher.look().samples
    path.write_bytes(whole)
    assert watcher.look().samples == seen + 1


def test_lines_that_are_no_records_are_a_clear_error(half: Run) -> None:
    path = half.folder / "samples" / "humanevalfixtests-python.jsonl.gz"
    with path.open("ab") as file:
        file.write(gzip.compress(b'{"candidate": 0, "sample": 0}\n'))
    with pytest.raises(UserError, match=r"python\.jsonl\.gz is damaged: .*'task_id'"):
        Watcher(half).look()


def _snapshot(seconds: float, samples: int, judged: int, tokens: int = 0) -> Snapshot:
    task = TaskProgress("t", "Python", samples, 100, judged, (Tally(1, 1),), tokens)
    return Snapshot(seconds, (task,), is_in_use=True)


def test_the_pace_is_that_of_the_slower_half() -> None:
    pace = Pace.of(_snapshot(0, 10, 0, 100), _snapshot(10, 60, 20, 600))
    assert (pace.tokens, pace.programs) == (50.0, 2.0)
    assert pace.seconds_left == 40.0  # 80 verdicts at 2 a second; 40 samples at 5 a second
    still = Pace.of(_snapshot(0, 10, 0), _snapshot(10, 20, 0))
    assert (still.tokens, still.programs, still.seconds_left) == (None, None, None)
    assert Pace.of(_snapshot(0, 90, 90), _snapshot(1, 100, 100)).seconds_left == 0.0
    now = _snapshot(0, 1, 1)
    assert Pace.of(now, now) == Pace(None, None, None)


def test_watch_and_json_exclude_each_other(half: Run) -> None:
    command = [*OCTOPACK, "status", str(half.folder), "--watch", "--json"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert refused.returncode == 2
    assert "choose one" in refused.stderr
