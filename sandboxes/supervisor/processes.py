"""Runs one command under limits: starts it in its jail, watches what it uses, ends it, and clears away what it leaves.

Everything that a command starts stays a descendant of this process, because this process is a child subreaper: orphans
come back to it, so "no child is left" is a fact that can be read, not a hope. A program's time is the CPU time of the
whole tree plus the time in which the whole tree slept; the time in which it waited for a core is not charged, so a busy
machine changes no verdict.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import errno
import os
import resource
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from .jails import Box, Jail

EVIDENCE_FD = 3
"""The descriptor on which trusted code, after the last test, writes the run's key."""
KEY_FD = 4
"""The descriptor from which trusted code reads that key before the program begins (languages that are not compiled)."""

_TAIL_BYTES = 64 << 10
_STACK_BYTES = 256 << 20  # Deep, legal recursion must work; an endless one still ends.
_FIRST_LOOK = 0.03  # Most programs end before anyone has to look at them.
_LOOK_EVERY = 0.02  # A program can touch about 100 MB between two looks.
_SWEEP_SECONDS = 10.0
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PR_SET_CHILD_SUBREAPER = 36

libc = ctypes.CDLL(None, use_errno=True)


class SandboxFault(Exception):  # noqa: N818 - a fault, not an error of the program
    """The sandbox itself broke: nothing can be said about the program."""


class Stop(enum.Enum):
    """Why we ended a command before it ended itself."""

    CPU = "CPU time"
    WALL = "wall-clock time"
    MEMORY = "memory"
    OUTPUT = "output"


@dataclass(frozen=True)
class Use:
    """What a command may use; seconds and bytes."""

    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int
    output_bytes: int
    file_bytes: int
    processes: int


@dataclass(frozen=True)
class Command:
    """What to run in a box.

    Attributes:
        use: Its limits.
        argv: The program and its arguments; ignored where `action` is given.
        action: A function to run in the forked child instead of an executable.
        env: Added to the environment.
        key: Handed over on `KEY_FD`; None: no such descriptor.
        compiler: Whether it is a compiler, which runs under an identity of its own.
        data_bytes: A kernel limit on private memory behind the watching; None for runtimes that reserve more than they use.
    """

    use: Use
    argv: Sequence[str] = ()
    action: Callable[[], NoReturn] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    key: bytes | None = None
    compiler: bool = False
    data_bytes: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a command; `evidence` is all that was written to `EVIDENCE_FD`."""

    exit_code: int
    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int
    stdout: bytes
    stderr: bytes
    evidence: bytes
    stopped: Stop | None


def become_subreaper() -> None:
    """Make orphaned descendants children of this process."""
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise SandboxFault(f"cannot become a child subreaper: {os.strerror(ctypes.get_errno())}")


def run(command: Command, jail: Jail, box: Box) -> Outcome:
    """Run a command to its end, or to its limits' end, and leave nothing of it running.

    Raises:
        SandboxFault: The command could not be started, or something of it cannot be ended.
    """
    with contextlib.ExitStack() as stack:
        return _Run(command, jail, box, stack).outcome()


class _Pipe:
    """The reading end of a pipe that keeps the last bytes and counts all."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.read_fd, self.write_fd = os.pipe()
        stack.callback(os.close, self.read_fd)
        os.set_blocking(self.read_fd, False)
        self.total = 0
        self.tail = bytearray()

    def drain(self) -> bool:
        """Read what is there; False at the end of the stream."""
        try:
            data = os.read(self.read_fd, 1 << 16)
        except BlockingIOError:
            return True
        self.total += len(data)
        self.tail += data
        if len(self.tail) > 2 * _TAIL_BYTES:
            del self.tail[:-_TAIL_BYTES]
        return bool(data)


