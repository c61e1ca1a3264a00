"""What stands between a program and everything else: an identity of its own, a folder of its own, nothing left behind.

Three kinds. `uid`: the supervisor is root in a container and every program gets a fresh user id. `bwrap`: every program
gets fresh namespaces, made without any privilege on the host. `none`: nothing; for tests and for those who ask for it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from .box import Box
from .processes import Command, SandboxFault, children, fork_sibling, libc
from .removal import remove

_UID_BASE, _UID_COUNT = 20_000, 40_000
_ROOM_BYTES, _ROOM_FILES = 64 << 20, 1000
_SHARED_FOLDERS = (Path("/tmp"), Path("/dev/shm"), Path("/dev/mqueue"), Path("/var/tmp"), Path("/run/lock"))


class Jail(Protocol):
    """One way to keep a program in."""

    counts_processes: bool
    """Whether the kernel's limit on processes counts this program's alone."""

    has_uids: bool
    """Whether it can give processes user ids of their own."""

    @property
    def runs_unread(self) -> bool:
        """Whether programs can run executables that they cannot read. Linux lets them; gVisor does not."""

    def box(self) -> contextlib.AbstractContextManager[Box]:
        """A folder and an identity, both gone afterwards."""

    def fork(self, own_child: bool) -> int:
        """Fork the child that becomes a command: a child of the caller, or of the caller's parent (for a zygote)."""

    def enter(self, box: Box, command: Command) -> None:
        """In the child: go into the jail, for good."""

    def kill(self, box: Box, pids: Iterable[int]) -> None:
        """End everything of the box; `pids` are the children of the supervisor that are still there."""

    def give(self, box: Box) -> None:
        """Hand the folder from the compiler to the program."""

    def lock(self) -> None:
        """In the child, the last step before the program runs."""

    def exit_code(self, status: int) -> int:
        """The exit code of a command from the status that its process left: negative for a signal."""

    def seal(self, box: Box, path: Path) -> Path:
        """Move a finished executable to where a program can run it and, where the jail can, not read or change it."""

    def strays(self, box: Box) -> bool:
        """Whether processes of the box may run that no list of children shows."""


class _NoLock:
    def lock(self) -> None:
        """See `Jail`."""

    def exit_code(self, status: int) -> int:
        """See `Jail`."""
        return os.waitstatus_to_exitcode(status)


