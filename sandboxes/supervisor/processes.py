"""Runs one command under limits: starts it in its jail, watches what it uses, ends it, and clears away what it leaves.

Everything that a command starts stays a descendant of this process, because this process is the first of its container
or a child subreaper: orphans come back to it, so "no child is left" is a fact that can be read, not a hope. A program's
time is the CPU time of the whole tree plus the time in which the whole tree slept; the time in which it waited for a
core is not charged, so a busy machine changes no verdict.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import enum
import errno
import fcntl
import functools
import itertools
import marshal
import os
import platform
import resource
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .box import Box

if TYPE_CHECKING:
    from .jails import Jail

EVIDENCE_FD = 3
"""The descriptor on which trusted code, after the last test, writes the run's key."""
KEY_FD = 4
"""The descriptor from which trusted code reads that key before the program begins (languages that are not compiled)."""

_TAIL_BYTES = 64 << 10
_STACK_BYTES = 256 << 20  # Deep, legal recursion must work; an endless one still ends.
_FIRST_LOOK = 0.03  # Most programs end before anyone has to look at them.
_LOOK_EVERY = 0.02  # A program can touch about 100 MB between two looks.
_SWEEP_SECONDS = 30.0
_OWN_PROCESSES = 4  # Of a jail's own, beside the program's.
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_DUMPABLE = 4

_CLONE_PARENT = 0x8000
_SYS_CLONE = {"x86_64": 56, "aarch64": 220}

libc = ctypes.CDLL(None, use_errno=True)
_pylibc = ctypes.PyDLL(None)  # Keeps the interpreter's lock across the call, which a fork must.


class SandboxFault(Exception):  # noqa: N818 - a fault, not an error of the program
    """The sandbox itself broke: nothing can be said about the program."""


class Stop(enum.Enum):
    """Why we ended a command before it ended itself."""

    CPU = "CPU time"
    WALL = "wall-clock time"
    MEMORY = "memory"
    OUTPUT = "output"
    PROCESSES = "number of processes"


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
        zygote: The warm process that forks it, with `payload`; None: it is forked from this process.
        payload: For the zygote's action.
        compiler: Whether it is a compiler, which runs under an identity of its own.
        stdin: What it finds on its standard input, at most a pipe's capacity (64 KiB).
        data_bytes: A kernel limit on private memory behind the watching; None for runtimes that
            reserve more than they use.
    """

    use: Use
    argv: Sequence[str] = ()
    action: Callable[[], NoReturn] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    key: bytes | None = None
    compiler: bool = False
    zygote: Zygote | None = None
    payload: bytes = b""
    data_bytes: int | None = None
    stdin: bytes = b""


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
    """Make orphaned descendants children of this process, as those of a container's first process are anyway."""
    if os.getpid() != 1 and libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
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
        key_read, key_write = os.pipe()
        if self.command.key is not None:
            os.write(key_write, self.command.key)
        os.close(key_write)
        fault_read, fault_write = os.pipe()
        if self.command.stdin:
            stdin, feed = os.pipe()
            os.write(feed, self.command.stdin)
            os.close(feed)
        else:
            stdin = os.open(os.devnull, os.O_RDONLY)
        ends = (stdin, self.stdout.write_fd, self.stderr.write_fd, self.evidence.write_fd, key_read, fault_write)
        try:
            if self.command.zygote is not None:
                pid = self.command.zygote.start(self.box, self.command, ends)
            else:
                pid = self.jail.fork(own_child=True)
                if pid == 0:
                    become(self.jail, self.box, self.command, ends)
        finally:
            for fd in ends:
                os.close(fd)
        fault = os.read(fault_read, 4096)
        os.close(fault_read)
        if fault:
            os.waitpid(pid, 0)
            raise SandboxFault(f"cannot start {self.command.argv[:1] or 'it'}: {fault.decode(errors='replace')}")
        return pid

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
            exit_code=self.jail.exit_code(status),
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
            allowed = self.use.processes + _OWN_PROCESSES
            tree = list(itertools.islice(descendants(self.keep), allowed + 1))  # A bomb has no end to walk to.
            # Where the kernel does not count for us: it never does for the machine's root.
            if len(tree) > allowed:
                return Stop.PROCESSES
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
            if not left and not self.jail.strays(self.box):
                if main is None:
                    raise SandboxFault("the command's exit status was lost")
                return main
            if time.monotonic() > deadline:
                raise SandboxFault(f"processes {sorted(left)} of the program cannot be ended")
            self.jail.kill(self.box, left)
            time.sleep(pause)
            pause = min(0.01, pause + 0.0005)


