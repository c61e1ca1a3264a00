"""The engine of all data steps: shard in, shard out, restartable, the same bytes however often it was interrupted.

A `Step` says what happens to a batch of rows. A `Unit` is one output shard with the input files it is made of. The
engine reads a unit batch by batch, hands each batch to the step, writes what is kept under a temporary name and renames
it when the unit is whole. A record beside the output holds the hashes of input and configuration, so that a second run
does only what is missing or changed. Nothing is scheduled here: processes, job arrays and clusters
(`octopack_data.executors`) only decide who runs which unit.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import orjson

from octopack_data.errors import DataError
from octopack_data.shards import (
    BATCH_BYTES,
    Fingerprint,
    LongLine,
    RoutedWriter,
    ShardFormat,
    explain_os_error,
    fingerprint_of,
    open_writer,
    read_lines,
    remove_leftovers,
    shard_suffix,
    sync_folder,
    write_atomically,
)

BROKEN_FOLDER = "_broken"
DROPPED_FOLDER = "_dropped"
STATE_FOLDER = ".octopack"
_LOCK_PATIENCE_S = 10.0
_BROKEN_EXAMPLES = 20


# ------------------------------------------------------------------------------------------------- what a step sees


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive rows of a unit, each as its raw JSON line (no line end) and as the parsed object."""

    lines: list[bytes]
    rows: list[dict[str, Any]]


@dataclass(slots=True)
class Outcome:
    """What a step made of a batch.

    Attributes:
        kept: lines to write, without line ends; an unchanged row is best given as its raw line.
        routes: for a routed step, the part of the output each kept line belongs to (usually a sub-folder).
        dropped: position in the batch and reason of each row that is not kept. Columns that the step adds to the parsed
            row (an error message, say) are written along with it where dropped rows are kept.
        tallies: named counts for the statistics, added up over all shards.
    """

    kept: list[bytes] = field(default_factory=list)
    routes: list[str] | None = None
    dropped: list[tuple[int, str]] = field(default_factory=list)
    tallies: dict[str, Counter[str]] = field(default_factory=dict)


