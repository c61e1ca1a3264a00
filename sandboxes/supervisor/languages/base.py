"""What the strategies share: their shape, the key that proves an end, and how an outcome becomes a verdict."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, ClassVar

from ..box import Box
from ..jails import Jail
from ..processes import Command, Outcome, SandboxFault, Stop, Use, run
from ..protocol import DEFAULT_LIMITS, Limits, Program, Status, Verdict
from ..removal import remove

KEY_BYTES = 32
RESOURCES = Path(__file__).resolve().parent.parent / "resources"
_TAIL_CHARACTERS = 4000
_KEPT_UNUSED = 30 * 24 * 3600.0
"""Seconds for which prepared things are kept that nobody uses."""
_OUT_OF_MEMORY = re.compile(
    rb"^MemoryError\b|std::bad_alloc|java\.lang\.OutOfMemoryError|heap out of memory|"
    rb"^memory allocation of \d+ bytes failed|^fatal error: runtime: (cannot allocate|out of) memory",
    re.MULTILINE,
)
_STOPPED = {
    Stop.CPU: Status.TIMEOUT,
    Stop.WALL: Status.TIMEOUT,
    Stop.MEMORY: Status.MEMORY_LIMIT,
    Stop.OUTPUT: Status.OUTPUT_LIMIT,
    Stop.PROCESSES: Status.RUNTIME_ERROR,
}


def new_key(size: int = KEY_BYTES) -> bytes:
    """The secret of one run: written back by trusted code after the last test, known to nothing else."""
    return os.urandom(size)


SECRET_PLACE = hashlib.sha512(b"octopack: a secret goes here").digest()
"""Stands in compiled programs where `Secret.stamp` puts the run's secret."""


def _flock(file: IO[str], operation: int) -> None:
    try:
        fcntl.flock(file, operation)
    except OSError as error:
        raise SandboxFault(
            f"{file.name} cannot be locked ({error.strerror}): set XDG_CACHE_HOME to a folder on a disk of this machine"
        ) from error


@dataclass(frozen=True)
class Secret:
    """What is stamped into an executable for one run.

    Attributes:
        ticket: What trusted code wants to find on `KEY_FD` before anything of the program runs. It is there once: an
            executable that its own program starts again, with other libraries say, or to try an answer, ends at once.
        key: What trusted code writes after the last test.
    """

    ticket: bytes = field(default_factory=new_key)
    key: bytes = field(default_factory=new_key)

    def stamp(self, executable: Path, place: bytes = SECRET_PLACE) -> bytes:
        """Write it into a finished executable, over `place`; what stands there now.

        Raises:
            ValueError: There is not exactly one place for it: the program carries a place of its own.
        """
        data = executable.read_bytes()
        at = data.find(place)
        if at < 0 or data.find(place, at + 1) >= 0:
            raise ValueError("the executable has not exactly one place for a secret")
        with executable.open("r+b") as file:
            file.seek(at)
            file.write(self.ticket + self.key)
        return self.ticket + self.key


@dataclass(frozen=True)
class Setting:
    """Where a strategy works: its jail, the folder of prepared things, and a scratch folder of the supervisor's own."""

    jail: Jail
    warm: Path | None
    scratch: Path


