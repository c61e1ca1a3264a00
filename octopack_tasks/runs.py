"""A run's folder on disk: a manifest, samples and verdicts, appended and compressed; a killed run goes on from there.

    RUN/manifest.json                          everything needed to repeat the run
    RUN/samples/<task>.jsonl.gz                what the model wrote, one line a sample
    RUN/verdicts/<reading>/<task>.jsonl.gz     solution, program and verdict of each sample
    RUN/results.json                           the scores (written last); results-corrected.json for that reading

Every append is a gzip member of its own, written at once: whatever moment a process dies at, all members before are
whole, and the torn one at the end is cut off when the run goes on. `zcat` reads the files.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import logging
import os
import socket
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TypeAlias, TypeVar

from octopack_tasks.errors import UserError
from octopack_tasks.generation.protocol import Completion, Finish
from octopack_tasks.problems import Problem
from sandboxes import Verdict

logger = logging.getLogger("octopack")

_HELD = (BlockingIOError, PermissionError)
"""What a file system raises for a lock that another process has; the second is CIFS's."""

FORMAT = 1
"""Version of the folder's layout."""

_Record = TypeVar("_Record")

ProblemKey: TypeAlias = tuple[str, int]
"""A problem of a task: task_id, and which description of it (0 where there are none)."""


def problem_key(problem: Problem) -> ProblemKey:
    """The key of a problem."""
    return problem.task_id, problem.candidate or 0


@dataclass(frozen=True)
class Sample:
    """What a model wrote about a problem.

    Attributes:
        task_id: The problem.
        candidate: Which description of it was asked about; 0 where there are none.
        sample: Number of the sample.
        completion: The text as the model wrote it; None where only the answer in it is known.
        answer: The answer cut out of it elsewhere, as in the reference's generations files; None otherwise.
        tokens: How many tokens the model wrote, where that is known.
        finish: Why the completion ends where it ends.
    """

    task_id: str
    candidate: int
    sample: int
    completion: str | None
    answer: str | None = None
    tokens: int | None = None
    finish: Finish = Finish.RECORDED

    @classmethod
    def of(cls, completion: Completion) -> Sample:
        """A completion as it is kept."""
        task_id, candidate = problem_key(completion.request.problem)
        return cls(
            task_id, candidate, completion.sample, completion.text, None, completion.tokens, finish=completion.finish
        )

    @property
    def key(self) -> ProblemKey:
        """The problem it belongs to."""
        return self.task_id, self.candidate

    def to_json(self) -> dict[str, Any]:
        """The sample as JSON values."""
        values = {**dataclasses.asdict(self), "finish": self.finish.value}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Sample:
        """The inverse of `to_json`."""
        return cls(**{"completion": None, **values, "finish": Finish(values["finish"])})


