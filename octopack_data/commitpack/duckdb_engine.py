"""Runs the five stages on this machine with DuckDB, over parquet or JSON lines exports of the public tables."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from octopack_data.commitpack.metadata import (
    LITERAL_REASONS,
    METADATA_COLUMNS,
    REASONS,
    SOURCE_TABLES,
    STAGES,
    Reading,
    Rules,
    Stage,
    stage_query,
    why_query,
)
from octopack_data.errors import DataError
from octopack_data.shards import (
    LongLine,
    ShardFormat,
    atomic_file,
    explain_os_error,
    fingerprint_of,
    lock,
    read_lines,
    shard_format,
    shard_suffix,
    sync,
    write_atomically,
)

if TYPE_CHECKING:
    import duckdb

ROWS_PER_SHARD = 50_000
"""Metadata rows of one output shard: about 15 MB, an hour or so of scraping for one process."""

_STAGES_FOLDER = "_stages"
_BROKEN_FOLDER = "_broken"
_JSON_TYPES = {
    "languages": {"repo_name": "VARCHAR", "language": "STRUCT(name VARCHAR)[]"},
    "licenses": {"repo_name": "VARCHAR", "license": "VARCHAR"},
    "commits": {
        "commit": "VARCHAR",
        "subject": "VARCHAR",
        "message": "VARCHAR",
        "repo_name": "VARCHAR[]",
        "difference": "STRUCT(old_path VARCHAR, new_path VARCHAR)[]",
    },
}
_GROUP_ROWS = 5_000
_LINE_BYTES = 16 << 20
"""Longest line that DuckDB makes room for, twice for each thread; the few tables with longer ones are told apart."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Files of the three public tables: parquet, or JSON lines (also compressed)."""

    languages: tuple[Path, ...]
    licenses: tuple[Path, ...]
    commits: tuple[Path, ...]

    def files(self, table: str) -> tuple[Path, ...]:
        """Return the files of a table."""
        files: tuple[Path, ...] = getattr(self, table)
        return files