@dataclass
class Case:
    """One program on its way to a verdict: adds up times and remembers what was seen."""

    program: Program
    box: Box
    limits: Limits
    started: float = field(default_factory=time.monotonic)
    compile_seconds: float = 0.0
    run_seconds: float = 0.0
    memory_bytes: int = 0
    suspicious: list[str] = field(default_factory=list)

    @property
    def candidate(self) -> str:
        """What came from a model: all of it, where nobody said where the tests begin."""
        offset = self.program.test_offset
        return self.program.source if offset is None else self.program.source[:offset]

    @property
    def tests(self) -> str:
        """The trusted test text; empty where nobody said where it begins."""
        offset = self.program.test_offset
        return "" if offset is None else self.program.source[offset:]

    def running(self) -> Use:
        """The limits of the running program."""
        limits = self.limits
        wall = max(30.0, 10 * limits.cpu_seconds) if limits.wall_seconds is None else limits.wall_seconds
        return Use(
            limits.cpu_seconds, wall, limits.memory_bytes, limits.output_bytes, limits.file_bytes, limits.processes
        )

    def compiling(self) -> Use:
        """The limits of its compiler."""
        limits = self.limits
        cpu = limits.compile_cpu_seconds
        return Use(cpu, max(60.0, 10 * cpu), max(limits.memory_bytes, 2 << 30), 4 << 20, 256 << 20, 256)

    def verdict(
        self, status: Status, outcome: Outcome | None, *, detail: str = "", stage: str = "run", reference: bool = False
    ) -> Verdict:
        """A verdict with all that is known of the case."""
        return Verdict(
            status=status,
            reference_passed=reference,
            suspicious=tuple(dict.fromkeys(self.suspicious)) if status is Status.PASSED else (),
            stage=stage,
            exit_code=None if outcome is None else outcome.exit_code,
            stdout="" if outcome is None else tail(outcome.stdout),
            stderr="" if outcome is None else tail(outcome.stderr),
            detail=detail,
            compile_seconds=round(self.compile_seconds, 4),
            run_seconds=round(self.run_seconds, 4),
            wall_seconds=round(time.monotonic() - self.started, 4),
            memory_bytes=self.memory_bytes,
        )