class NoJail(_NoLock):
    """No separation at all, only limits."""

    counts_processes = False
    has_uids = False
    runs_unread = True

    def __init__(self, work: Path) -> None:
        self.work = work
        self._count = 0

    @contextlib.contextmanager
    def box(self) -> Iterator[Box]:
        """See `Jail`."""
        self._count += 1
        _require_room(self.work)
        path = self.work / f"p{os.getpid()}_{self._count}"
        path.mkdir(mode=0o700)
        try:
            yield Box(path, os.getuid())
        finally:
            remove(path)

    def fork(self, own_child: bool) -> int:
        """See `Jail`."""
        return os.fork() if own_child else fork_sibling()

    def enter(self, box: Box, command: Command) -> None:
        """See `Jail`."""
        os.chdir(box.path)

    def kill(self, box: Box, pids: Iterable[int]) -> None:
        """See `Jail`."""
        todo = list(pids)
        while todo:
            pid = todo.pop()
            todo += children(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def give(self, box: Box) -> None:
        """See `Jail`."""

    def seal(self, box: Box, path: Path) -> Path:
        """See `Jail`."""
        sealed = self.work / f"{box.path.name}-{path.name}"
        path.rename(sealed)
        return sealed

    def strays(self, box: Box) -> bool:
        """See `Jail`."""
        return False


class UidJail(_NoLock):
    """A fresh user id for every program, and another one for its compiler.

    The supervisor needs CAP_SETUID, CAP_SETGID, CAP_CHOWN and CAP_KILL and nothing more: a root without the right to
    read what is not its own. Of what a program hides from it, it becomes the owner before it removes it.
    """

    counts_processes = True
    has_uids = True

    def __init__(self, work: Path) -> None:
        self.work = work
        self._count = 0
        if os.getuid() != 0:
            raise SandboxFault("--jail uid needs a supervisor that is root (in its container)")

    @contextlib.contextmanager
    def box(self) -> Iterator[Box]:
        """See `Jail`."""
        uid = _UID_BASE + 2 * (self._count % (_UID_COUNT // 2))
        self._count += 1
        _require_room(self.work)
        box = Box(self.work / f"p{uid}", uid)
        box.path.mkdir()
        box.path.chmod(0o770)
        # The group is the supervisor's: it can look after the folder without the right to override permissions.
        os.chown(box.path, uid + 1, 0)
        try:
            yield box
        finally:
            self._clear(box)

    def fork(self, own_child: bool) -> int:
        """See `Jail`."""
        return os.fork() if own_child else fork_sibling()

    def enter(self, box: Box, command: Command) -> None:
        """See `Jail`."""
        _become(box.uid + 1 if command.compiler else box.uid)
        os.chdir(box.path)

    def kill(self, box: Box, pids: Iterable[int]) -> None:
        """See `Jail`."""
        for uid in (box.uid, box.uid + 1):
            self._as(uid, lambda: os.kill(-1, signal.SIGKILL))

    def give(self, box: Box) -> None:
        """See `Jail`."""
        os.chown(box.path, box.uid, 0)

    def seal(self, box: Box, path: Path) -> Path:
        """See `Jail`."""
        sealed = sealed_place(self.work) / path.name
        path.rename(sealed)
        os.chown(sealed, 0, 0, follow_symlinks=False)
        if not stat.S_ISREG(sealed.lstat().st_mode):
            raise SandboxFault(f"the compiler's result {path.name} is not a file")
        sealed.chmod(0o711 if self.runs_unread else 0o755)
        return sealed

    @functools.cached_property
    def runs_unread(self) -> bool:
        """See `Jail`."""
        trial = self.work / "trial"
        shutil.copyfile(shutil.which("true") or "/bin/true", trial)
        trial.chmod(0o711)
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(OSError):
                _become(_UID_BASE + 2 * _UID_COUNT)
                os.execv(trial, [str(trial)])
            os._exit(1)
        status = os.waitpid(pid, 0)[1]
        trial.unlink()
        return status == 0

    def strays(self, box: Box) -> bool:
        """See `Jail`."""
        # Forks that hand on to a fork and end pass through the list of children unseen. Here they do not: a newer
        # process has a higher number, further down the list; one that ended meanwhile is taken for such a fork.
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                try:
                    status = Path(entry.path, "status").read_bytes()
                except OSError:
                    return True
                if int(status.partition(b"\nUid:")[2].split(None, 1)[0]) in (box.uid, box.uid + 1):
                    return True
        return False

    def _as(self, uid: int, action: Callable[[], object]) -> None:
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                _become(uid)
                action()
            os._exit(0)
        os.waitpid(pid, 0)

    def _clear(self, box: Box) -> None:
        remove(box.path)
        for folder in _SHARED_FOLDERS:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                for entry in os.scandir(folder):
                    if entry.stat(follow_symlinks=False).st_uid != 0:
                        remove(Path(entry.path))
        for kind in _SYSV_KINDS:
            if left := _sysv_ids(kind):
                for uid in (box.uid, box.uid + 1):
                    self._as(uid, functools.partial(_remove_sysv, kind, left))
                if _sysv_ids(kind):
                    raise SandboxFault(f"System V {kind} of the program cannot be removed")


def _require_room(work: Path) -> None:
    """Make sure that a program's files, and what its compiler makes of them, find room: else it would be called wrong.

    Raises:
        SandboxFault: The folder is full, before the program has written anything.
    """
    disk = os.statvfs(work)
    if disk.f_bavail * disk.f_frsize < _ROOM_BYTES or (disk.f_files and disk.f_favail < _ROOM_FILES):
        raise SandboxFault(f"{work} is full: {disk.f_bavail * disk.f_frsize} bytes and {disk.f_favail} files are left")


def sealed_place(work: Path) -> Path:
    """The folder of finished executables: one at a time, beyond every program's own folder."""
    place = work / "sealed"
    place.mkdir(mode=0o711, exist_ok=True)
    return place


_SYSV_KINDS = ("shm", "sem", "msg")


def _sysv_ids(kind: str) -> list[int]:
    """Ids of the System V objects of this IPC namespace that are not root's."""
    try:
        lines = Path(f"/proc/sysvipc/{kind}").read_text().splitlines()
    except OSError:
        return []
    if len(lines) < 2:
        return []
    owner = lines[0].split().index("uid")
    return [int(fields[1]) for fields in map(str.split, lines[1:]) if fields[owner] != "0"]


def _remove_sysv(kind: str, ids: Iterable[int]) -> None:
    command = 0  # IPC_RMID
    for one in ids:
        if kind == "shm":
            libc.shmctl(one, command, None)
        elif kind == "sem":
            libc.semctl(one, 0, command)
        else:
            libc.msgctl(one, command, None)


def _become(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