def become(jail: Jail, box: Box, command: Command, ends: Sequence[int]) -> NoReturn:
    """In the child: turn into the command.

    Args:
        jail: What to go into.
        box: The folder and identity to take.
        command: What to become.
        ends: Descriptors that become 0 to 4 (input, output, error, evidence, key) and the one on which to tell a fault.
    """
    fault = ends[-1]
    try:
        os.setsid()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64) for fd in ends]
        fault = high.pop()
        for target, fd in enumerate(high):
            os.dup2(fd, target)
        if command.key is None:
            os.close(KEY_FD)
        for name in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(name, signal.SIG_DFL)
        with contextlib.suppress(OSError):  # The program, never the supervisor, is what the kernel ends first.
            Path("/proc/self/oom_score_adj").write_text("1000")
        os.umask(0o022)
        jail.enter(box, command)
        set_limits(command.use, command.data_bytes, jail.counts_processes)
        jail.lock()
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(box.path),
            "TMPDIR": str(box.path),
            "USER": "nobody",  # Its user id has no name.
            "LOGNAME": "nobody",
            **command.env,
        }
        if command.action is None:
            os.execvpe(command.argv[0], list(command.argv), environment)
        os.environ.clear()
        os.environ.update(environment)
        os.closerange(KEY_FD + 1, 1024)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # Its memory file is closed to it, too.
        command.action()
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(fault, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(127)


class Zygote:
    """A warm process that forks commands for us: what it has loaded, they need not load.

    Its forks are our children, not its own (`fork_sibling`), so they are watched and ended like all others.
    """

    def __init__(self, jail: Jail, warm_up: Callable[[], None], action: Callable[[bytes], NoReturn]) -> None:
        """Start it.

        Args:
            jail: The jail of what it forks.
            warm_up: Loads what the commands need.
            action: What a forked command does; its argument is the payload of `start`.
        """
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._socket.close()
                warm_up()
                other.sendall(b"!")
                _serve(other, jail, action)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        other.close()
        if self._socket.recv(1) != b"!":
            os.waitpid(self.pid, 0)
            raise SandboxFault("a warm process did not start")

    def start(self, box: Box, command: Command, ends: Sequence[int]) -> int:
        """Fork a command; its process id."""
        use = dataclasses.astuple(command.use)
        head = (str(box.path), box.uid, use, dict(command.env), command.data_bytes, command.key is not None)
        message = marshal.dumps((head, command.payload))
        try:
            socket.send_fds(self._socket, [len(message).to_bytes(4, "big")], list(ends))
            self._socket.sendall(message)
            answer = self._socket.recv(4)
        except OSError as error:
            raise SandboxFault(f"a warm process is gone: {error}") from error
        if len(answer) != 4 or not int.from_bytes(answer, "big"):
            raise SandboxFault("a warm process is gone")
        return int.from_bytes(answer, "big")

    def close(self) -> None:
        """End it."""
        self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _serve(requests: socket.socket, jail: Jail, action: Callable[[bytes], NoReturn]) -> None:
    """The zygote's loop: one request, one fork."""
    _kernel_clones_for_parent()  # Known from here on.
    while True:
        length, ends, _, _ = socket.recv_fds(requests, 4, 8)
        if not length:
            os._exit(0)
        message = b""
        while len(message) < int.from_bytes(length, "big"):
            message += requests.recv(1 << 20)
        (path, uid, use, env, data_bytes, keyed), payload = marshal.loads(message)
        command = Command(
            Use(*use),
            action=functools.partial(action, payload),
            env=env,
            data_bytes=data_bytes,
            key=b"" if keyed else None,
        )
        pid = jail.fork(own_child=False)
        if pid == 0:
            become(jail, Box(Path(path), uid), command, ends)
        requests.sendall(max(pid, 0).to_bytes(4, "big"))
        for fd in ends:
            os.close(fd)


def fork_sibling() -> int:
    """Fork a child of our own parent; 0 in the child, negative where that is not possible."""
    return _clone_for_parent() if _kernel_clones_for_parent() else _fork_orphan()


def _clone_for_parent() -> int:
    return int(_pylibc.syscall(_SYS_CLONE[platform.machine()], _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0))


@functools.cache
def _kernel_clones_for_parent() -> bool:
    """Whether `CLONE_PARENT` does what it says: gVisor takes it and makes a child of our own.

    To be asked where this process has no child, and does not fork into another namespace.
    """
    between = os.fork()
    if between == 0:
        if _clone_for_parent() > 0:
            with contextlib.suppress(ChildProcessError):
                os.wait()
        os._exit(0)
    os.waitpid(between, 0)
    try:
        os.wait()
    except ChildProcessError:
        return False
    return True


def _fork_orphan() -> int:
    """Fork a child whose parent ends at once, so that it falls to the process that takes in orphans: our parent."""
    read, write = os.pipe()
    between = os.fork()
    if between == 0:
        try:
            pid = os.fork()
        except OSError:
            os._exit(1)
        if pid != 0:
            os.write(write, pid.to_bytes(4, "big"))
            os._exit(0)
    else:
        os.waitpid(between, 0)
        pid = int.from_bytes(os.read(read, 4), "big") or -1
    os.close(read)
    os.close(write)
    return pid


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

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process of an id.

        Raises:
            OSError: There is none.
        """
        fields = _stat(f"/proc/{pid}")
        return cls(pid, sum(map(int, fields[11:15])) / _CLOCK_TICKS, int(fields[21]) * _PAGE_BYTES)

    def runs(self) -> bool:
        """Whether one of its threads runs, waits for a core or for a disk."""
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{self.pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    if _stat(task)[0] in (b"R", b"D"):
                        return True
        return False


def _stat(folder: str | os.PathLike[str]) -> list[bytes]:
    """What /proc says of a process or thread behind its name, which may hold anything: its state, its parent, ..."""
    return Path(folder, "stat").read_bytes().rpartition(b")")[2].split()


def children(pid: int | None = None) -> list[int]:
    """The direct children of a process, zombies included."""
    pid = os.getpid() if pid is None else pid
    if not _kernel_lists_children():
        return [child for child, parent in _parents() if parent == pid]
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, (task / "children").read_bytes().split())
    return found


@functools.cache
def _kernel_lists_children() -> bool:
    """Whether /proc has lists of children.

    Kernels may be built without; gVisor, which calls itself Linux 4.4.0, had none before 2023, and later puts threads
    into them.
    """
    return os.uname().release != "4.4.0" and Path(f"/proc/self/task/{os.getpid()}/children").exists()


def _parents() -> Iterator[tuple[int, int]]:
    """Every process and its parent."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                yield int(entry.name), int(_stat(entry)[1])


def descendants(keep: frozenset[int]) -> Iterator[Process]:
    """All processes below this one, except the children in `keep` and what is below those."""
    todo = [pid for pid in children() if pid not in keep]
    while todo:
        pid = todo.pop()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            process = Process.of(pid)
            todo += children(pid)
            yield process


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
