"""The engine: restarts, same bytes, nothing lost, and errors that say what to do."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from commit_rows import DropLong, commit, write_rows

from octopack_data import pipeline
from octopack_data.commitpack.languages import LanguagesStep
from octopack_data.errors import DataError
from octopack_data.executors import run_units
from octopack_data.pipeline import (
    Batch,
    BatchFunction,
    Job,
    Outcome,
    Unit,
    check_output,
    discover_units,
    find_row,
    is_done,
    parse_share,
    pending,
    summarise,
    take_share,
)
from octopack_data.shards import ShardFormat, iter_rows, write_atomically

ROWS = [{"id": f"r{number}", "text": "x" * (number % 6)} for number in range(300)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for number in range(3):
        write_rows(folder / "sub" / f"part{number}.jsonl", [{**row, "part": number} for row in ROWS])
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Return the files that are a result: not the engine's own records of times."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".octopack" not in path.parts
    }


def run(job: Job, units: list[Unit], workers: int = 1) -> pipeline.Summary:
    run_units(job, pending(job, units), workers)
    return summarise(job, units)


def test_every_row_is_kept_or_dropped_with_a_reason(source: Path, tmp_path: Path) -> None:
    job = Job(DropLong(), tmp_path / "out", keep_dropped=True)
    summary = run(job, discover_units([source]))
    counts = summary.statistics
    assert (counts.rows_in, counts.rows_out, counts.dropped["too long"]) == (900, 600, 300)
    assert counts.funnel(("too long",)) == [("too long", 300, 600)]
    assert counts.tallies["lengths"]["5"] == 150
    kept = list(iter_rows(tmp_path / "out" / "sub" / "part1.jsonl"))
    dropped = list(iter_rows(tmp_path / "out" / "_dropped" / "sub" / "part1.jsonl"))
    assert [row["id"] for row in kept] == [row["id"] for row in ROWS if len(row["text"]) <= 3]
    assert {row["dropped_by"] for row in dropped} == {"too long"}
    assert len(kept) + len(dropped) == len(ROWS)
    statistics = orjson.loads((tmp_path / "out" / "statistics.json").read_bytes())
    assert statistics["funnel"] == [{"rule": "too long", "dropped": 300, "left": 600}]


def test_unchanged_rows_are_copied_byte_for_byte(tmp_path: Path) -> None:
    line = b'{ "id":"1",  "text" : "\\u00e9" , "n":1.50 }'
    (tmp_path / "in.jsonl").write_bytes(line)
    run(Job(DropLong(), tmp_path / "out"), discover_units([tmp_path / "in.jsonl"]))
    assert (tmp_path / "out" / "in.jsonl").read_bytes() == line + b"\n"


def test_broken_lines_are_counted_and_kept_aside(tmp_path: Path) -> None:
    good = [orjson.dumps(row) for row in ROWS[:3]]
    bad = [b'{"id":"x","text":', b"\xff\xfe", b'{"id":"y"}', b'{"id":"z","text":7}', b"[1]", b'"text"', b"NaN"]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join([good[0], *bad, b"", b"  ", good[1], good[2]]))
    summary = run(Job(DropLong(), tmp_path / "out"), discover_units([tmp_path / "in.jsonl"]))
    assert (summary.statistics.rows_in, summary.statistics.broken, summary.statistics.blank) == (3, len(bad), 2)
    assert (tmp_path / "out" / "_broken" / "in.jsonl").read_bytes() == b"\n".join(bad) + b"\n"
    errors = {example["line"]: example["error"] for example in summary.broken_examples}
    assert errors[2].startswith("not JSON")
    assert errors[4] == "no column 'text' (columns here: id)"
    assert errors[5] == "column 'text' must be text, here it is int"


def test_a_row_too_deep_to_be_written_is_kept_aside(tmp_path: Path) -> None:
    deep = b'{"id":"d","text":"xxxxx","extra":' + b"[" * 300 + b"]" * 300 + b"}"
    shallow = b'{"id":"s","text":"xxxxx","extra":[[[1]]]}'
    (tmp_path / "in.jsonl").write_bytes(b"\n".join([shallow, deep, shallow]))
    job = Job(DropLong(), tmp_path / "out", keep_dropped=True)
    summary = run(job, discover_units([tmp_path / "in.jsonl"]))
    assert (summary.statistics.dropped["too long"], summary.statistics.broken) == (2, 1)
    assert (tmp_path / "out" / "_broken" / "in.jsonl").read_bytes() == deep + b"\n"
    assert summary.broken_examples[0]["error"] == "nested too deeply to be written again"


def test_the_wrong_file_is_refused_at_its_first_line(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", [{"prompt": "a"}] * 3)
    job = Job(DropLong(), tmp_path / "out")
    with pytest.raises(DataError, match=r"in\.jsonl, line 1: no column 'text' \(columns here: prompt\)"):
        run(job, discover_units([tmp_path / "in.jsonl"]))
    assert tree(tmp_path / "out") == {}


def test_a_second_run_does_only_what_is_missing_or_changed(source: Path, tmp_path: Path) -> None:
    job = Job(DropLong(), tmp_path / "out")
    units = discover_units([source])
    run(job, units)
    first = tree(tmp_path / "out")
    assert pending(job, units) == []
    (tmp_path / "out" / "sub" / "part1.jsonl").unlink()
    assert [unit.name for unit in pending(job, units)] == ["sub/part1"]
    run(job, units)
    assert tree(tmp_path / "out") == first
    file = source / "sub" / "part2.jsonl"
    os.utime(file, (1, 1))  # touched, but the same
    assert pending(job, units) == []
    file.write_bytes(file.read_bytes().replace(b'"r1"', b'"R1"'))
    assert [unit.name for unit in pending(job, units)] == ["sub/part2"]
    other = Job(DropLong(limit=1), tmp_path / "out")
    assert len(pending(other, units)) == 3


def test_the_manifest_holds_hashes_and_nothing_of_the_machine(source: Path, tmp_path: Path) -> None:
    units = discover_units([source])
    run(Job(DropLong(), tmp_path / "out"), units)
    shutil.copytree(source, tmp_path / "elsewhere")
    run(Job(DropLong(), tmp_path / "out2"), discover_units([tmp_path / "elsewhere"]), workers=2)
    assert tree(tmp_path / "out") == tree(tmp_path / "out2")
    manifest = orjson.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert [unit["rows_in"] for unit in manifest["units"]] == [300, 300, 300]
    assert str(tmp_path) not in (tmp_path / "out" / "manifest.json").read_text(encoding="utf-8")


def test_a_job_array_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    units = discover_units([source])
    run(Job(DropLong(), tmp_path / "whole"), units)
    job = Job(DropLong(), tmp_path / "parts")
    for index in (1, 0):
        assert not (tmp_path / "parts" / "manifest.json").exists()
        run_units(job, pending(job, take_share(units, index, 2)))
        summary = summarise(job, units)
    assert summary.missing == 0
    assert tree(tmp_path / "parts") == tree(tmp_path / "whole")


@pytest.mark.parametrize("text", ["4/4", "1", "a/b", "-1/3", "1/0", "/", ""])
def test_shares_that_are_none(text: str) -> None:
    with pytest.raises(DataError, match="expected i/n"):
        parse_share(text)


def test_formats_change_and_old_files_go(source: Path, tmp_path: Path) -> None:
    units = discover_units([source])
    for kind in ShardFormat:
        run(Job(DropLong(), tmp_path / "out", kind), units)
        names = [name for name in tree(tmp_path / "out") if name.startswith("sub/")]
        assert names == [f"sub/part{number}.{kind.value}" for number in range(3)]
        assert sum(1 for _ in iter_rows(tmp_path / "out" / names[0])) == 200


def test_compressed_and_parquet_input(source: Path, tmp_path: Path) -> None:
    plain = discover_units([source])
    run(Job(DropLong(), tmp_path / "expected"), plain)
    for kind in (ShardFormat.JSONL_GZ, ShardFormat.JSONL_ZST, ShardFormat.PARQUET):
        run(Job(DropLong(limit=99), tmp_path / kind.value, kind), plain)
        shutil.rmtree(tmp_path / kind.value / ".octopack")
        run(Job(DropLong(), tmp_path / f"from-{kind.value}"), discover_units([tmp_path / kind.value]))
        result = tree(tmp_path / f"from-{kind.value}")["sub/part0.jsonl"]
        assert result == tree(tmp_path / "expected")["sub/part0.jsonl"]


def test_limit_takes_the_first_rows_of_every_shard(source: Path, tmp_path: Path) -> None:
    job = Job(DropLong(99), tmp_path / "out", limit=7)
    units = discover_units([source])
    assert run(job, units).statistics.rows_in == 21
    assert pending(job, units) == []


def test_results_of_other_inputs_or_steps_are_not_mixed(source: Path, tmp_path: Path) -> None:
    units = discover_units([source])
    job = Job(DropLong(), tmp_path / "out")
    run(job, units)
    with pytest.raises(DataError, match="holds the shard 'sub/part1', which is not among these inputs"):
        check_output(job, units[:1])

    class Other(DropLong):
        name = "other"

    with pytest.raises(DataError, match="holds results of 'drop-long'"):
        check_output(Job(Other(), tmp_path / "out"), units)


def test_the_input_is_never_overwritten(source: Path) -> None:
    units = discover_units([source])
    for output in (source, source.parent, source / "sub" / ".." / "sub"):
        with pytest.raises(DataError, match="lies in the output folder"):
            check_output(Job(DropLong(), output), units)
    check_output(Job(DropLong(), source / "elsewhere"), units)


def test_a_file_is_no_output_folder(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DataError, match="is a file; --output takes a folder"):
            check_output(Job(DropLong(), output), discover_units([source]))
    with pytest.raises(DataError, match="a file stands where a folder is needed"):
        write_atomically(tmp_path / "file" / "manifest.json", b"{}")


def test_inputs_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        discover_units([tmp_path / "none"])
    with pytest.raises(DataError, match="no shards in this folder"):
        discover_units([tmp_path])
    (tmp_path / "x.csv").write_text("a,b", encoding="utf-8")
    with pytest.raises(DataError, match="unknown kind of file"):
        discover_units([tmp_path / "x.csv"])
    write_rows(tmp_path / "a" / "x.jsonl", ROWS)
    write_rows(tmp_path / "b" / "x.jsonl", ROWS)
    with pytest.raises(DataError, match="would both become the shard 'x'"):
        discover_units([tmp_path / "a", tmp_path / "b"])
    write_rows(tmp_path / "a" / "_dropped" / "y.jsonl", ROWS)
    (tmp_path / "a" / "manifest.json").write_text("{}", encoding="utf-8")
    assert [unit.name for unit in discover_units([tmp_path / "a"])] == ["x"]
    write_rows(tmp_path / "c" / os.fsdecode(b"caf\xe9.jsonl"), ROWS)
    with pytest.raises(DataError, match="the name is not UTF-8 text; rename the file"):
        discover_units([tmp_path / "c"])


def test_a_row_is_found_by_its_id(source: Path) -> None:
    unit, row = find_row(discover_units([source]), "id", "r17")
    assert (unit.name, row["text"]) == ("sub/part0", "xxxxx")
    with pytest.raises(DataError, match="no row with id = 'r999'"):
        find_row(discover_units([source]), "id", "r999")


def test_a_step_that_loses_rows_is_caught(source: Path, tmp_path: Path) -> None:
    class Loser(DropLong):
        def start(self) -> BatchFunction:
            return lambda batch: Outcome(kept=batch.lines[1:])

    with pytest.raises(AssertionError, match="lost rows"):
        run(Job(Loser(), tmp_path / "out"), discover_units([source]))


class Parted(DropLong):
    """Spreads rows over files of at most 100 rows each: state within a unit, names of its own."""

    routed = True

    def start_unit(self, function: BatchFunction, unit: Unit, work: Path) -> BatchFunction:
        seen = 0

        def part(batch: Batch) -> Outcome:
            nonlocal seen
            routes = [f"{(seen + position) // 100:04d}" for position in range(len(batch.rows))]
            seen += len(batch.rows)
            return Outcome(kept=batch.lines, routes=routes)

        return part

    def output_path(self, unit: Unit, route: str, suffix: str) -> str:
        return f"{unit.name}/{unit.name}-{route}.{suffix}"


def test_every_file_goes_to_disk_once_however_often_it_was_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for the disk each time one of 350 languages is put aside for another took nine tenths of the time."""
    rows = [{"commit": f"{number:040x}", "new_file": f"a.{number}"} for number in range(100)] * 3
    write_rows(tmp_path / "in.jsonl", rows)
    step = LanguagesStep(table={f"L{number}": (f".{number}",) for number in range(100)})
    waited: list[str] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        waited.append(Path(f"/proc/self/fd/{descriptor}").resolve().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    monkeypatch.setattr(type(step), "batch_bytes", 1000)
    run(Job(step, tmp_path / "out"), discover_units([tmp_path / "in.jsonl"]))
    assert waited.count("in.jsonl") == 100
    assert {f"l{number}" for number in range(100)} <= set(waited)
    assert len(waited) < 210


def test_routes_state_and_several_inputs_in_one_unit(source: Path, tmp_path: Path) -> None:
    paths = tuple(path for unit in discover_units([source]) for path in unit.inputs)
    job = Job(Parted(), tmp_path / "out")
    run(job, [Unit("all", paths)])
    names = [name for name in tree(tmp_path / "out") if name.startswith("all/")]
    assert names == [f"all/all-{number:04d}.jsonl" for number in range(9)]
    rows = [row for name in names for row in iter_rows(tmp_path / "out" / name)]
    assert [(row["part"], row["id"]) for row in rows] == [(part, row["id"]) for part in range(3) for row in ROWS]


def test_a_full_disk_leaves_nothing_half_written(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(DropLong(), tmp_path / "out")
    units = discover_units([source])
    fsync, calls = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DataError, match="the disk is full"):
            run(job, units)
    assert not any("tmp" in name or name.startswith(".") for name in tree(tmp_path / "out"))
    run(job, units)
    run(Job(DropLong(), tmp_path / "expected"), units)
    assert tree(tmp_path / "out") == tree(tmp_path / "expected")


def test_two_runs_do_not_write_the_same_shard(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "_LOCK_PATIENCE_S", 0.1)
    job = Job(DropLong(), tmp_path / "out")
    unit = discover_units([source])[0]
    with pipeline._unit_lock(job, unit), pytest.raises(DataError, match="another run is writing it"):
        run_units(job, [unit])


def test_shards_named_alike_up_to_a_dot_are_written_side_by_side(tmp_path: Path) -> None:
    for number in range(2):
        write_rows(tmp_path / "in" / f"part.{number}.jsonl", ROWS)
    job = Job(DropLong(), tmp_path / "out")
    first, second = discover_units([tmp_path / "in"])
    with pipeline._unit_lock(job, first):
        run_units(job, [second])
    assert is_done(job, second)


def test_what_another_run_made_meanwhile_is_not_made_again(source: Path, tmp_path: Path) -> None:
    units = discover_units([source])
    missing = pending(Job(DropLong(), tmp_path / "out"), units)
    run(Job(DropLong(), tmp_path / "out"), units)

    class Late(DropLong):
        def start(self) -> BatchFunction:
            return lambda batch: pytest.fail("made twice")

    run_units(Job(Late(), tmp_path / "out"), missing)


def test_a_run_that_ends_leaves_the_work_of_another_alone(source: Path, tmp_path: Path) -> None:
    units = discover_units([source])
    run(Job(DropLong(), tmp_path / "out"), units)
    for unit in units:
        unit.inputs[0].write_bytes(unit.inputs[0].read_bytes() * 2)

    class Disturbed(DropLong):
        def start(self) -> BatchFunction:
            function = super().start()

            def disturbed(batch: Batch) -> Outcome:
                summarise(Job(DropLong(), tmp_path / "out"), units)  # as another share of a job array does at its end
                return function(batch)

            return disturbed

    run(Job(Disturbed(), tmp_path / "out"), units)
    run(Job(DropLong(), tmp_path / "expected"), units)
    assert tree(tmp_path / "out") == tree(tmp_path / "expected")
    assert not [path for path in (tmp_path / "out" / ".octopack").iterdir() if path.name != "units"]


def test_a_record_that_is_no_record_is_made_again(source: Path, tmp_path: Path) -> None:
    job = Job(DropLong(), tmp_path / "out")
    units = discover_units([source])
    run(job, units)
    record = tmp_path / "out" / ".octopack" / "units" / "sub%2Fpart0.json"
    for other in (b"{half", b"{}", b"[]"):
        record.write_bytes(other)
        assert not is_done(job, units[0])
        run(job, units)
        assert is_done(job, units[0])


def test_killed_anywhere_and_run_again_the_bytes_are_the_same(tmp_path: Path) -> None:
    """`kill -9` on the whole process group of a running command, at many moments, then one run to the end."""
    for number in range(6):
        rows = [commit(1000 * number + i, subject=f"Fix broken total of value {i}") for i in range(1500)]
        write_rows(tmp_path / "in" / f"part{number}.jsonl", rows)
    arguments = [sys.executable, "-c", _RUN, str(tmp_path / "in")]
    subprocess.run([*arguments, str(tmp_path / "expected")], check=True, capture_output=True)
    expected = tree(tmp_path / "expected")
    started = time.monotonic()
    subprocess.run([*arguments, str(tmp_path / "timing")], check=True, capture_output=True)
    whole = time.monotonic() - started
    interrupted = 0
    for moment in range(6):
        process = subprocess.Popen(
            [*arguments, str(tmp_path / "out")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if moment == 0:  # how long a run takes may change from one to the next: one kill is in its midst for certain
            while process.poll() is None and not (tmp_path / "out" / ".octopack" / "tmp").is_dir():
                time.sleep(0.001)
        else:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=whole * (0.35 + 0.1 * moment))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            interrupted += 1
        process.wait()
        if moment % 2 == 0:  # what an interrupted write may have left is no obstacle; the last run finds records
            leftover = tmp_path / "out" / ".octopack" / "tmp" / "part0" / "results"
            leftover.mkdir(parents=True, exist_ok=True)
            (leftover / "part0.jsonl").write_bytes(b"half a row")
            (tmp_path / "out" / f".manifest.json.{platform.node()}.{2**22}.tmp").write_bytes(b"half a manifest")
            shutil.rmtree(tmp_path / "out" / ".octopack" / "units", ignore_errors=True)
    assert interrupted
    subprocess.run([*arguments, str(tmp_path / "out")], check=True, capture_output=True)
    assert tree(tmp_path / "out") == expected
    state = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out" / ".octopack").rglob("*")}
    assert state == {".octopack/units", *(f".octopack/units/part{number}.json" for number in range(6))}


_RUN = """
import sys
from pathlib import Path
from octopack_data.commitpackft.step import CommitPackFT
from octopack_data.options import RunOptions, run_step
from octopack_data.pipeline import discover_units
if __name__ == "__main__":
    run_step(CommitPackFT(None), discover_units([Path(sys.argv[1])]), RunOptions(Path(sys.argv[2]), workers=2))
"""


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    peaks = []
    for times in (1, 6):
        rows: list[dict[str, Any]] = [commit(i, old_contents="a = b + c\n" * 500) for i in range(1500)]
        path = write_rows(tmp_path / f"x{times}.jsonl", rows)
        path.write_bytes(path.read_bytes() * times)
        script = _PEAK.format(path=str(path), output=str(tmp_path / f"out{times}"))
        done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout))
    size = (tmp_path / "x6.jsonl").stat().st_size / 1024 - (tmp_path / "x1.jsonl").stat().st_size / 1024
    assert size > 30_000
    assert peaks[1] - peaks[0] < size / 4


_PEAK = """
from pathlib import Path
from octopack_data.commitpackft.step import CommitPackFT
from octopack_data.executors import run_units
from octopack_data.pipeline import Job, discover_units
run_units(Job(CommitPackFT(None), Path({output!r})), discover_units([Path({path!r})]))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