BatchFunction = Callable[[Batch], Outcome]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One line of an explanation: a rule, whether the row passes it, and the value it was decided on."""

    rule: str
    passed: bool
    detail: str


class Step(ABC):
    """A pure function over batches of rows, with its name, its configuration and the reasons it may give.

    A step is pickled and sent to other processes and machines, so it holds its configuration only; `start` loads what
    is heavy.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raised when the code changes in a way that changes results: old outputs are then made again."""
    columns: ClassVar[tuple[str, ...]] = ()
    """Text columns that every row must have."""
    row_types: ClassVar[tuple[type, ...]] = (dict,)
    """JSON types of a row; anything but an object is for steps without required columns."""
    row_id: ClassVar[str] = "commit"
    """Column by which `--explain` finds a row."""
    batch_bytes: ClassVar[int] = BATCH_BYTES
    """Bytes of input in a batch; a step that makes rows grow takes less."""
    routed: ClassVar[bool] = False
    """Whether kept rows are spread over several files (`Outcome.routes`)."""
    counts_only: ClassVar[bool] = False
    """Whether the step writes no rows: its result is the statistics."""
    keep_dropped: ClassVar[bool] = False
    """Whether dropped rows are written to `_dropped/` even when the user did not ask for it."""
    one_to_one: ClassVar[bool] = True
    """Whether every row is either kept or dropped, exactly once (the engine then holds the step to it)."""

    @property
    @abstractmethod
    def reasons(self) -> tuple[str, ...]:
        """The reasons for dropping a row, in the order in which the funnel lists them."""

    @abstractmethod
    def config(self) -> Mapping[str, object]:
        """Everything that changes the output, as plain JSON values."""

    @abstractmethod
    def start(self) -> BatchFunction:
        """Load what is needed and return the function; called once in each process."""

    def start_unit(self, function: BatchFunction, unit: Unit, work: Path) -> BatchFunction:
        """Return the function for one unit; a step with state inside a unit, or a journal of its own, overrides this.

        Args:
            function: what `start` returned.
            unit: the unit about to be made.
            work: a folder of this unit that does not exist at first, survives interruption, and is removed when the
                unit is whole.
        """
        del unit, work
        return function

    def output_path(self, unit: Unit, route: str, suffix: str) -> str:
        """Return where the rows of a route go, relative to the output folder."""
        return f"{route}/{unit.name}.{suffix}".lstrip("/")

    def explain(self, row: dict[str, Any]) -> list[Judgement]:
        """Say what every rule makes of a row, in order, up to the one that drops it."""
        outcome = self.start()(Batch([orjson.dumps(row)], [row]))
        if outcome.dropped:
            return [Judgement(reason, False, "dropped") for _, reason in outcome.dropped]
        return [Judgement(self.name, True, "kept")]


@dataclass(frozen=True, slots=True)
class Unit:
    """One output shard: its name (which may contain folders, and has no suffix) and the input files it is made of."""

    name: str
    inputs: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """A step, where its results go, and in which form.

    Attributes:
        step: what is done to the rows.
        output: folder of the results.
        kind: format of the output shards.
        limit: take only the first so many rows of every unit.
        keep_dropped: also write the dropped rows, each with its reason, to `_dropped/`.
    """

    step: Step
    output: Path
    kind: ShardFormat = ShardFormat.JSONL
    limit: int | None = None
    keep_dropped: bool = False

    def config(self) -> dict[str, object]:
        """Return everything that decides the bytes of the output, apart from the input."""
        return {
            "step": self.step.name,
            "version": self.step.version,
            "config": dict(self.step.config()),
            "format": self.kind.value,
            "limit": self.limit,
            "keep_dropped": self.keep_dropped or self.step.keep_dropped,
        }

    def config_hash(self) -> str:
        """Return the SHA-256 of the configuration."""
        return hashlib.sha256(orjson.dumps(self.config(), option=orjson.OPT_SORT_KEYS)).hexdigest()


# ------------------------------------------------------------------------------------------------------- statistics


@dataclass(slots=True)
class Statistics:
    """Counts of a unit or of a whole run; they add up."""

    rows_in: int = 0
    rows_out: int = 0
    broken: int = 0
    blank: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    tallies: dict[str, Counter[str]] = field(default_factory=dict)

    def tally(self, tallies: Mapping[str, Counter[str]]) -> None:
        """Add named counts."""
        for name, counts in tallies.items():
            self.tallies.setdefault(name, Counter()).update(counts)

    def add(self, other: Statistics) -> None:
        """Add the counts of another unit."""
        for name in ("rows_in", "rows_out", "broken", "blank", "bytes_in", "bytes_out"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.dropped.update(other.dropped)
        self.tally(other.tallies)

    def funnel(self, reasons: Sequence[str]) -> list[tuple[str, int, int]]:
        """Return (reason, rows dropped by it, rows left after it) in the order of the rules."""
        left = self.rows_in
        table = []
        for reason in [*reasons, *sorted(self.dropped.keys() - set(reasons))]:
            left -= self.dropped[reason]
            table.append((reason, self.dropped[reason], left))
        return table

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, in a fixed order."""
        return {
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "broken": self.broken,
            "blank": self.blank,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "dropped": dict(sorted(self.dropped.items())),
            "tallies": {name: dict(sorted(counts.items())) for name, counts in sorted(self.tallies.items())},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Statistics:
        """Read what `to_json` wrote."""
        counts = {k: data[k] for k in ("rows_in", "rows_out", "broken", "blank", "bytes_in", "bytes_out")}
        tallies = {name: Counter(values) for name, values in data["tallies"].items()}
        return cls(**counts, dropped=Counter(data["dropped"]), tallies=tallies)


# ------------------------------------------------------------------------------------------------------------ units


def discover_units(inputs: Sequence[Path]) -> list[Unit]:
    """Return one unit for each shard named by `inputs`: files, or folders that are searched in sorted order.

    Names starting with "." or "_" (state, broken lines, dropped rows) are passed over inside folders.

    Raises:
        DataError: a path does not exist, a folder holds no shard, or two shards would get the same name.
    """
    found: dict[str, Unit] = {}
    for path in inputs:
        if path.is_dir():
            files = [f for f in sorted(path.rglob("*")) if f.is_file() and _is_shard(f) and not _hidden(f, path)]
            if not files:
                raise DataError(f"{path}: no shards in this folder (*.jsonl, *.jsonl.gz, *.jsonl.zst, *.parquet)")
        elif path.is_file():
            files = [path]
        else:
            raise DataError(f"{path}: no such file or folder")
        for file in files:
            suffix = shard_suffix(file)
            if suffix is None:
                raise DataError(f"{file}: unknown kind of file; shards are *.jsonl, *.jsonl.gz, *.jsonl.zst, *.parquet")
            relative = file.relative_to(path) if file != path else Path(file.name)
            name = relative.as_posix().removesuffix(suffix)
            if name in found and found[name].inputs != (file,):
                raise DataError(
                    f"{found[name].inputs[0]} and {file} would both become the shard {name!r}; "
                    "rename one, or give the folder above them"
                )
            found[name] = Unit(name, (file,))
    return list(found.values())


def _is_shard(file: Path) -> bool:
    # In a folder, *.json is a manifest or the like; a file of rows with that name can be given by itself.
    return shard_suffix(file) is not None and not file.name.lower().endswith((".json", ".json.gz", ".json.zst"))


def _hidden(file: Path, root: Path) -> bool:
    return any(part.startswith((".", "_")) for part in file.relative_to(root).parts)


def take_share(units: Sequence[Unit], index: int, count: int) -> list[Unit]:
    """Return the units of job `index` (from 0) of a job array of `count`."""
    return list(units[index::count])


def parse_share(text: str) -> tuple[int, int]:
    """Read `i/n`.

    Raises:
        DataError: not of that form, or i is not between 0 and n - 1.
    """
    index, slash, count = text.partition("/")
    if not (slash and index.isdigit() and count.isdigit() and int(index) < int(count)):
        raise DataError(f"--shard {text}: expected i/n with 0 <= i < n, for example 0/8 for the first of eight jobs")
    return int(index), int(count)


# ---------------------------------------------------------------------------------------------------------- records


def _record_path(job: Job, unit: Unit) -> Path:
    return job.output / STATE_FOLDER / "units" / f"{unit.name.replace('%', '%25').replace('/', '%2F')}.json"


def _read_record(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError:
        return None  # written by something else than this engine: the unit is made again
    return record


def _stat(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def is_done(job: Job, unit: Unit) -> bool:
    """Say whether the results of a unit are there and still belong to its input and configuration."""
    record = _read_record(_record_path(job, unit))
    if record is None or record["config_hash"] != job.config_hash() or len(record["inputs"]) != len(unit.inputs):
        return False
    for output in record["outputs"]:
        path = job.output / output["path"]
        if not path.is_file() or path.stat().st_size != output["size"]:
            return False
    for path, known in zip(unit.inputs, record["inputs"], strict=True):
        if not path.is_file() or path.stat().st_size != known["size"]:
            return False
        # The time of change is only a shortcut: a copied or touched file with the same content is the same input.
        if known["stat"] != _stat(path) and fingerprint_of(path).hexdigest() != known["xxh3"]:
            return False
    return True


def pending(job: Job, units: Sequence[Unit]) -> list[Unit]:
    """Return the units that are missing or out of date."""
    return [unit for unit in units if not is_done(job, unit)]


def check_output(job: Job, units: Sequence[Unit]) -> None:
    """Refuse a folder that holds the input, or results of other inputs or another step.

    Raises:
        DataError: names what is there and what to do.
    """
    output = job.output.resolve()
    for path in (path for unit in units for path in unit.inputs):
        if path.resolve().is_relative_to(output):
            raise DataError(f"{job.output}: the input {path} lies in the output folder; choose another --output")
    folder = job.output / STATE_FOLDER / "units"
    if not folder.is_dir():
        return
    ours = {_record_path(job, unit).name for unit in units}
    for path in sorted(folder.glob("*.json")):
        record = _read_record(path)
        if record is None:
            continue
        if record["step"] != job.step.name:
            raise DataError(f"{job.output}: holds results of {record['step']!r}; choose another --output for this step")
        if path.name not in ours:
            raise DataError(
                f"{job.output}: holds the shard {record['unit']!r}, which is not among these inputs; "
                "choose another --output, or remove that folder"
            )


# --------------------------------------------------------------------------------------------------- running a unit


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been done since the last report: compressed bytes read and rows seen."""

    bytes_read: int
    rows: int


def _no_report(progress: Progress) -> None:
    del progress


@contextmanager
def _unit_lock(job: Job, unit: Unit) -> Iterator[Path]:
    """Give a fresh temporary folder that no other run works in; what an interrupted run left there is removed."""
    import fcntl

    name = _record_path(job, unit).stem
    folder = job.output / STATE_FOLDER / "tmp" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_suffix(".lock").open("w")
    try:
        deadline = time.monotonic() + _LOCK_PATIENCE_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                # A worker of a killed run needs a moment to notice that it is alone.
                if time.monotonic() > deadline:
                    raise DataError(
                        f"shard {unit.name!r}: another run is writing it to {job.output}; wait for it, or stop it"
                    ) from error
                time.sleep(0.1)
            except OSError:
                break  # a file system without locks: the job array's own shares keep runs apart
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.close()


def fault_of(row: object, columns: Sequence[str], row_types: tuple[type, ...] = (dict,)) -> str | None:
    """Say what a parsed row lacks to be handed to a step, or return None."""
    if type(row) not in row_types:
        return f"a row must be a JSON object, this is a {type(row).__name__}"
    if not isinstance(row, dict):
        return None
    for column in columns:
        if column not in row:
            return f"no column {column!r} (columns here: {', '.join(map(str, row)) or 'none'})"
        if not isinstance(row[column], str):
            return f"column {column!r} must be text, here it is {type(row[column]).__name__}"
    return None


@dataclass(slots=True)
class _Intake:
    """Turns raw lines into batches of valid rows and keeps every other line aside."""

    unit: Unit
    columns: tuple[str, ...]
    row_types: tuple[type, ...]
    statistics: Statistics
    aside: list[bytes] = field(default_factory=list)
    examples: list[dict[str, object]] = field(default_factory=list)
    line_number: int = 0

    def batch(self, lines: list[bytes | LongLine], path: Path) -> Batch:
        """Return the valid rows of some lines.

        Raises:
            DataError: no row of the shard so far has the columns that the step needs.
        """
        raw: list[bytes] = lines  # type: ignore[assignment]  # any LongLine ends up in the slow path below
        try:
            rows: list[Any] = [orjson.loads(line) for line in raw]
            for row in rows:
                if type(row) not in self.row_types:
                    raise TypeError
                for column in self.columns:
                    if type(row[column]) is not str:
                        raise TypeError
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raw, rows = self._sift(lines, path)
        else:
            self.line_number += len(lines)
        self.statistics.rows_in += len(rows)
        return Batch(raw, rows)

    def _sift(self, lines: list[bytes | LongLine], path: Path) -> tuple[list[bytes], list[Any]]:
        good: list[bytes] = []
        rows: list[Any] = []
        for line in lines:
            self.line_number += 1
            if isinstance(line, LongLine):
                self._put_aside(path, f"line of {line.size} bytes, too long for a row (the input keeps it)", None)
                continue
            if not line.strip():
                self.statistics.blank += 1
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                self._put_aside(path, f"not JSON: {error}", line)
                continue
            fault = fault_of(row, self.columns, self.row_types)
            if fault is None:
                good.append(line)
                rows.append(row)
                continue
            if not self.statistics.rows_in and not rows and self.line_number == 1:
                raise DataError(f"{path}, line 1: {fault}; is this the right file for {self.unit.name!r}?")
            self._put_aside(path, fault, line)
        return good, rows

    def _put_aside(self, path: Path, error: str, line: bytes | None) -> None:
        self.statistics.broken += 1
        if len(self.examples) < _BROKEN_EXAMPLES:
            self.examples.append({"file": path.name, "line": self.line_number, "error": error})
        if line is not None:
            self.aside.append(line)


def _limited(lines: list[bytes | LongLine], left: int | None) -> list[bytes | LongLine]:
    return lines if left is None or len(lines) <= left else lines[:left]


def _check_conservation(job: Job, batch: Batch, outcome: Outcome) -> None:
    if job.step.one_to_one and not job.step.counts_only and len(outcome.kept) + len(outcome.dropped) != len(batch.rows):
        raise AssertionError(
            f"step {job.step.name!r} lost rows: {len(batch.rows)} in, {len(outcome.kept)} kept, "
            f"{len(outcome.dropped)} dropped"
        )


def run_unit(
    job: Job, unit: Unit, function: BatchFunction, report: Callable[[Progress], None] = _no_report
) -> Statistics:
    """Make one output shard: read, apply the step, write under temporary names, rename, write the record.

    Args:
        job: step and output folder.
        unit: what to make.
        function: the started step.
        report: called after each batch with what was done since the last call.

    Raises:
        DataError: input missing or damaged, wrong columns, disk full.
    """
    try:
        with _unit_lock(job, unit) as temporary:
            return _run_unit(job, unit, function, report, temporary)
    except OSError as error:
        raise explain_os_error(error, job.output) from error


def _run_unit(
    job: Job, unit: Unit, function: BatchFunction, report: Callable[[Progress], None], temporary: Path
) -> Statistics:
    statistics = Statistics()
    intake = _Intake(unit, job.step.columns, job.step.row_types, statistics)
    folder, _, stem = unit.name.rpartition("/")
    results = temporary / "results"
    writer = RoutedWriter(lambda route: results / job.step.output_path(unit, route, job.kind.value), job.kind)
    if not (job.step.routed or job.step.counts_only):
        writer.write("", [])  # a shard of which nothing is kept still becomes an (empty) file
    aside = {
        name: results / name / folder / f"{stem}.jsonl"
        for name in (BROKEN_FOLDER, *([DROPPED_FOLDER] if job.keep_dropped or job.step.keep_dropped else []))
    }
    work = job.output / STATE_FOLDER / "work" / _record_path(job, unit).stem
    function = job.step.start_unit(function, unit, work)
    inputs = []
    for path in unit.inputs:
        status = _stat(path) if path.is_file() else []
        fingerprint = Fingerprint()
        intake.line_number = 0
        reported = 0
        left = job.limit
        for lines in read_lines(path, fingerprint=fingerprint, batch_bytes=job.step.batch_bytes):
            lines = _limited(lines, left)
            if left is not None:
                left -= len(lines)
            statistics.bytes_in += sum(map(len, lines)) + len(lines)
            batch = intake.batch(lines, path)
            outcome = function(batch)
            _check_conservation(job, batch, outcome)
            _take_in(outcome, batch, writer, statistics, aside.get(DROPPED_FOLDER))
            if intake.aside:
                _append(aside[BROKEN_FOLDER], intake.aside)
                intake.aside.clear()
            report(Progress(fingerprint.size - reported, len(lines)))
            reported = fingerprint.size
            if left == 0:
                break
        if left == 0:
            fingerprint = fingerprint_of(path)  # the rest was not read
        inputs.append({"name": path.name, "size": fingerprint.size, "xxh3": fingerprint.hexdigest(), "stat": status})
    writer.close()
    outputs = _publish(job, unit, results, statistics)
    record = {
        "unit": unit.name,
        "step": job.step.name,
        "config_hash": job.config_hash(),
        "inputs": inputs,
        "outputs": outputs,
        "statistics": statistics.to_json(),
        "broken_examples": intake.examples,
    }
    write_atomically(_record_path(job, unit), orjson.dumps(record, option=orjson.OPT_INDENT_2))
    shutil.rmtree(work, ignore_errors=True)
    return statistics


def _take_in(
    outcome: Outcome, batch: Batch, writer: RoutedWriter, statistics: Statistics, dropped_file: Path | None
) -> None:
    """Write and count what a step made of a batch."""
    if outcome.routes is None:
        if outcome.kept:
            writer.write("", outcome.kept)
    else:
        by_route: dict[str, list[bytes]] = {}
        for route, line in zip(outcome.routes, outcome.kept, strict=True):
            by_route.setdefault(route, []).append(line)
        for route, lines in by_route.items():
            writer.write(route, lines)
    statistics.rows_out += len(outcome.kept)
    statistics.bytes_out += sum(map(len, outcome.kept)) + len(outcome.kept)
    statistics.dropped.update(reason for _, reason in outcome.dropped)
    statistics.tally(outcome.tallies)
    if dropped_file is not None and outcome.dropped:
        _append(
            dropped_file,
            [_with_reason(batch.rows[position], reason) for position, reason in outcome.dropped],
        )


def _with_reason(row: object, reason: str) -> bytes:
    return orjson.dumps({"dropped_by": reason, **(row if isinstance(row, dict) else {"row": row})})


def _append(path: Path, lines: list[bytes]) -> None:
    writer = open_writer(path, ShardFormat.JSONL)
    writer.write(lines)
    writer.close()


def _publish(job: Job, unit: Unit, results: Path, statistics: Statistics) -> list[dict[str, object]]:
    """Rename the finished files to their places; remove files of an earlier configuration of the same unit."""
    earlier = _read_record(_record_path(job, unit))
    outputs: list[dict[str, object]] = []
    for source in sorted(path for path in results.rglob("*") if path.is_file()):
        relative = source.relative_to(results)
        target = job.output / relative
        fingerprint = fingerprint_of(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        sync_folder(target.parent)
        outputs.append({"path": relative.as_posix(), "size": fingerprint.size, "xxh3": fingerprint.hexdigest()})
    for old in earlier["outputs"] if earlier else []:
        if old["path"] not in {output["path"] for output in outputs}:
            (job.output / old["path"]).unlink(missing_ok=True)
    return outputs


# ------------------------------------------------------------------------------------------------------- whole runs


@dataclass(frozen=True, slots=True)
class Summary:
    """The state of an output folder: complete or not, and the counts of all units that are there."""

    units: int
    missing: int
    statistics: Statistics
    broken_examples: tuple[dict[str, Any], ...] = ()


def summarise(job: Job, units: Sequence[Unit]) -> Summary:
    """Add up the records of all units; when none is missing, write `manifest.json` and `statistics.json`.

    Both files hold nothing that differs between two runs over the same input (no times, no paths of the machine).
    """
    total = Statistics()
    records = []
    examples: list[dict[str, Any]] = []
    config_hash = job.config_hash()
    for unit in units:
        record = _read_record(_record_path(job, unit))
        if record is None or record["config_hash"] != config_hash:
            continue
        records.append(record)
        total.add(Statistics.from_json(record["statistics"]))
        examples.extend(record["broken_examples"])
    missing = len(units) - len(records)
    if not missing:
        manifest = {
            **job.config(),
            "config_hash": config_hash,
            "units": [
                {
                    "unit": record["unit"],
                    "inputs": [{k: v for k, v in known.items() if k != "stat"} for known in record["inputs"]],
                    "outputs": record["outputs"],
                    "rows_in": record["statistics"]["rows_in"],
                    "rows_out": record["statistics"]["rows_out"],
                    "broken": record["statistics"]["broken"],
                }
                for record in records
            ],
        }
        statistics = total.to_json() | {
            "funnel": [
                {"rule": reason, "dropped": dropped, "left": left}
                for reason, dropped, left in total.funnel(job.step.reasons)
            ]
        }
        option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        write_atomically(job.output / "manifest.json", orjson.dumps(manifest, option=option))
        write_atomically(job.output / "statistics.json", orjson.dumps(statistics, option=option))
        state = job.output / STATE_FOLDER
        for name in ("tmp", "work"):  # of runs that were killed between the last rename and their end
            shutil.rmtree(state / name, ignore_errors=True)
        for folder in (job.output, state / "units"):
            remove_leftovers(folder)
    return Summary(len(units), missing, total, tuple(examples))


def run_units(
    job: Job, units: Sequence[Unit], workers: int = 1, report: Callable[[Progress], None] = _no_report
) -> None:
    """Make the given units, in this process or in `workers` others, whether or not they are there already."""
    if not units:
        return
    if min(workers, len(units)) <= 1:
        function = job.step.start()
        for unit in units:
            run_unit(job, unit, function, report)
        return
    from octopack_data.executors import run_in_processes

    run_in_processes(job, units, workers, report)


def read_batches(
    unit: Unit, columns: tuple[str, ...], statistics: Statistics, report: Callable[[Progress], None] = _no_report
) -> Iterator[Batch]:
    """Yield the valid rows of a unit as the engine hands them to a step; what is broken is counted, not kept.

    Args:
        unit: what to read.
        columns: text columns that a row must have.
        statistics: takes the counts.
        report: called after each batch.
    """
    intake = _Intake(unit, columns, (dict,), statistics)
    for path in unit.inputs:
        fingerprint = Fingerprint()
        intake.line_number = 0
        read = 0
        for lines in read_lines(path, fingerprint=fingerprint):
            yield intake.batch(lines, path)
            intake.aside.clear()
            report(Progress(fingerprint.size - read, len(lines)))
            read = fingerprint.size


def find_row(units: Sequence[Unit], column: str, row_id: str) -> tuple[Unit, dict[str, Any]]:
    """Return the first row whose `column` is `row_id`, and the unit it is in.

    Raises:
        DataError: there is none.
    """
    needle = orjson.dumps(row_id)[1:-1]
    for unit in units:
        for path in unit.inputs:
            for lines in read_lines(path):
                for line in lines:
                    if not isinstance(line, bytes) or (row_id.isascii() and needle not in line):
                        continue
                    try:
                        row = orjson.loads(line)
                    except orjson.JSONDecodeError:
                        continue
                    if isinstance(row, dict) and str(row.get(column)) == row_id:
                        return unit, row
    raise DataError(f"no row with {column} = {row_id!r} in {len(units)} shard(s); check the id and the --input")


def cpu_count() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