class Strategy:
    """How one language is judged."""

    language: ClassVar[str]
    prepared: ClassVar[int] = 1
    """Raised whenever `prepare` changes what it makes."""
    resources: ClassVar[tuple[str, ...]] = ()
    """The files and folders of `RESOURCES` that `prepare` uses."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.jail = setting.jail

    def version(self) -> str:
        """The toolchain's version, one line.

        Raises:
            OSError: The toolchain is not installed.
        """
        raise NotImplementedError

    def prepare(self, warm: Path) -> None:
        """Build what makes later programs faster, into a folder of this language's own."""

    def judge(self, case: Case) -> Verdict:
        """Judge one program in its own box."""
        raise NotImplementedError

    def judge_all(self, programs: Sequence[Program]) -> list[Verdict]:
        """Judge several programs; the same verdicts as one by one, perhaps sooner."""
        return [self.judge_one(program) for program in programs]

    def judge_one(self, program: Program) -> Verdict:
        """Judge one program."""
        with self.jail.box() as box:
            return self.judge(self.case(program, box))

    @functools.cached_property
    def warm(self) -> Path:
        """The prepared things: the ready ones where they fit this toolchain and this code, else made now.

        Things of other toolchains and of other versions of this code may lie beside them and be in use, as where nodes
        of a cluster share a home.
        """
        if self.setting.warm is not None and self._is_prepared(self.setting.warm / self.language):
            return self.setting.warm / self.language
        scratch = self.setting.scratch
        name = hashlib.sha256(self._mark(scratch).encode()).hexdigest()[:12]
        self.prepare_marked(scratch / f"{self.language}-{name}")
        return scratch / f"{self.language}-{name}"

    def prepare_marked(self, folder: Path) -> None:
        """Prepare into a new or outdated folder, note for what, and hold it: no supervisor removes what another uses.

        Raises:
            SandboxFault: There are no file locks here, so that supervisors would come into each other's way.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f"{folder.name}.lock").open("a+")
        _flock(lock, fcntl.LOCK_SH)
        while not self._is_prepared(folder):
            _flock(lock, fcntl.LOCK_EX)  # lets go of the other first: somebody else may be sooner
            if not self._is_prepared(folder):
                print(f"{self.language}: preparing in {folder}", file=sys.stderr)  # noqa: T201
                self._remove_unused(folder.parent)
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                self.prepare(folder)
                (folder / "mark").write_text(self._mark(folder.parent))
            _flock(lock, fcntl.LOCK_SH)
        os.utime(lock.fileno())
        self._held = lock

    def _is_prepared(self, folder: Path) -> bool:
        mark = folder / "mark"
        return mark.is_file() and mark.read_text() == self._mark(folder.parent)

    def _remove_unused(self, scratch: Path) -> None:
        """Remove what was prepared for other toolchains, or by other versions, and was of no use for long."""
        for path in scratch.glob(f"{self.language}-*.lock"):
            with path.open("a+") as lock, contextlib.suppress(OSError):  # somebody uses it
                if path.stat().st_mtime < time.time() - _KEPT_UNUSED:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path.with_suffix(""), ignore_errors=True)

    @functools.cached_property
    def _toolchain(self) -> str:
        return self.version()

    def _mark(self, place: Path) -> str:
        """What prepared things depend on: toolchain, kind of machine, the code that makes them, and where they lie."""
        code = hashlib.sha256(SECRET_PLACE + str(self.prepared).encode())
        for name in self.resources:
            for path in sorted([RESOURCES / name, *(RESOURCES / name).rglob("*")]):
                if path.is_file():
                    code.update(path.read_bytes())
        return f"{self._toolchain}\n{os.uname().machine}\n{place}\n{code.hexdigest()}\n"

    def close(self) -> None:
        """End what the strategy keeps running."""

    def case(self, program: Program, box: Box) -> Case:
        """A case with the program's limits, or its language's defaults, and its tests on lines of their own."""
        source, offset = program.source, program.test_offset
        if offset and source[offset - 1] not in "\r\n" and source[offset : offset + 1] not in ("", "\r", "\n"):
            # A comment that begins on the candidate's last line would take the tests' first.
            program = dataclasses.replace(
                program, source=f"{source[:offset]}\n{source[offset:]}", test_offset=offset + 1
            )
        return Case(program, box, program.limits or DEFAULT_LIMITS[self.language])

    @contextlib.contextmanager
    def sealed(self, case: Case, name: str) -> Iterator[Path]:
        """Take a finished executable out of the compiler's hands, so that only the supervisor can change it."""
        executable = self.jail.seal(case.box, case.box.path / name)
        try:
            yield executable
        finally:
            executable.unlink()

    def compile(self, case: Case, command: Command) -> Outcome:
        """Run a compiler and add up its time."""
        outcome = run(dataclasses.replace(command, compiler=True), self.jail, case.box)
        case.compile_seconds += outcome.cpu_seconds
        return outcome

    def execute(self, case: Case, command: Command) -> Outcome:
        """Run the program and add up its time."""
        self.jail.give(case.box)
        outcome = run(command, self.jail, case.box)
        case.run_seconds += outcome.cpu_seconds
        case.memory_bytes = max(case.memory_bytes, outcome.memory_bytes)
        return outcome

    def execute_sealed(
        self,
        case: Case,
        executable: Path,
        *arguments: str,
        secret: Secret | None = None,
        data_bytes: int | None = None,
    ) -> Outcome:
        """Run a finished executable in an empty folder, where neither its source nor its tests can be read."""
        for path in case.box.path.iterdir():
            remove(path)
        ticket = None if secret is None else secret.ticket
        argv = [str(executable), *arguments]
        return self.execute(case, Command(case.running(), argv, key=ticket, data_bytes=data_bytes))


def stopped(case: Case, outcome: Outcome, stage: str = "run") -> Verdict | None:
    """The verdict of a command that was ended at a limit; None for one that ended itself."""
    if outcome.stopped is None:
        return None
    return case.verdict(
        _STOPPED[outcome.stopped], outcome, stage=stage, detail=f"it used up its {outcome.stopped.value}"
    )


def compile_failure(case: Case, outcome: Outcome) -> Verdict | None:
    """The verdict of a compilation that did not succeed; None for one that did."""
    if verdict := stopped(case, outcome, "compile"):
        return verdict
    if outcome.exit_code == 0:
        return None
    return case.verdict(Status.COMPILE_ERROR, outcome, stage="compile", detail="the compiler rejected it")