@dataclass(frozen=True)
class Judgement:
    """What came of a sample under one reading.

    Attributes:
        task_id: The problem.
        candidate: Which description of it; 0 where there are none.
        sample: Number of the sample.
        solution: The solution in the completion.
        program: The program that tested it.
        has_answer: Whether the completion held a solution at all.
        verdict: What came of the program.
    """

    task_id: str
    candidate: int
    sample: int
    solution: str
    program: str
    has_answer: bool
    verdict: Verdict

    @property
    def key(self) -> ProblemKey:
        """The problem it belongs to."""
        return self.task_id, self.candidate

    def to_json(self) -> dict[str, Any]:
        """The judgement as JSON values."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**values, "verdict": self.verdict.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Judgement:
        """The inverse of `to_json`."""
        return cls(**{**values, "verdict": Verdict.from_json(values["verdict"])})


class Log:
    """JSON Lines in a file of gzip members that only ever grows.

    Args:
        path: The file; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def read(self) -> Iterator[dict[str, Any]]:
        """Everything that was appended completely, in order; safe while another process appends.

        Raises:
            UserError: The file is damaged before its end, or is no such file.
        """
        if not self.path.exists():
            return
        with self._opened() as file:
            for _, content in self._members(file):
                yield from self._records(content)

    def read_on(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        """What was appended completely after an offset, and the offset of what comes next; as safe as `read`.

        Args:
            offset: 0, or what an earlier call gave back.
        """
        records: list[dict[str, Any]] = []
        if not self.path.exists():
            return records, 0
        with self._opened() as file:
            file.seek(offset)
            whole = 0
            for end, content in self._members(file):
                records += self._records(content)
                whole = end
        return records, offset + whole

    def _opened(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise UserError(f"could not read {self.path}: {error.strerror or error}") from None

    def _records(self, content: bytes) -> Iterator[dict[str, Any]]:
        for line in filter(None, content.split(b"\n")):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{self.path} is damaged: a line of it is not JSON ({error})") from None
            if not isinstance(record, dict):
                raise UserError(f"{self.path} is damaged: a line of it is no object ({line[:60]!r})")
            yield record

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Append records, all of them or none.

        Raises:
            UserError: The disk is full or not writable; the file is as it was before.
        """
        content = "".join(json.dumps(record) + "\n" for record in records).encode("ascii")
        if not content:
            return
        compressor = zlib.compressobj(wbits=31)
        member = compressor.compress(content) + compressor.flush()
        try:
            file = self._file = self._file or self._open()
            end = file.seek(0, os.SEEK_END)
            try:
                rest = memoryview(member)
                while rest:  # a disk that is nearly full takes a part
                    rest = rest[file.write(rest) :]
            except OSError:
                file.truncate(end)
                raise
        except OSError as error:
            raise UserError(
                f"could not write {self.path} ({error.strerror or error}); everything before is kept: "
                "make room, then run the same command again"
            ) from error

    def close(self) -> None:
        """Make sure that everything is on the disk.

        Raises:
            UserError: The disk did not take it: some file systems say only now that they are full.
        """
        if self._file is None:
            return
        file, self._file = self._file, None
        with file:
            try:
                os.fsync(file.fileno())
            except OSError as error:
                raise UserError(
                    f"could not write {self.path} ({error.strerror or error}): make room, then run the same command "
                    "again"
                ) from error

    def _open(self) -> BinaryIO:
        """The file for appending, without the torn member that a killed process may have left."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+b", buffering=0)  # unbuffered: what is written survives the process
        try:
            file.seek(0)
            whole = 0
            for end, _ in self._members(file):
                whole = end
            file.truncate(whole)
        except BaseException:
            file.close()
            raise
        return file

    def _members(self, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        """The whole members: where each ends, and what it holds."""
        end, rest = 0, b""
        while True:
            decoder, content, size = zlib.decompressobj(wbits=31), bytearray(), 0
            while not decoder.eof:
                chunk = rest or file.read(8192)
                rest = b""
                if not chunk:
                    return  # the end of the file, or a torn member
                try:
                    content += decoder.decompress(chunk)
                except zlib.error as error:
                    raise UserError(
                        f"{self.path} is damaged after byte {end} ({error}); to keep what is before that and write "
                        f"the rest again: truncate -s {end} {self.path}"
                    ) from None
                size += len(chunk)
            rest = decoder.unused_data
            end += size - len(rest)
            yield end, bytes(content)


class Run:
    """A run's folder. Opened to read; inside `with run.locked():` also to write.

    Args:
        folder: The folder; it need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._logs: dict[Path, Log] = {}
        self._lock: Any = None

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest.

        Raises:
            UserError: There is none, or it is not one.
        """
        path = self.folder / "manifest.json"
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(f"{self.folder} is no run: it has no manifest.json{self.shards_hint}") from None
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"could not read {path}: {error}") from None
        if not _is_manifest(manifest):
            raise UserError(f"{path} is damaged, or not a manifest of format {FORMAT}; use the octopack that wrote it")
        checked: dict[str, Any] = manifest
        return checked

    @property
    def exists(self) -> bool:
        """Whether the folder holds a run."""
        return (self.folder / "manifest.json").exists()

    @property
    def shards_hint(self) -> str:
        """What to do with a folder that holds parts of a run; "" where it does not."""
        has_shards = any(self.folder.glob("shard-*/manifest.json"))
        return f", but shards: `octopack merge {self.folder}/shard-* --out RUN` makes one of them" if has_shards else ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been generated or judged."""
        return not any(self.folder.glob("samples/*")) and not any(self.folder.glob("verdicts/*/*"))

    def check_vacant(self) -> None:
        """Raise a `UserError` if the folder holds a run, or the samples of one that was never finished being made."""
        if self.exists:
            raise UserError(
                f"{self.folder} holds a run already: `octopack score {self.folder}` goes on with it, another --out "
                "begins another"
            )
        if not self.is_empty:
            raise UserError(f"{self.folder} holds samples but no manifest.json; give another --out, or delete it")

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest, wholly or not at all."""
        self.write_json("manifest.json", {"format": FORMAT, **manifest})

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Write a JSON file of the folder, wholly or not at all."""
        path = self.folder / name
        write_json(path, content)
        return path

    def samples(self, task: str) -> list[Sample]:
        """What was written for a task."""
        return self._read(self._log("samples", task), Sample.from_json)

    def add_samples(self, task: str, samples: Iterable[Sample]) -> None:
        """Keep samples."""
        self._check_locked()
        self._log("samples", task).append(sample.to_json() for sample in samples)

    def judgements(self, task: str, reading: str) -> list[Judgement]:
        """What came of a task's samples under a reading."""
        return self._read(self._log(f"verdicts/{reading}", task), Judgement.from_json)

    def add_judgements(self, task: str, reading: str, judgements: Iterable[Judgement]) -> None:
        """Keep judgements."""
        self._check_locked()
        self._log(f"verdicts/{reading}", task).append(judgement.to_json() for judgement in judgements)

    def has_judgements(self, reading: str) -> bool:
        """Whether anything is judged under a reading."""
        return any(self.folder.glob(f"verdicts/{reading}/*"))

    def drop_judgements(self, reading: str) -> None:
        """Forget what was judged under a reading, to judge it again."""
        self._check_locked()
        for path in (self.folder / "verdicts" / reading).glob("*.jsonl.gz"):
            self._logs.pop(path, Log(path)).close()
            path.unlink()

    def locked(self) -> Run:
        """Take the folder for writing; a context manager that gives it back.

        Raises:
            UserError: Another process has it, or the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("a+b", buffering=0)
        except OSError as error:
            raise UserError(f"could not write to {self.folder}: {error.strerror or error}") from None
        try:
            _take(lock)
        except _HELD:
            lock.seek(0)
            owner = lock.read().decode(errors="replace").strip() or "another process"
            lock.close()
            raise UserError(
                f"{self.folder} is in use by {owner}; wait for it (`octopack status` shows how far it is), or give "
                "another --out"
            ) from None
        except OSError as error:  # such as Lustre without its option `flock`
            reason = error.strerror or error
            logger.warning("%s: no locks here (%s); let only one process work on the run", self.folder, reason)
        try:
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        except OSError as error:  # a full disk
            lock.close()
            raise UserError(f"could not write to {self.folder}: {error.strerror or error}") from None
        self._lock = lock  # the kernel gives it back when the process ends, however it ends
        return self

    @property
    def is_in_use(self) -> bool:
        """Whether a process works on it."""
        try:
            with (self.folder / "lock").open("r", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except _HELD:
            return True
        except OSError:
            pass  # there is no such file, or no lock
        return False

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            for log in self._logs.values():
                log.close()
        finally:
            self._logs.clear()
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def _read(self, log: Log, record_of: Callable[[Mapping[str, Any]], _Record]) -> list[_Record]:
        with undamaged(log.path):
            return [record_of(values) for values in log.read()]

    def _log(self, kind: str, task: str) -> Log:
        path = self.folder / kind / f"{task}.jsonl.gz"
        return self._logs.setdefault(path, Log(path))

    def _check_locked(self) -> None:
        if self._lock is None:
            raise RuntimeError(f"{self.folder} is open to read only; use `with run.locked():`")


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Turn what goes wrong with the records of a log into a `UserError` that names the file."""
    try:
        yield
    except UserError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is damaged: a line of it is no record of this version of octopack ({error})") from None


def _take(lock: FileIO) -> None:
    """Lock a file for this process alone.

    Whoever looks whether a run is in use, as `octopack status --watch` does, holds it for a moment: that is waited for.

    Raises:
        OSError: Another process has it, or the file system has no locks.
    """
    for pause in (0.01, 0.05, 0.2):
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except _HELD:
            time.sleep(pause)
    return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_manifest(content: Any) -> bool:
    """Whether the parts are there that everything rests on."""
    try:
        settings = content["settings"]
        texts = [settings["model"]["backend"], settings["dataset"] or ""]
        for task in settings["tasks"].values():
            texts += [task["prompt"], task["dataset_sha256"]]
        return (
            content["format"] == FORMAT
            and all(isinstance(text, str) for text in texts)
            and all(isinstance(task["n_samples"], int) for task in settings["tasks"].values())
            and all(isinstance(environment, dict) for environment in content.get("scoring", {}).values())
        )
    except (LookupError, TypeError, AttributeError):
        return False


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, wholly or not at all.

    Raises:
        UserError: It cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(f"could not write {path}: {error.strerror or error}") from None
