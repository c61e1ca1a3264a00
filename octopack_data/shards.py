"""Shards of rows on disk: JSON lines (plain, gzip, zstd) and parquet, read in bounded batches, written atomically."""

from __future__ import annotations

import errno
import json
import os
import platform
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO, Any, Protocol

import orjson

from octopack_data.errors import DataError

BATCH_BYTES = 1 << 20
"""Bytes of a file read at a time; the rows in them are one batch. Small enough for the processor's cache."""

MAX_LINE_BYTES = 256 << 20
"""A longer line cannot be a row of source code; it is reported as broken and not held in memory."""

PARQUET_ROWS = 1000
"""Rows of one parquet row group written, and of one batch read: code rows are a few kilobytes each."""

_DECOMPRESSED_AT_ONCE = 16 << 10
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ShardFormat(str, Enum):
    """How rows are stored in an output shard."""

    JSONL = "jsonl"
    JSONL_GZ = "jsonl.gz"
    JSONL_ZST = "jsonl.zst"
    PARQUET = "parquet"


_SUFFIXES = {
    ".jsonl": ShardFormat.JSONL,
    ".json": ShardFormat.JSONL,
    ".jsonl.gz": ShardFormat.JSONL_GZ,
    ".json.gz": ShardFormat.JSONL_GZ,
    ".jsonl.zst": ShardFormat.JSONL_ZST,
    ".json.zst": ShardFormat.JSONL_ZST,
    ".parquet": ShardFormat.PARQUET,
}


def shard_suffix(path: Path) -> str | None:
    """Return the suffix of `path` that makes it a shard (`.jsonl.zst`, `.parquet`, ...), or None."""
    name = path.name.lower()
    fitting = [suffix for suffix in _SUFFIXES if name.endswith(suffix) and len(name) > len(suffix)]
    return path.name[-max(map(len, fitting)) :] if fitting else None


def shard_format(path: Path) -> ShardFormat:
    """Return the format that the name of `path` announces.

    Raises:
        DataError: the name ends with none of the known suffixes.
    """
    suffix = shard_suffix(path)
    if suffix is None:
        raise DataError(f"{path}: unknown kind of file; shards are named {', '.join(_SUFFIXES)}")
    return _SUFFIXES[suffix.lower()]


# ---------------------------------------------------------------------------------------------------------- reading


class Fingerprint:
    """Content hash and size of a file, taken while it is read so that no byte is read twice.

    The hash is XXH3 with 128 bits: it tells changed files from unchanged ones at memory speed, and is not meant to
    withstand someone who wants two files to look alike.
    """

    def __init__(self) -> None:
        import xxhash

        self._digest = xxhash.xxh3_128()
        self.passed = 0
        """Bytes of the file that the rows yielded so far stand for."""
        self.size = 0

    def update(self, data: bytes) -> None:
        """Take in the next bytes."""
        self._digest.update(data)
        self.size += len(data)
        self.passed = self.size

    def hexdigest(self) -> str:
        """Return the hash of all bytes so far."""
        return self._digest.hexdigest()