def find_table_files(path: Path, table: str) -> tuple[Path, ...]:
    """Return the files of a table: `path` itself, or all shards in the folder.

    Raises:
        DataError: nothing there, or two kinds of file in one table.
    """
    if path.is_file():
        files: tuple[Path, ...] = (path,)
    elif path.is_dir():
        files = tuple(sorted(file for file in path.rglob("*") if file.is_file() and shard_suffix(file)))
    else:
        raise DataError(f"{path}: no such file or folder; --{table} takes the table as parquet or JSON lines")
    if not files:
        raise DataError(f"{path}: no *.parquet or *.jsonl files of the table {table!r} in this folder")
    if len({shard_format(file) is ShardFormat.PARQUET for file in files}) > 1:
        raise DataError(f"{path}: both parquet and JSON lines for one table; give one of them")
    return files


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage made: number of rows, of commits, and whether it was there already."""

    stage: Stage
    rows: int
    commits: int
    reused: bool


@dataclass(frozen=True, slots=True)
class MetadataResult:
    """Outcome of a run: the stages, why commits were dropped (None unless asked for), and the shards."""

    stages: tuple[StageResult, ...]
    reasons: dict[str, int] | None
    broken: int
    shards: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class DuckDBEngine:
    """Runs the stages; a stage whose query and inputs did not change is not run again.

    Attributes:
        output: folder of the results; `_stages/` holds the table of every stage.
        rules: parameters of the queries.
        memory: memory that DuckDB may use before it spills to disk ("8GB"); empty for its default.
        threads: threads that DuckDB may use; 0 for its default.
    """

    output: Path
    rules: Rules
    memory: str = ""
    threads: int = 0

    def run(
        self,
        sources: Sources,
        *,
        rows_per_shard: int = ROWS_PER_SHARD,
        count_reasons: bool = False,
        report: Callable[[str], None] = lambda line: None,
    ) -> MetadataResult:
        """Run all stages and write the chosen commits, sorted by repository, as parquet shards.

        Args:
            sources: the three tables.
            rows_per_shard: a shard ends with the first repository that reaches this many rows.
            count_reasons: also count why commits were dropped (one more pass over the commits).
            report: is told what is being done.

        Raises:
            DataError: a table is missing, damaged or lacks a column, or the disk is full.
        """
        stages = self.output / _STAGES_FOLDER
        with ExitStack() as held, _connect(self.memory, self.threads) as connection:
            _check_sources(connection, sources)
            held.enter_context(_alone_in(stages))
            _spill_to(connection, stages)
            hashes = {}
            broken = 0
            for table in SOURCE_TABLES:
                report(f"reading {table}")
                hashes[table] = _content_hash(sources.files(table), stages / "inputs.json")
                broken += _register(connection, table, sources.files(table), self.output)
            results = []
            for stage in STAGES:
                query = stage_query(stage, self.rules, "duckdb", {})
                key = _hash({"sql": query.sql, "parameters": dict(query.parameters), "inputs": hashes})
                path = stages / f"{stage.title}.parquet"
                known = _read_json(path.with_suffix(".json"))
                reused = known.get("key") == key and path.is_file() and path.stat().st_size == known.get("size")
                report(f"stage {stage.title}{' (there already)' if reused else ''}")
                if not reused:
                    _copy(connection, query.sql, dict(query.parameters), path)
                connection.execute(
                    f"CREATE OR REPLACE VIEW {stage.table} AS SELECT * FROM read_parquet({_quoted([path])})"
                )
                if not reused:
                    rows, commits = _one(connection, f'SELECT COUNT(*), COUNT(DISTINCT "commit") FROM {stage.table}')
                    known = {"key": key, "rows": rows, "commits": commits, "size": path.stat().st_size}
                    write_atomically(path.with_suffix(".json"), orjson.dumps(known, option=orjson.OPT_INDENT_2))
                hashes = {stage.table: key, "commits": hashes["commits"]}
                results.append(StageResult(stage, known["rows"], known["commits"], reused))
            reasons = None
            if count_reasons:
                report("counting reasons")
                reasons = self._count_reasons(connection, results)
            report("writing shards")
            shards = _write_sorted(connection, STAGES[-1].table, self.output, rows_per_shard, hashes[STAGES[-1].table])
        statistics = {
            "stages": {result.stage.title: {"rows": result.rows, "commits": result.commits} for result in results},
            "reasons": reasons,
            "broken": broken,
        }
        option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        write_atomically(self.output / "statistics.json", orjson.dumps(statistics, option=option))
        return MetadataResult(tuple(results), reasons, broken, shards)

    def _count_reasons(self, connection: duckdb.DuckDBPyConnection, results: Sequence[StageResult]) -> dict[str, int]:
        if self.rules.reading is Reading.LITERAL:
            _, commits = _one(connection, 'SELECT COUNT(*), COUNT(DISTINCT "commit") FROM commits')
            left = [commits, *(result.commits for result in results)]
            lost = [before - after for before, after in pairwise(left)]
            return dict(zip(LITERAL_REASONS, lost, strict=True)) | {"kept": left[-1]}
        query = why_query(self.rules, "duckdb", {})
        sql = f"SELECT COALESCE(reason, 'kept'), COUNT(*) FROM ({query.sql}) GROUP BY 1"
        found = dict(connection.execute(sql, dict(query.parameters)).fetchall())
        return {reason: found.get(reason, 0) for reason in (*REASONS, "kept")}

    def explain(self, sources: Sources, commit: str) -> str | None:
        """Return the name of the first rule that drops a commit, or None where it stays.

        In the literal reading it is the first stage that has no row of the commit any more.

        Raises:
            DataError: no such commit in the table.
        """
        with _connect(self.memory, self.threads) as connection:
            _check_sources(connection, sources)
            for table in SOURCE_TABLES:
                _register(connection, table, sources.files(table), self.output)
            connection.execute("CREATE TABLE one AS SELECT * FROM commits WHERE commit = $id", {"id": commit})
            if _one(connection, "SELECT COUNT(*), 0 FROM one")[0] == 0:
                raise DataError(f"no commit {commit!r} in the table of commits; give its whole 40-digit id")
            if self.rules.reading is Reading.LITERAL:
                return self._stage_that_loses_it(connection)
            query = why_query(self.rules, "duckdb", {"commits": "one"})
            row = connection.execute(query.sql, dict(query.parameters)).fetchone()
        assert row is not None
        reason: str | None = row[1]
        return reason

    def _stage_that_loses_it(self, connection: duckdb.DuckDBPyConnection) -> str | None:
        for stage in STAGES:
            query = stage_query(stage, self.rules, "duckdb", {"commits": "one"})
            connection.execute(f"CREATE TABLE {stage.table} AS {query.sql}", dict(query.parameters))
            if _one(connection, f"SELECT COUNT(*), 0 FROM {stage.table}")[0] == 0:
                return f"stage {stage.title}"
        return None


def group_by_repository(
    files: Sequence[Path], output: Path, *, rows_per_shard: int = ROWS_PER_SHARD, memory: str = "", threads: int = 0
) -> tuple[Path, ...]:
    """Sort metadata rows by repository into shards, so that scraping fetches a repository once and not once a shard.

    Raises:
        DataError: files of two kinds, input in the output folder, a missing column, or the disk is full.
    """
    for file in files:
        if file.resolve().is_relative_to(output.resolve()):
            raise DataError(f"{output}: the input {file} lies in the output folder; choose another --output")
    with ExitStack() as held, _connect(memory, threads) as connection:
        reader = _reader(files, dict.fromkeys(METADATA_COLUMNS, "VARCHAR"))
        _check_columns(connection, reader, METADATA_COLUMNS, files)
        held.enter_context(_alone_in(output / _STAGES_FOLDER))
        _spill_to(connection, output / _STAGES_FOLDER)
        connection.execute(f"CREATE VIEW metadata AS SELECT * FROM {reader}")
        key = _content_hash(files, output / _STAGES_FOLDER / "inputs.json")
        try:
            shards = _write_sorted(connection, "metadata", output, rows_per_shard, key)
        except _engine_errors() as error:
            raise _explain(error, output) from error
    return shards


def _connect(memory: str, threads: int) -> duckdb.DuckDBPyConnection:
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise DataError("DuckDB is not installed; run: pip install 'octopack[data]'") from error
    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    # Nothing here needs extensions from the network, and an input file must not be able to ask for one.
    connection.execute("SET autoinstall_known_extensions = false")
    try:
        if memory:
            connection.execute("SET memory_limit = $memory", {"memory": memory})
        if threads:
            connection.execute("SET threads = $threads", {"threads": threads})
    except duckdb.Error as error:
        raise DataError(f"--memory {memory}: not a size DuckDB understands; write it like 8GB") from error
    return connection


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep another run out, which would write the same temporary files.

    Raises:
        DataError: there is one.
    """
    path = folder / "lock"
    try:
        held = lock(path)
    except OSError:  # no locks on this file system, or a fault that the first write tells better
        yield
        return
    if held is None:
        raise DataError(f"{folder.parent}: another run is at work there; wait for it, or stop it")
    with held:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _spill_to(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Make the folder of the stages, and let DuckDB put there what does not fit into memory.

    What an interrupted run left there under temporary names is removed.
    """
    spill = folder / "spill"
    shutil.rmtree(spill, ignore_errors=True)
    try:
        spill.mkdir(parents=True)
        for left in (path for path in folder.iterdir() if path.name.endswith(".tmp")):
            left.unlink()
    except OSError as error:
        raise explain_os_error(error, folder) from error
    connection.execute("SET temp_directory = $spill", {"spill": str(spill)})


def _engine_errors() -> type[Exception]:
    import duckdb

    error: type[Exception] = duckdb.Error
    return error


def _explain(error: Exception, output: Path) -> DataError:
    text = str(error).splitlines()[0]
    if "No space left" in str(error) or "failed to offload" in str(error).lower():
        return DataError(f"{output}: the disk is full; free some space and run the same command again ({text})")
    if "Out of Memory" in str(error):
        return DataError(f"DuckDB ran out of memory; raise --memory, or leave room for spilling in {output} ({text})")
    return DataError(f"DuckDB: {text}")


def _quoted(files: Sequence[Path]) -> str:
    return "[" + ", ".join("'" + str(file).replace("'", "''") + "'" for file in files) + "]"


def _reader(files: Sequence[Path], types: Mapping[str, str], longest: int = _LINE_BYTES) -> str:
    if shard_format(files[0]) is ShardFormat.PARQUET:
        return f"read_parquet({_quoted(files)}, union_by_name = true)"
    columns = ", ".join(f"\"{name}\": '{kind}'" for name, kind in types.items())
    return (
        f"read_json({_quoted(files)}, format = 'newline_delimited', columns = {{{columns}}}, "
        f"maximum_object_size = {max(longest, _LINE_BYTES)})"
    )


def _check_sources(connection: duckdb.DuckDBPyConnection, sources: Sources) -> None:
    """Refuse tables without the columns that the queries read, before anything is written."""
    for table, columns in SOURCE_TABLES.items():
        files = sources.files(table)
        _check_columns(connection, _reader(files, _JSON_TYPES[table]), columns, files)


def _check_columns(
    connection: duckdb.DuckDBPyConnection, reader: str, columns: Sequence[str], files: Sequence[Path]
) -> None:
    if shard_format(files[0]) is ShardFormat.PARQUET:
        try:
            present = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {reader}").fetchall()]
        except _engine_errors() as error:
            raise DataError(f"{files[0]}: not readable parquet ({str(error).splitlines()[0]})") from error
    else:
        # An export has empty files among the others.
        first = next((file for file in files if any(map(any, read_lines(file, batch_bytes=1 << 16)))), None)
        if first is None:
            return
        files = (first,)
        present = []
        for lines in read_lines(first, batch_bytes=1 << 16):
            rows = (orjson.loads(line) for line in lines if isinstance(line, bytes) and line.startswith(b"{"))
            try:
                present = list(next(rows, {}))
            except orjson.JSONDecodeError:
                return  # a broken first line is found, and put aside or told of, when all are read
            break
    missing = [column for column in columns if column not in present]
    if missing:
        raise DataError(f"{files[0]}: no column {missing[0]!r} (columns here: {', '.join(present) or 'none'})")


def _register(connection: duckdb.DuckDBPyConnection, table: str, files: Sequence[Path], output: Path) -> int:
    """Make a table visible under its name; return how many broken lines were kept aside."""
    reader = _reader(files, _JSON_TYPES[table])
    broken = 0
    if shard_format(files[0]) is not ShardFormat.PARQUET:
        try:
            connection.execute(f"SELECT COUNT(*), COUNT(COLUMNS(*)) FROM {reader}").fetchall()
        except _engine_errors():
            good, broken, longest = _sift(table, files, output)
            reader = _reader([good], _JSON_TYPES[table], longest + 1)
    try:
        connection.execute(f"CREATE OR REPLACE VIEW {table} AS SELECT * FROM {reader}")
    except _engine_errors() as error:
        raise _explain(error, output) from error
    return broken


def _sift(table: str, files: Sequence[Path], output: Path) -> tuple[Path, int, int]:
    """Copy the good lines of a table beside the stages and its broken lines to `_broken/`.

    Returns:
        The file of the good lines, how many are broken, and the bytes of the longest good one.
    """
    good = output / _STAGES_FOLDER / f"{table}.jsonl"
    broken = longest = 0
    with atomic_file(good) as whole, atomic_file(output / _BROKEN_FOLDER / f"{table}.jsonl") as aside:
        for file in files:
            for lines in read_lines(file):
                for line in lines:
                    if isinstance(line, LongLine):
                        broken += 1
                    elif line.strip():
                        fits = _fits(table, line)
                        broken += not fits
                        longest = max(longest, len(line) if fits else 0)
                        (whole if fits else aside).write(line + b"\n")
    return good, broken, longest


def _fits(table: str, line: bytes) -> bool:
    """Say whether a line has the shape of the table's rows."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(row, dict):
        return False
    for column, kind in _JSON_TYPES[table].items():
        value = row.get(column)
        if value is None:
            continue
        if kind == "VARCHAR":
            fits = isinstance(value, str)
        elif kind == "VARCHAR[]":
            fits = isinstance(value, list) and all(isinstance(entry, str | None) for entry in value)
        else:
            fits = isinstance(value, list) and all(isinstance(entry, dict | None) for entry in value)
        if not fits:
            return False
    return True


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, int]:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0], row[1]


