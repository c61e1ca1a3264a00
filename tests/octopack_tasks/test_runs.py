"""The run folder: nothing that was written is lost, whatever moment a process dies at."""

from __future__ import annotations

import errno
import fcntl
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from octopack_tasks import UserError
from octopack_tasks.runs import Log, Run, Sample
from sandboxes import Status

RECORDS = [{"number": number, "text": "é\ud800\n" * number} for number in range(50)]


def test_a_log_gives_back_what_was_appended(tmp_path: Path) -> None:
    log = Log(tmp_path / "folder" / "log.jsonl.gz")
    for record in RECORDS:
        log.append([record])
    assert list(log.read()) == RECORDS
    log.close()
    assert list(Log(log.path).read()) == RECORDS
    # Anyone's gzip reads it too.
    assert gzip.decompress(log.path.read_bytes()).count(b"\n") == len(RECORDS)


def test_a_log_cut_at_any_byte_keeps_all_whole_appends(tmp_path: Path) -> None:
    whole = Log(tmp_path / "whole")
    ends = [0]
    for record in RECORDS[:6]:
        whole.append([record, record])
        ends.append(whole.path.stat().st_size)
    data = whole.path.read_bytes()
    for size in range(len(data)):
        torn = Log(tmp_path / f"torn{size}")
        torn.path.write_bytes(data[:size])
        kept = sum(end <= size for end in ends) - 1
        expected = [record for record in RECORDS[:kept] for _ in range(2)]
        assert list(torn.read()) == expected
        torn.append([{"new": True}])
        assert list(torn.read()) == [*expected, {"new": True}]
        torn.close()


def test_a_log_damaged_in_its_middle_says_where(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.append(RECORDS[:5])
    first = log.path.stat().st_size
    log.append(RECORDS[5:])
    data = bytearray(log.path.read_bytes())
    data[first : first + 4] = b"what"
    log.path.write_bytes(data)
    with pytest.raises(UserError, match=f"damaged after byte {first}"):
        list(log.read())


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.pop("task_id"),
        lambda record: record.update(unknown=1),
        lambda record: record.update(finish="odd", verdict={"status": "odd"}),
        lambda record: record.update(verdict=None, finish=None),
        None,
    ],
)
def test_lines_that_are_no_records_are_a_clear_error(
    tmp_path: Path, change: Callable[[dict[str, object]], object] | None
) -> None:
    run = Run(tmp_path)
    verdict = {"status": "passed", "stdout": "", "stderr": "", "cpu_seconds": 0.0, "wall_seconds": 0.0}
    records: dict[Path, dict[str, object]] = {
        tmp_path / "samples/task.jsonl.gz": Sample("Python/0", 0, 0, "text").to_json(),
        tmp_path / "verdicts/paper/task.jsonl.gz": {"task_id": "Python/0", "verdict": verdict},
    }
    for path, record in records.items():
        path.parent.mkdir(parents=True)
        if change:
            change(record)
        path.write_bytes(gzip.compress(json.dumps(record if change else [record]).encode()))
    for read in (lambda: run.samples("task"), lambda: run.judgements("task", "paper")):
        with pytest.raises(UserError, match=r"task\.jsonl\.gz is damaged"):
            read()


def test_a_folder_in_the_place_of_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "samples" / "task.jsonl.gz").mkdir(parents=True)
    with pytest.raises(UserError, match=r"could not read .*: Is a directory"):
        Run(tmp_path).samples("task")


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from pathlib import Path
from octopack_tasks.errors import UserError
from octopack_tasks.runs import Log
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # a write beyond it fails like one on a full disk
log = Log(Path(sys.argv[1]))
import random
for number in range(1000):
    try:
        log.append([{"number": number, "noise": random.Random(number).randbytes(100).hex()}])
    except UserError as error:
        print(number, error)
        break