def fingerprint_of(path: Path) -> Fingerprint:
    """Read `path` whole and return its fingerprint.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    fingerprint = Fingerprint()
    with _reading(path), path.open("rb") as file:
        while data := file.read(BATCH_BYTES):
            fingerprint.update(data)
    return fingerprint


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Name the file that the operating system does not let us read."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


@dataclass(frozen=True, slots=True)
class LongLine:
    """Stands for a line above `MAX_LINE_BYTES`, which is never held in memory whole."""

    size: int

    def __len__(self) -> int:
        return self.size


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def _decompressed(
    chunks: Iterable[bytes], start: Callable[[], _Decompressor], path: Path, size: int
) -> Iterator[bytes]:
    """Yield the contents of one or more compressed frames, about `size` bytes at a time.

    A file cut short is an error, never a short result. Little is decompressed at once, so that a file which blows up a
    thousandfold does not do so in memory.
    """
    decompressor = start()
    begun = False
    held: list[bytes] = []
    held_size = 0
    try:
        for chunk in chunks:
            for begin in range(0, len(chunk), _DECOMPRESSED_AT_ONCE):
                part = chunk[begin : begin + _DECOMPRESSED_AT_ONCE]
                while part:
                    if decompressor.eof:
                        decompressor = start()
                    begun = True
                    held.append(decompressor.decompress(part))
                    held_size += len(held[-1])
                    part = decompressor.unused_data if decompressor.eof else b""
                if held_size >= size:
                    yield b"".join(held)
                    held, held_size = [], 0
    except DataError:
        raise
    except Exception as error:  # zlib.error and zstandard.ZstdError share no base class
        raise DataError(f"{path}: not a readable {shard_format(path).value} file ({error}); fetch it again") from error
    if begun and not decompressor.eof:
        raise DataError(f"{path}: the compressed file ends in the middle; fetch it again")
    yield b"".join(held)


def _start_gzip() -> _Decompressor:
    return zlib.decompressobj(wbits=31)


def _start_zstd() -> _Decompressor:
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()


def _file_chunks(path: Path, fingerprint: Fingerprint, size: int = BATCH_BYTES) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(size):
            fingerprint.update(chunk)
            yield chunk


def _line_batches(chunks: Iterable[bytes]) -> Iterator[list[bytes | LongLine]]:
    """Cut a stream of bytes into lists of lines without their ends, one list for each chunk that completes a line."""
    begun: list[bytes] = []  # the parts of a line that reaches over chunks
    size = 0
    passed_over = 0  # bytes of a line above the limit
    first = True
    for chunk in chunks:
        if first:
            chunk = chunk.removeprefix(_BYTE_ORDER_MARK)
            first = False
        lines: list[bytes | LongLine] = [*chunk.split(b"\n")]
        rest = lines.pop()
        assert isinstance(rest, bytes)
        if lines:
            if passed_over:
                lines[0] = LongLine(passed_over + len(lines[0]))
            elif begun:
                lines[0] = b"".join([*begun, lines[0]])  # type: ignore[list-item]
            yield lines
            begun, size, passed_over = [], 0, 0
        if passed_over:
            passed_over += len(rest)
        elif rest:
            begun.append(rest)
            size += len(rest)
            if size > MAX_LINE_BYTES:
                begun, size, passed_over = [], 0, size
    if passed_over:
        yield [LongLine(passed_over)]
    elif begun:
        yield [b"".join(begun)]


def read_lines(
    path: Path, *, fingerprint: Fingerprint | None = None, batch_bytes: int = BATCH_BYTES
) -> Iterator[list[bytes | LongLine]]:
    """Yield the rows of a shard as lists of raw JSON lines without line ends, one bounded list at a time.

    Parquet rows are turned into JSON lines. A line longer than `MAX_LINE_BYTES` is yielded as a `LongLine`.

    Args:
        path: the shard; its name says the format.
        fingerprint: takes in the bytes of the file as they are read (all of them once the iterator is exhausted).
        batch_bytes: uncompressed bytes read for one list, about.

    Raises:
        DataError: the file is missing, damaged or cut short.
    """
    fingerprint = fingerprint or Fingerprint()
    kind = shard_format(path)
    with _reading(path):
        if kind is ShardFormat.PARQUET:
            for lines in _parquet_lines(path, fingerprint):
                yield from _cut(lines, batch_bytes)
            return
        chunks = _file_chunks(path, fingerprint, batch_bytes if kind is ShardFormat.JSONL else BATCH_BYTES)
        if kind is not ShardFormat.JSONL:
            start = _start_gzip if kind is ShardFormat.JSONL_GZ else _start_zstd
            chunks = _decompressed(chunks, start, path, batch_bytes)
        for lines in _line_batches(chunks):
            yield from _cut(lines, batch_bytes)


def _cut(lines: list[bytes | LongLine], batch_bytes: int) -> Iterator[list[bytes | LongLine]]:
    """Yield `lines` in parts of at most `batch_bytes`, or of one line."""
    if sum(map(len, lines)) <= 2 * batch_bytes:
        yield lines
        return
    start = size = 0
    for position, line in enumerate(lines):
        if size and size + len(line) > batch_bytes:
            yield lines[start:position]
            start, size = position, 0
        size += len(line)
    yield lines[start:]


def _parquet_lines(path: Path, fingerprint: Fingerprint) -> Iterator[list[bytes | LongLine]]:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    for chunk in _file_chunks(path, fingerprint):
        del chunk  # parquet is read from its end; the content hash needs a pass of its own
    rows = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                rows += len(batch)
                fingerprint.passed = fingerprint.size * rows // file.metadata.num_rows
                yield [_json_line(row) for row in _parquet_rows(batch)]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not a readable parquet file ({reason}); fetch it again") from error


def _parquet_rows(batch: Any) -> list[dict[str, Any]]:
    """Return the rows of an Arrow batch; text that is not UTF-8, which Arrow does not look for, stays bytes."""
    import pyarrow as pa

    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except UnicodeDecodeError:
        bytes_of = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
        schema = pa.schema([pa.field(field.name, bytes_of.get(field.type, field.type)) for field in batch.schema])
        rows = batch.cast(schema).to_pylist()
    return rows


def _json_line(row: dict[str, Any]) -> bytes:
    """Return a row as JSON; one with bytes that are no text keeps them, and is then no valid JSON to its reader."""
    try:
        return orjson.dumps(row, default=_plain_value)
    except TypeError:
        text = json.dumps(row, default=lambda value: _plain_value(value, "surrogateescape"), ensure_ascii=False)
        return text.encode("utf-8", "surrogateescape")


def _plain_value(value: object, errors: str = "strict") -> str:
    """Return what JSON has no form for as text: binary columns hold it too, dates and decimals are spelled out."""
    return value.decode("utf-8", errors) if isinstance(value, bytes) else str(value)


# ---------------------------------------------------------------------------------------------------------- writing


def explain_os_error(error: OSError, path: Path) -> DataError:
    """Say in one line what the operating system refused, and what mends it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(
            f"{path}: the disk is full; nothing half-written was kept. Free some space and run the same command again: "
            "it continues with what is missing"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DataError(f"{path}: cannot write here ({error.strerror}); choose another folder or mend its permissions")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return DataError(f"{path}: a file stands where a folder is needed; choose another --output")
    return DataError(f"{path}: {error.strerror or error}")


def sync(path: Path) -> None:
    """Bring to disk what was written to a file, or renamed in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(path: Path) -> IO[str] | None:
    """Return a lock file, held until it is closed, or None while another process holds it.

    Raises:
        OSError: the file system has no locks.
    """
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = path.open("a")
    except FileNotFoundError:
        return None  # a run that ended has just taken the folder away
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it may have removed it: then this is the lock of a file that nobody else will find.
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
    except (BlockingIOError, PermissionError, FileNotFoundError):  # CIFS calls what another process holds forbidden
        pass
    except OSError:
        file.close()
        raise
    file.close()
    return None


_HOST = platform.node().replace("/", "-") or "host"


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files in `folder` of writers on this machine that are no more."""
    for path in folder.glob(f".*.{_HOST}.*.tmp"):
        try:
            held = lock(path)
        except OSError:
            return  # without locks nobody knows what is in use
        if held is not None:
            with held:
                path.unlink()


@contextmanager
def _in_use(temporary: Path) -> Iterator[None]:
    """Lock a temporary file while it is written, so that `remove_leftovers` can tell it from one left behind.

    The kernel gives a lock back when its process ends; the number of a process says less, as that of a killed one stays
    taken until its parent has asked for it.
    """
    with ExitStack() as stack:
        with suppress(OSError):  # a file system without locks, or one that lets nobody write: opening says so
            for _ in range(100):
                if (held := lock(temporary)) is not None:
                    stack.enter_context(held)
                    break
                time.sleep(0.01)  # somebody is just clearing away what a writer of the same number left
        yield


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that appears under its name only when whole and on disk.

    Whatever happens before the end of the block - an exception, a full disk, `kill -9` - leaves what was at `path`.

    Raises:
        DataError: the operating system refused (disk full, no permission).
    """
    temporary = path.with_name(f".{path.name}.{_HOST}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _in_use(temporary), temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync(path.parent)
    except OSError as error:
        raise explain_os_error(error, path) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file whole or not at all."""
    with atomic_file(path) as file:
        file.write(data)


class RowWriter(Protocol):
    """Where the lines of one output file go."""

    def write(self, lines: Sequence[bytes]) -> None:
        """Append rows, given as JSON lines without line ends."""

    def close(self) -> None:
        """Finish the file, which may still be on its way to the disk."""


class _JsonLines:
    """JSON lines, compressed or not; opening it again appends (a further gzip member or zstd frame)."""

    def __init__(self, path: Path, kind: ShardFormat) -> None:
        self._file = path.open("ab")
        self._stream: Any = self._file
        if kind is ShardFormat.JSONL_GZ:
            import gzip

            # No name and no time in the header: the same rows must give the same bytes.
            self._stream = gzip.GzipFile(filename="", mode="ab", fileobj=self._file, compresslevel=6, mtime=0)
        elif kind is ShardFormat.JSONL_ZST:
            import zstandard

            compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
            self._stream = compressor.stream_writer(self._file, closefd=False)

    def write(self, lines: Sequence[bytes]) -> None:
        if lines:
            self._stream.write(b"\n".join([*lines, b""]))

    def close(self) -> None:
        try:
            if self._stream is not self._file:
                self._stream.close()
        finally:
            self._file.close()


class _Parquet:
    """Parquet with the columns of the first rows; text columns stay text whatever the first rows hold."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[dict[str, Any]] = []
        self._writer: Any = None

    def write(self, lines: Sequence[bytes]) -> None:
        self._rows.extend(map(orjson.loads, lines))
        while len(self._rows) >= PARQUET_ROWS:
            self._write_group(self._rows[:PARQUET_ROWS])
            self._rows = self._rows[PARQUET_ROWS:]

    def _write_group(self, rows: list[dict[str, Any]]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            if self._writer is None:
                names = dict.fromkeys(name for row in rows for name in row)  # Arrow would ask the first row alone
                schema = pa.Table.from_pylist([names | row for row in rows]).schema
                schema = pa.schema(
                    [pa.field(f.name, pa.string() if pa.types.is_null(f.type) else f.type) for f in schema]
                )
                self._writer = pq.ParquetWriter(self._path, schema, compression="zstd")
            # Arrow would leave out, without a word, columns that the first rows do not have.
            known = set(self._writer.schema.names)
            if late := next((name for row in rows for name in row if name not in known), None):
                raise DataError(
                    f"{self._path.name}: the column {late!r} is not in the first {PARQUET_ROWS} rows, so it has no "
                    "place in the parquet table; write the rows as --format jsonl.zst"
                )
            table = pa.Table.from_pylist(rows, schema=self._writer.schema)
        except pa.ArrowException as error:
            raise DataError(
                f"{self._path.name}: rows do not fit one parquet table ({error}); write them as --format jsonl.zst"
            ) from error
        self._writer.write_table(table)

    def close(self) -> None:
        if self._rows or self._writer is None:
            self._write_group(self._rows)
        self._rows = []
        self._writer.close()


def open_writer(path: Path, kind: ShardFormat) -> RowWriter:
    """Open `path` for rows; JSON lines are appended to what is there, parquet starts afresh."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return _Parquet(path) if kind is ShardFormat.PARQUET else _JsonLines(path, kind)


@dataclass(slots=True)
class RoutedWriter:
    """Writes rows to one file for each route (a part of the output such as a language).

    At most `max_open` files are open; the least recently used one is closed and continued later, so that 350 languages
    need neither 350 compressors nor 350 file handles. The choice depends on the rows alone: same rows, same bytes.
    """

    path: Callable[[str], Path]
    kind: ShardFormat
    max_open: int = 64
    _open: OrderedDict[str, RowWriter] = field(default_factory=OrderedDict)

    def write(self, route: str, lines: Sequence[bytes]) -> None:
        """Append lines to the file of a route."""
        writer = self._open.get(route)
        if writer is None:
            if self.kind is not ShardFormat.PARQUET and len(self._open) >= self.max_open:
                self._open.popitem(last=False)[1].close()
            writer = self._open[route] = open_writer(self.path(route), self.kind)
        self._open.move_to_end(route)
        writer.write(lines)

    def close(self) -> None:
        """Finish every file."""
        while self._open:
            self._open.popitem(last=False)[1].close()


def iter_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the parsed rows of a small shard.

    Raises:
        DataError: a line is not a JSON object; the message names the line.
    """
    number = 0
    for lines in read_lines(path):
        for line in lines:
            number += 1
            if isinstance(line, bytes) and not line.strip():
                continue
            try:
                row = orjson.loads(line if isinstance(line, bytes) else b"")
            except orjson.JSONDecodeError as error:
                raise DataError(f"{path}, line {number}: not JSON ({error}); mend or remove the line") from error
            if not isinstance(row, dict):
                raise DataError(f"{path}, line {number}: a row must be a JSON object, this is {type(row).__name__}")
            yield row