def _copy(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any], path: Path) -> None:
    """Write the rows of a query to a parquet file, whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        connection.execute(
            f"COPY ({sql}) TO {_quoted([temporary])[1:-1]} (FORMAT parquet, COMPRESSION zstd)", parameters
        )
        temporary.replace(path)
    except _engine_errors() as error:
        raise _explain(error, path.parent) from error
    finally:
        temporary.unlink(missing_ok=True)


def _write_sorted(
    connection: duckdb.DuckDBPyConnection, table: str, output: Path, rows_per_shard: int, key: str
) -> tuple[Path, ...]:
    """Write the rows of a table sorted by repository; a shard never ends inside a first repository's rows.

    The order is total, so the same rows always give the same files.
    """
    key = _hash({"key": key, "rows_per_shard": rows_per_shard, "columns": METADATA_COLUMNS})
    manifest = output / "manifest.json"
    known = _read_json(manifest)
    if known.get("key") == key and all(
        (output / shard["path"]).is_file() and (output / shard["path"]).stat().st_size == shard["size"]
        for shard in known["shards"]
    ):
        return tuple(output / shard["path"] for shard in known["shards"])
    manifest.unlink(missing_ok=True)
    temporary = output / _STAGES_FOLDER / "shards"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    order = ", ".join(f'"{column}"' for column in ("repos", "commit", "old_file", "new_file", "subject", "message"))
    columns = ", ".join(f'CAST("{column}" AS VARCHAR) AS "{column}"' for column in METADATA_COLUMNS)
    relation = connection.execute(
        f"SELECT {columns} FROM {table} ORDER BY string_split(repos, ',')[1], {order}, license"
    )
    try:
        written = [
            _write_shard(temporary / f"commitpackmeta-{number:05d}.parquet", groups)
            for number, groups in enumerate(_cut(relation, rows_per_shard), start=1)
        ]
    except OSError as error:
        raise explain_os_error(error, output) from error
    for old in output.glob("commitpackmeta-*.parquet"):
        old.unlink()
    shards = []
    for path, rows in written:
        final = output / path.name
        path.replace(final)
        fingerprint = fingerprint_of(final)
        shards.append({"path": path.name, "rows": rows, "size": fingerprint.size, "xxh3": fingerprint.hexdigest()})
    sync(output)
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    write_atomically(manifest, orjson.dumps({"key": key, "shards": shards}, option=option))
    return tuple(output / path.name for path, _ in written)


def _cut(relation: duckdb.DuckDBPyConnection, rows_per_shard: int) -> Iterator[Iterator[dict[str, list[Any]]]]:
    """Yield shards as iterators of column-wise groups; each must be used up before the next is asked for."""
    rows = iter(_rows(relation))
    held = next(rows, None)

    def shard() -> Iterator[dict[str, list[Any]]]:
        nonlocal held
        group: list[tuple[Any, ...]] = []
        count = 0
        repository = None
        while held is not None:
            first = str(held[3]).partition(",")[0]
            if count >= rows_per_shard and first != repository:
                break
            repository = first
            group.append(held)
            count += 1
            if len(group) >= _GROUP_ROWS:
                yield dict(zip(METADATA_COLUMNS, map(list, zip(*group, strict=True)), strict=True))
                group = []
            held = next(rows, None)
        if group or not count:
            columns = map(list, zip(*group, strict=True)) if group else ([] for _ in METADATA_COLUMNS)
            yield dict(zip(METADATA_COLUMNS, columns, strict=True))

    yield shard()
    while held is not None:
        yield shard()


def _rows(relation: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := relation.fetchmany(_GROUP_ROWS):
        yield from rows


def _write_shard(path: Path, groups: Iterator[dict[str, list[Any]]]) -> tuple[Path, int]:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    schema = pa.schema([(column, pa.string()) for column in METADATA_COLUMNS])
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in groups:
            table = pa.table(group, schema=schema)
            rows += table.num_rows
            writer.write_table(table)
    return path, rows


def _content_hash(files: Sequence[Path], cache_path: Path) -> str:
    """Return a hash of the contents of some files; size and time of change save reading a known file again."""
    known = _read_json(cache_path)
    hashes = []
    for file in files:
        status = file.stat()
        stamp = [status.st_size, status.st_mtime_ns]
        entry = known.get(str(file.resolve()))
        if entry is None or entry["stat"] != stamp:
            entry = known[str(file.resolve())] = {"stat": stamp, "xxh3": fingerprint_of(file).hexdigest()}
        hashes.append(entry["xxh3"])
    write_atomically(cache_path, orjson.dumps(known, option=orjson.OPT_INDENT_2))
    return _hash(hashes)


def _hash(value: object) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return value if isinstance(value, dict) else {}