class _Run:
    def __init__(self, command: Command, jail: Jail, box: Box, stack: contextlib.ExitStack) -> None:
        self.command, self.jail, self.box, self.use = command, jail, box, command.use
        self.keep = frozenset(children())
        self.stdout, self.stderr, self.evidence = _Pipe(stack), _Pipe(stack), _Pipe(stack)
        self.orphans_cpu = 0.0
        self.peak_bytes = 0
        self.started = time.monotonic()
        self.pid = self._start()
        self.pidfd = _pidfd(self.pid)
        if self.pidfd is not None:
            stack.callback(os.close, self.pidfd)

    def _start(self) -> int:
        key_read = None
        if self.command.key is not None:
            key_read, key_write = os.pipe()
            os.write(key_write, self.command.key)
            os.close(key_write)
        fault_read, fault_write = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)
        pid = self.jail.fork()
        if pid == 0:
            try:
                self._become(null, key_read, fault_write)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it must reach the parent
                with contextlib.suppress(OSError):
                    os.write(fault_write, f"{type(error).__name__}: {error}".encode())
            finally:
                os._exit(127)
        for fd in (null, fault_write, key_read, self.stdout.write_fd, self.stderr.write_fd, self.evidence.write_fd):
            if fd is not None:
                os.close(fd)
        fault = os.read(fault_read, 4096)
        os.close(fault_read)
        if fault:
            os.waitpid(pid, 0)
            raise SandboxFault(f"cannot start {self.command.argv[:1] or 'the program'}: {fault.decode(errors='replace')}")
        return pid

    def _become(self, null: int, key_read: int | None, fault_write: int) -> None:
        """In the child: turn into the command."""
        os.setsid()
        high = [
            _above(fd) for fd in (null, self.stdout.write_fd, self.stderr.write_fd, self.evidence.write_fd)
        ]
        key = None if key_read is None else _above(key_read)
        fault = _above(fault_write)
        for target, fd in enumerate(high):
            os.dup2(fd, target)
        if key is not None:
            os.dup2(key, KEY_FD)
        for name in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_DFL)
        with contextlib.suppress(OSError):  # The program, never the supervisor, is what the kernel ends first.
            Path("/proc/self/oom_score_adj").write_text("1000")
        os.umask(0o022)
        self.jail.enter(self.box, self.command)
        set_limits(self.use, self.command.data_bytes, self.jail.counts_processes)
        if self.command.action is not None:
            os.closerange(KEY_FD + 1 if key is not None else KEY_FD, 4096)
            self.command.action()
        os.set_inheritable(fault, False)
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self.box.path),
            "TMPDIR": str(self.box.path),
            **self.command.env,
        }
        os.execvpe(self.command.argv[0], list(self.command.argv), env)

    def outcome(self) -> Outcome:
        stopped = None
        try:
            stopped = self._watch()
        finally:
            status, used = self._end()
        for pipe in (self.stdout, self.stderr, self.evidence):
            while pipe.total <= self.use.output_bytes and pipe.drain() and select.select([pipe.read_fd], [], [], 0)[0]:
                pass
        cpu = used.ru_utime + used.ru_stime + self.orphans_cpu
        if stopped is None and cpu > self.use.cpu_seconds:
            stopped = Stop.CPU
        if stopped is None and self.stdout.total + self.stderr.total > self.use.output_bytes:
            stopped = Stop.OUTPUT
        return Outcome(
            exit_code=os.waitstatus_to_exitcode(status),
            cpu_seconds=cpu,
            wall_seconds=time.monotonic() - self.started,
            memory_bytes=max(self.peak_bytes, used.ru_maxrss * 1024),
            stdout=bytes(self.stdout.tail[-_TAIL_BYTES:]),
            stderr=bytes(self.stderr.tail[-_TAIL_BYTES:]),
            evidence=bytes(self.evidence.tail),
            stopped=stopped,
        )

    def _watch(self) -> Stop | None:
        """Wait until the command ends (None) or must be ended."""
        poller = select.poll()
        pipes = {pipe.read_fd: pipe for pipe in (self.stdout, self.stderr, self.evidence)}
        for fd in pipes:
            poller.register(fd, select.POLLIN)
        if self.pidfd is not None:
            poller.register(self.pidfd, select.POLLIN)
        asleep, cpu_before, looked = 0.0, 0.0, self.started
        next_look = self.started + _FIRST_LOOK
        while True:
            wait = max(0.0, next_look - time.monotonic()) if self.pidfd is not None else 0.002
            for fd, _ in poller.poll(wait * 1000 + 0.5):
                if fd == self.pidfd:
                    return None
                if not pipes[fd].drain():
                    poller.unregister(fd)
            if self.pidfd is None and _has_ended(self.pid):
                return None
            if self.stdout.total + self.stderr.total + self.evidence.total > self.use.output_bytes:
                return Stop.OUTPUT
            now = time.monotonic()
            if now < next_look:
                continue
            tree = list(descendants(self.keep))
            cpu = sum(process.cpu_seconds for process in tree) + self.orphans_cpu
            memory = sum(process.memory_bytes for process in tree)
            if cpu <= cpu_before and not any(process.runs() for process in tree):
                asleep += now - looked
            cpu_before, looked, next_look = max(cpu, cpu_before), now, now + _LOOK_EVERY
            self.peak_bytes = max(self.peak_bytes, memory)
            if memory > self.use.memory_bytes:
                return Stop.MEMORY
            if cpu > self.use.cpu_seconds:
                return Stop.CPU
            if cpu + asleep > self.use.cpu_seconds or now - self.started > self.use.wall_seconds:
                return Stop.WALL

    def _end(self) -> tuple[int, resource.struct_rusage]:
        """End the command and everything that it started; its own status and use."""
        main: tuple[int, resource.struct_rusage] | None = None
        deadline = time.monotonic() + _SWEEP_SECONDS
        pause = 0.0
        while True:
            for pid in set(children()) - self.keep:
                done, status, used = os.wait4(pid, os.WNOHANG)
                if done == self.pid:
                    main = status, used
                elif done:
                    self.orphans_cpu += used.ru_utime + used.ru_stime
            left = set(children()) - self.keep
            if not left:
                if main is None:
                    raise SandboxFault("the command's exit status was lost")
                return main
            if time.monotonic() > deadline:
                raise SandboxFault(f"processes {sorted(left)} of the program cannot be ended")
            self.jail.kill(self.box, left)
            time.sleep(pause)
            pause = min(0.01, pause + 0.0005)