def finished(case: Case, outcome: Outcome, key: bytes, *, reference: bool, failed_by_test: bool) -> Verdict:
    """The verdict of a program that ended itself.

    Args:
        case: The case.
        outcome: How the program ended.
        key: What trusted code writes after the last test.
        reference: Whether the plain commands would have called this a pass.
        failed_by_test: Whether a failure looks like that of a test's assertion.
    """
    if reference and outcome.exit_code == 0 and outcome.evidence == key:
        return case.verdict(Status.PASSED, outcome, reference=True)
    if reference:
        detail = "it ended before its tests did" if not outcome.evidence else "it forged a message about its tests' end"
        return case.verdict(Status.FAILED, outcome, reference=True, detail=detail)
    if _OUT_OF_MEMORY.search(outcome.stderr):
        return case.verdict(Status.MEMORY_LIMIT, outcome, detail="it ran out of memory")
    if failed_by_test:
        return case.verdict(Status.FAILED, outcome, detail="a test did not hold")
    return case.verdict(Status.RUNTIME_ERROR, outcome, detail=how_it_ended(outcome))


def ends_open(candidate: str, not_code: re.Pattern[str]) -> bool:
    """Whether a comment or a text begins in the candidate and goes on where its tests stand.

    Args:
        candidate: What stands before the tests.
        not_code: Matches the language's comments and texts; one that is not closed up to the end.
    """
    return not not_code.sub(" ", candidate + "\n\0").endswith("\0")


def of_tests(defined: Iterable[str], candidate: str) -> str | None:
    """Why a candidate that names what only its tests define deserves a look: it may try its answers on them.

    Args:
        defined: The names that its tests define.
        candidate: What stands before them, as code without texts and comments where those are known.
    """
    if used := sorted(set(defined) & set(re.findall(r"(?<![.\w])\w+", candidate))):
        return f"it uses {', '.join(used)}, which its tests define"
    return None


def unproven_end(case: Case, outcome: Outcome, candidate: str, not_code: re.Pattern[str]) -> Verdict | None:
    """The verdict of a program that ended well, but whose candidate takes its tests in (`ends_open`); else None."""
    if outcome.exit_code != 0 or not case.tests or not ends_open(candidate, not_code):
        return None
    detail = "not proven: its last line reaches into the tests"
    return case.verdict(Status.FAILED, outcome, reference=True, detail=detail)


def how_it_ended(outcome: Outcome) -> str:
    """The end of a process in words."""
    if outcome.exit_code < 0:
        return f"it was ended by signal {-outcome.exit_code}"
    return f"it ended with exit status {outcome.exit_code}"


def tail(data: bytes) -> str:
    """The end of an output, as text."""
    return data.decode("utf-8", errors="replace")[-_TAIL_CHARACTERS:]


def build(folder: Path, *argv: str, env: dict[str, str] | None = None) -> str:
    """Run a tool on trusted input while preparing; its output.

    Raises:
        OSError: It failed.
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LANG": "C.UTF-8", **(env or {})}
    result = subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if result.returncode != 0:
        raise OSError(f"{' '.join(argv)[:200]} failed: {(result.stderr or result.stdout).strip()[-2000:]}")
    return result.stdout


def require(*paths: str) -> None:
    """Make sure that what programs need beside the tools is there.

    Raises:
        OSError: Something is missing.
    """
    for path in paths:
        if not any(Path("/").glob(path.lstrip("/"))):
            raise OSError(f"{path} is missing")


def first_line(*argv: str) -> str:
    """The first line that a tool prints about itself."""
    result = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    lines = (result.stdout or result.stderr).strip().splitlines()
    if result.returncode != 0 or not lines:
        raise OSError(f"{argv[0]} does not work: {result.stderr.strip()[-200:]}")
    return lines[0]
