"""Reading and writing shards: formats, damage, long lines, full disks."""

from __future__ import annotations

import errno
import gzip
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from octopack_data import shards
from octopack_data.errors import DataError
from octopack_data.shards import (
    Fingerprint,
    LongLine,
    RoutedWriter,
    ShardFormat,
    atomic_file,
    fingerprint_of,
    iter_rows,
    open_writer,
    read_lines,
    remove_leftovers,
    shard_format,
)

LINES = [b'{"text":"%d"}' % number for number in range(2500)]


def all_lines(path: Path, batch_bytes: int = 1 << 20) -> list[bytes | LongLine]:
    return [line for lines in read_lines(path, batch_bytes=batch_bytes) for line in lines]


@pytest.mark.parametrize("kind", list(ShardFormat))
def test_what_is_written_is_read(tmp_path: Path, kind: ShardFormat) -> None:
    path = tmp_path / f"rows.{kind.value}"
    writer = open_writer(path, kind)
    writer.write(LINES[:100])
    writer.write([])
    writer.write(LINES[100:])
    writer.close()
    assert shard_format(path) is kind
    assert all_lines(path, 1000) == LINES
    other = tmp_path / "again" / path.name
    writer = open_writer(other, kind)
    writer.write(LINES[:100])
    writer.write(LINES[100:])
    writer.close()
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kind", list(ShardFormat))
def test_batches_are_small_where_they_must_be(tmp_path: Path, kind: ShardFormat) -> None:
    path = tmp_path / f"rows.{kind.value}"
    writer = open_writer(path, kind)
    writer.write(LINES)
    writer.close()
    fingerprint = Fingerprint()
    passed = []
    for lines in read_lines(path, fingerprint=fingerprint, batch_bytes=500):
        assert sum(map(len, lines)) <= 1000
        passed.append(fingerprint.passed)
    assert len(passed) > 20
    assert passed == sorted(passed)
    assert passed[-1] == path.stat().st_size


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_lines_are_cut_right_wherever_the_file_is(tmp_path: Path, size: int, ending: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbfone\n\nthree\nfour" + ending)
    expected = [b"one", b"", b"three", b"four"]
    if size >= 3:  # the byte order mark is looked for in the first read
        assert all_lines(path, size) == expected
    path.write_bytes(b"one\n\nthree\nfour" + ending)
    assert all_lines(path, size) == expected


def test_a_line_too_long_is_reported_and_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "MAX_LINE_BYTES", 1000)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"a\n" + b"x" * 50_000 + b"\nb\n" + b"y" * 9000)
    found = all_lines(path, 100)
    assert found == [b"a", LongLine(50_000), b"b", LongLine(9000)]


def test_fingerprint_is_taken_while_reading(tmp_path: Path) -> None:
    for kind in ShardFormat:
        path = tmp_path / f"rows.{kind.value}"
        writer = open_writer(path, kind)
        writer.write(LINES)
        writer.close()
        fingerprint = Fingerprint()
        for _ in read_lines(path, fingerprint=fingerprint):
            pass
        assert fingerprint.hexdigest() == fingerprint_of(path).hexdigest()
        assert fingerprint.size == path.stat().st_size


@pytest.mark.parametrize("suffix", ["jsonl.gz", "jsonl.zst"])
def test_a_compressed_file_cut_short_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    data = b"\n".join(LINES)
    whole = gzip.compress(data) if suffix == "jsonl.gz" else zstandard.compress(data)
    path.write_bytes(whole + whole)
    assert len(all_lines(path)) == 2 * len(LINES) - 1  # two members, no line end between them
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="ends in the middle"):
        all_lines(path)
    path.write_bytes(b"no such thing")
    with pytest.raises(DataError, match="not a readable"):
        all_lines(path)


@pytest.mark.parametrize("kind", [ShardFormat.JSONL_GZ, ShardFormat.JSONL_ZST])
def test_a_changed_byte_is_noticed(tmp_path: Path, kind: ShardFormat) -> None:
    path = tmp_path / f"rows.{kind.value}"
    writer = open_writer(path, kind)
    writer.write([b'{"text":"%s"}' % random.Random(1).randbytes(500).hex().encode()])
    writer.close()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="fetch it again"):
        all_lines(path)


def test_a_file_that_blows_up_is_read_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text":"x"}\n' * 3_000_000, 9))
    sizes = [sum(map(len, lines)) for lines in read_lines(path)]
    assert sum(sizes) == 12 * 3_000_000
    assert max(sizes) < 20 << 20


def test_missing_and_unknown_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        all_lines(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="unknown kind of file"):
        all_lines(tmp_path / "rows.csv")
    broken = tmp_path / "rows.parquet"
    broken.write_bytes(b"PAR1 but not really")
    with pytest.raises(DataError, match="not a readable parquet file"):
        all_lines(broken)


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(b"old")

    def write_and_fail() -> None:
        with atomic_file(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_removed_and_what_a_live_one_writes_is_not(tmp_path: Path) -> None:
    dead = tmp_path / "dead.json"
    killed = subprocess.Popen([sys.executable, "-c", _DIE_WRITING, str(dead)])
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # its number stays taken: nobody has asked for it
    with atomic_file(tmp_path / "live.json") as file:
        file.write(b"half")
        assert len(list(tmp_path.iterdir())) == 2
        remove_leftovers(tmp_path)
        assert [path.name.startswith(".live.json.") for path in tmp_path.iterdir()] == [True]
        file.write(b" and half")
    assert killed.wait() == -signal.SIGKILL
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"half and half"]