def set_limits(use: Use, data_bytes: int | None, counts_processes: bool) -> None:
    """Set the kernel's limits on the calling process: the net below the watching."""
    cpu = int(use.cpu_seconds) + 2
    wanted = [
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_FSIZE, use.file_bytes, use.file_bytes),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, 1024, 1024),
        (resource.RLIMIT_STACK, _STACK_BYTES, _STACK_BYTES),
    ]
    if counts_processes:
        wanted.append((resource.RLIMIT_NPROC, use.processes, use.processes))
    if data_bytes is not None:
        wanted.append((resource.RLIMIT_DATA, data_bytes, data_bytes))
    for what, soft, hard in wanted:
        _, allowed = resource.getrlimit(what)
        if allowed != resource.RLIM_INFINITY:
            soft, hard = min(soft, allowed), min(hard, allowed)
        resource.setrlimit(what, (soft, hard))


@dataclass(frozen=True)
class Process:
    """A running process as /proc shows it."""

    pid: int
    cpu_seconds: float
    memory_bytes: int

    def runs(self) -> bool:
        """Whether one of its threads runs, waits for a core or for a disk."""
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{self.pid}/task"):
                with contextlib.suppress(OSError), open(f"/proc/{self.pid}/task/{task}/stat", "rb") as stat:
                    if stat.read().rpartition(b")")[2].split()[0] in (b"R", b"D"):
                        return True
        return False


def children(pid: int | None = None) -> list[int]:
    """The direct children of a process, zombies included."""
    pid = os.getpid() if pid is None else pid
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def descendants(keep: frozenset[int]) -> Iterator[Process]:
    """All processes below this one, except the children in `keep` and what is below those."""
    todo = [pid for pid in children() if pid not in keep]
    while todo:
        pid = todo.pop()
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        todo += children(pid)
        yield Process(pid, sum(map(int, fields[11:15])) / _CLOCK_TICKS, int(fields[21]) * _PAGE_BYTES)


def _above(fd: int) -> int:
    """A copy of a descriptor above those that the child's own descriptors take."""
    import fcntl

    return int(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 16))


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EPERM):
            return None
        raise


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