"""
    path = tmp_path / "log"
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    written, _, message = done.stdout.partition(" ")
    assert "everything before is kept" in message
    assert [record["number"] for record in Log(path).read()] == list(range(int(written)))
    assert int(written) > 3


def test_a_disk_without_any_room_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import resource, signal, sys
from pathlib import Path
from octopack_tasks import runs
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    runs.Run(Path(sys.argv[1])).locked()
except runs.UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False)
    assert f"could not write to {tmp_path}: File too large" in done.stdout, done.stderr

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = Run(tmp_path / "run").locked()
    run.add_samples("task", [Sample("Python/0", 0, 0, "text")])
    monkeypatch.setattr("octopack_tasks.runs.os.fsync", full)
    with pytest.raises(UserError, match=r"No space left on device.*make room"), run:
        pass
    assert not run.is_in_use


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with Run(tmp_path / "run").locked() as run:
        assert run.is_in_use
        with pytest.raises(UserError, match=f"in use by process {os.getpid()}"):
            Run(tmp_path / "run").locked()
    assert not Run(tmp_path / "run").is_in_use
    with Run(tmp_path / "run").locked():
        pass


def test_who_only_looks_whether_a_run_is_in_use_keeps_nobody_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = (tmp_path / "lock").open("w")
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr("octopack_tasks.runs.time.sleep", lambda seconds: looking.close())  # a moment later
    with Run(tmp_path).locked():
        assert looking.closed


def test_a_file_system_without_locks_is_no_other_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def without_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("octopack_tasks.runs.fcntl.flock", without_locks)
    with Run(tmp_path / "run").locked() as run:
        assert not run.is_in_use
    assert "no locks here (Function not implemented)" in caplog.text


def test_reading_is_possible_while_another_process_writes(tmp_path: Path) -> None:
    with Run(tmp_path / "run").locked() as run:
        run.add_samples("task", [Sample("Python/0", 0, 0, "text")])
        assert [sample.completion for sample in Run(tmp_path / "run").samples("task")] == ["text"]
        with pytest.raises(RuntimeError, match="read only"):
            Run(tmp_path / "run").add_samples("task", [])


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not write to"):
        Run(tmp_path / "file" / "run").locked()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '"text"',
        '{"format": 99}',
        '{"format": 1}',
        '{"format": 1, "settings": 5}',
        '{"format": 1, "settings": {"model": {}, "tasks": {}}}',
        '{"format": 1, "settings": {"model": {"backend": "vllm"}, "tasks": {"humanevalfixtests-go": {}}}}',
        '{"format": 1, "settings": {"model": {"backend": "vllm"}, "tasks": {}, "dataset": 5}}',
        '{"format": 1, "settings": {"model": {"backend": "vllm"}, "tasks": {}, "dataset": null}, "scoring": []}',
        '{"format": 1, "settings": {"model": {"backend": "vllm"}, "dataset": null, "tasks": '
        '{"humanevalfixtests-go": {"prompt": "instruct", "n_samples": 1}}}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_manifest_is_a_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json"):
        _ = Run(tmp_path).manifest


KILLED_RUN = """
import sys
from pathlib import Path
from stand_ins import StandInModel, StandInSandbox
from octopack_tasks.evaluation import ModelChoice, generate_and_score, start
from octopack_tasks.plans import Plan, TaskPlan
from octopack_tasks.runs import Run

names = ["humanevalfixtests-python", "humanevalexplaindescribe-go", "humanevalexplainsynthesize-go"]
plan = Plan(tuple(TaskPlan(name, n_samples=4, max_length=9999) for name in names), dataset="starter")
works = plan.load()
with Run(Path(sys.argv[1])).locked() as run:
    start(run, plan, works, ModelChoice("stand-in", "model"), ["command"])
    seconds = float(sys.argv[2])
    generate_and_score(run, plan, works, lambda: StandInModel(seconds=seconds), StandInSandbox(seconds=seconds))
"""


def test_a_run_killed_ten_times_equals_one_that_was_not(tmp_path: Path) -> None:
    def start_run(folder: Path, seconds: float) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "support")}
        return subprocess.Popen([sys.executable, "-c", KILLED_RUN, folder, str(seconds)], env=environment)

    def size(folder: Path) -> int:
        return sum(file.stat().st_size for file in folder.rglob("*.jsonl.gz"))

    assert start_run(tmp_path / "whole", 0).wait() == 0
    killed = tmp_path / "killed"
    for kills in range(10):
        before = size(killed)
        # an even share of what is left, with room for what it writes before a busy machine comes to look
        step = (size(tmp_path / "whole") - before) // (13 - kills)
        process = start_run(killed, 0.01)
        while process.poll() is None and size(killed) < before + step:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it was done before it could be killed"
    assert start_run(killed, 0).wait() == 0

    whole, resumed = Run(tmp_path / "whole"), Run(killed)
    for task in whole.manifest["settings"]["tasks"]:
        samples = [sorted(run.samples(task), key=lambda s: (s.key, s.sample)) for run in (whole, resumed)]
        assert samples[0] == samples[1], task
        assert len(samples[0]) == 40
        judged = [sorted(run.judgements(task, "paper"), key=lambda j: (j.key, j.sample)) for run in (whole, resumed)]
        assert judged[0] == judged[1], task
    statuses = {judgement.verdict.status for judgement in resumed.judgements("humanevalfixtests-python", "paper")}
    assert statuses == {Status.PASSED, Status.FAILED}
    assert json.dumps(resumed.manifest["settings"]) == json.dumps(whole.manifest["settings"])
