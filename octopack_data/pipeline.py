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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from octopack_data.errors import DataError
from octopack_data.intake import Intake, Progress, fault_of, find_row, no_report, read_batches
from octopack_data.shards import (
    Fingerprint,
    LongLine,
    RoutedWriter,
    ShardFormat,
    explain_os_error,
    fingerprint_of,
    lock,
    open_writer,
    read_lines,
    remove_leftovers,
    sync,
    write_atomically,
)
from octopack_data.steps import Batch, BatchFunction, Judgement, Outcome, Statistics, Step, Unit
from octopack_data.units import discover_units, parse_share, take_share

__all__ = [
    "Batch",
    "BatchFunction",
    "Job",
    "Judgement",
    "Outcome",
    "Progress",
    "Statistics",
    "Step",
    "Summary",
    "Unit",
    "check_output",
    "cpu_count",
    "discover_units",
    "fault_of",
    "find_row",
    "is_done",
    "parse_share",
    "pending",
    "read_batches",
    "run_unit",
    "summarise",
    "take_share",
]

BROKEN_FOLDER = "_broken"
DROPPED_FOLDER = "_dropped"
STATE_FOLDER = ".octopack"
_LOCK_PATIENCE_S = 10.0


@dataclass(frozen=True)
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
        return self._config_hash

    @cached_property
    def _config_hash(self) -> str:
        # Asked for once a shard, of which there may be thousands.
        return hashlib.sha256(orjson.dumps(self.config(), option=orjson.OPT_SORT_KEYS)).hexdigest()


# ---------------------------------------------------------------------------------------------------------- records


_RECORD = {"unit", "step", "config_hash", "inputs", "outputs", "statistics", "broken_examples"}


def _record_path(job: Job, unit: Unit) -> Path:
    return job.output / STATE_FOLDER / "units" / f"{unit.name.replace('%', '%25').replace('/', '%2F')}.json"


def _read_record(path: Path) -> dict[str, Any] | None:
    try:
        record = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    # One written by something else than this engine is none: the unit is made again.
    return record if isinstance(record, dict) and record.keys() >= _RECORD else None


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
    if taken := next((path for path in (output, *output.parents) if path.is_file()), None):
        raise DataError(f"{taken}: is a file; --output takes a folder")
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


@contextmanager
def _unit_lock(job: Job, unit: Unit) -> Iterator[Path]:
    """Give a fresh temporary folder that no other run works in; what an interrupted run left there is removed."""
    name = _record_path(job, unit).stem
    state = job.output / STATE_FOLDER
    folder = state / "tmp" / name
    with ExitStack() as stack:
        deadline = time.monotonic() + _LOCK_PATIENCE_S
        while True:
            try:
                held = lock(state / "locks" / name)
            except OSError:
                break  # a file system without locks: the job array's own shares keep runs apart
            if held is not None:
                stack.enter_context(held)
                break
            # A worker of a killed run needs a moment to notice that it is alone.
            if time.monotonic() > deadline:
                raise DataError(
                    f"shard {unit.name!r}: another run is writing it to {job.output}; wait for it, or stop it"
                )
            time.sleep(0.1)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(job: Job) -> None:
    """Remove what killed runs left of the work on units; what a run still works in stays."""
    state = job.output / STATE_FOLDER
    parts = [state / name for name in ("tmp", "work", "locks")]
    for name in {path.name for part in parts if part.is_dir() for path in part.iterdir()}:
        try:
            held = lock(state / "locks" / name)
        except OSError:
            return  # without locks nobody knows what is in use
        if held is None:
            continue
        with held:
            for part in parts[:2]:
                shutil.rmtree(part / name, ignore_errors=True)
            (state / "locks" / name).unlink()
    for part in parts:
        with suppress(OSError):  # not empty, or not there
            part.rmdir()
    remove_leftovers(job.output)


def _limited(lines: list[bytes | LongLine], left: int | None) -> list[bytes | LongLine]:
    return lines if left is None or len(lines) <= left else lines[:left]


def _check_conservation(job: Job, batch: Batch, outcome: Outcome) -> None:
    if job.step.one_to_one and not job.step.counts_only and len(outcome.kept) + len(outcome.dropped) != len(batch.rows):
        raise AssertionError(
            f"step {job.step.name!r} lost rows: {len(batch.rows)} in, {len(outcome.kept)} kept, "
            f"{len(outcome.dropped)} dropped"
        )


def run_unit(job: Job, unit: Unit, function: BatchFunction, report: Callable[[Progress], None] = no_report) -> None:
    """Make one output shard: read, apply the step, write under temporary names, rename, write the record.

    Where another run made it while this one waited for it, nothing is done.

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
            if not is_done(job, unit):
                _run_unit(job, unit, function, report, temporary)
    except OSError as error:
        raise explain_os_error(error, job.output) from error


def _run_unit(
    job: Job, unit: Unit, function: BatchFunction, report: Callable[[Progress], None], temporary: Path
) -> None:
    statistics = Statistics()
    intake = Intake(unit, job.step.columns, job.step.row_types, statistics)
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
            report(Progress(fingerprint.passed - reported, len(lines)))
            reported = fingerprint.passed
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
    # Written where only the holder of the unit's lock writes: what a killed run leaves of it, the next one removes.
    whole, place = temporary / "record.json", _record_path(job, unit)
    whole.write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    sync(whole)
    place.parent.mkdir(parents=True, exist_ok=True)
    whole.replace(place)
    sync(place.parent)
    shutil.rmtree(work, ignore_errors=True)


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
        sync(source)
        source.replace(target)
        outputs.append({"path": relative.as_posix(), "size": fingerprint.size, "xxh3": fingerprint.hexdigest()})
    for folder in {(job.output / str(output["path"])).parent for output in outputs}:
        sync(folder)
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
        _remove_leftovers(job)
    return Summary(len(units), missing, total, tuple(examples))


def cpu_count() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