@pytest.mark.parametrize("error", [BlockingIOError(), PermissionError(), OSError(errno.ENOTSUP, "no locks here")])
def test_files_are_written_where_locks_are_not_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def refuse(descriptor: object, operation: int) -> None:
        raise error

    monkeypatch.setattr("fcntl.flock", refuse)
    monkeypatch.setattr(shards.time, "sleep", lambda seconds: None)
    with atomic_file(tmp_path / "result") as file:
        file.write(b"whole")
        remove_leftovers(tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"]


_DIE_WRITING = """
import os, signal, sys
from pathlib import Path
from octopack_data.shards import atomic_file

with atomic_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_full_disk_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="the disk is full"), atomic_file(tmp_path / "result") as file:
        file.write(b"x")
    assert list(tmp_path.iterdir()) == []


def test_routes_are_closed_and_continued(tmp_path: Path) -> None:
    for kind in (ShardFormat.JSONL, ShardFormat.JSONL_ZST, ShardFormat.JSONL_GZ):
        folder = tmp_path / kind.value
        routed = RoutedWriter(
            lambda route, kind=kind, folder=folder: folder / route / f"x.{kind.value}", kind, max_open=2
        )
        for number, line in enumerate(LINES[:60]):
            routed.write(f"r{number % 5}", [line])
        routed.close()
        for route in range(5):
            assert all_lines(folder / f"r{route}" / f"x.{kind.value}") == LINES[:60][route::5]


def test_parquet_rows_that_do_not_fit_together(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "rows.parquet", ShardFormat.PARQUET)
    writer.write([b'{"a":"text"}'] * 1000)
    with pytest.raises(DataError, match=r"--format jsonl\.zst"):
        writer.write([b'{"a":{"b":1}}'] * 1000)


def test_parquet_loses_no_column(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    writer = open_writer(path, ShardFormat.PARQUET)
    writer.write([b'{"a":"1"}', b'{"a":"2","b":"second row"}'])
    writer.close()
    assert list(iter_rows(path)) == [{"a": "1", "b": None}, {"a": "2", "b": "second row"}]
    writer = open_writer(tmp_path / "late.parquet", ShardFormat.PARQUET)
    writer.write([b'{"a":"1"}'] * 1000)
    with pytest.raises(DataError, match=r"the column 'late' is not in the first 1000 rows.*--format jsonl\.zst"):
        writer.write([b'{"a":"1","late":"x"}'] * 1000)


def test_parquet_keeps_empty_columns_as_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    writer = open_writer(path, ShardFormat.PARQUET)
    writer.write([b'{"a":null}'] * 1000)
    writer.write([b'{"a":"late"}'])
    writer.close()
    assert [row["a"] for row in iter_rows(path)] == [None] * 1000 + ["late"]


def test_parquet_text_may_be_stored_as_bytes(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([b"caf\xc3\xa9", None]), "n": [1, 2]}), tmp_path / "rows.parquet")
    assert all_lines(tmp_path / "rows.parquet") == ['{"text":"café","n":1}'.encode(), b'{"text":null,"n":2}']


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_parquet_bytes_that_are_no_text_are_not_lost(tmp_path: Path, kind: pa.DataType) -> None:
    large = pa.types.is_large_string(kind)
    stored = pa.array([b"good", b"caf\xe9"], pa.large_binary() if large else pa.binary())
    texts = pa.Array.from_buffers(kind, 2, stored.buffers())  # nobody looks whether it is UTF-8
    pq.write_table(pa.table({"text": texts}), tmp_path / "rows.parquet")
    good, bad = all_lines(tmp_path / "rows.parquet")
    assert good == b'{"text":"good"}'
    assert bad == b'{"text": "caf\xe9"}'  # no JSON to the engine, which puts it aside as it is


def test_a_damaged_parquet_page_names_its_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["x" * 100] * 50}), tmp_path / "rows.parquet", use_dictionary=False)
    data = bytearray((tmp_path / "rows.parquet").read_bytes())
    data[4:40] = bytes(36)
    (tmp_path / "rows.parquet").write_bytes(data)
    with pytest.raises(DataError, match=r"rows\.parquet: not a readable parquet file .*; fetch it again"):
        all_lines(tmp_path / "rows.parquet")


def test_rows_of_a_small_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a":1}\n\n{"a":2}\n')
    assert list(iter_rows(path)) == [{"a": 1}, {"a": 2}]
    path.write_bytes(b'{"a":1}\n{"a":')
    with pytest.raises(DataError, match="line 2: not JSON"):
        list(iter_rows(path))
    path.write_bytes(b"[1]")
    with pytest.raises(DataError, match="must be a JSON object"):
        list(iter_rows(path))
