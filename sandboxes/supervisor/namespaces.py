"""The jail without privileges: every program in namespaces of its own, made inside one outer bubblewrap.

`enter_outer` starts the supervisor again inside `bwrap`: a file system of read-only system folders and empty ones, no
network, and, in that user namespace only, the rights of root. From there `NamespaceJail` gives each command fresh PID,
network, IPC, UTS, cgroup, mount and user namespaces, empty `/tmp`, `/dev/shm` and `/work` but for its own folder, no
capability and a system call filter. The first process of the PID namespace is ours: when the command has ended it
ends too, and with it the kernel ends all that is left.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import stat
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from .box import Box
from .jails import sealed_place
from .processes import Command, SandboxFault, fork_sibling, libc

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_SLAVE = (
    1,
    2,
    4,
    8,
    32,
    4096,
    16384,
    0x80000,
)
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 24, 38
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_MNT_DETACH = 2
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_INSIDE_UID = 1000
_BOX = "size=1g,nr_inodes=50k,mode=700"  # A program's folder while it is compiled.
_KERNEL_SETTINGS = ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi", "mtrr", "driver")
"""Below /proc: where the kernel takes orders from root, and a program that root started is root to the kernel."""
_SIGNAL_BASE = 128
_NOBODY = 65_534
_NOBODYS_CACHE = Path("/var/tmp/octopack-warm-nobody")

CACHE = Path("/octopack/cache")
"""Inside: where prepared things are kept between supervisors."""
_WORK = Path("/work")
_SETTINGS = ("ld.so.cache", "alternatives", "localtime", "ssl/openssl.cnf")
"""What toolchains need of /etc; the rest may be secret."""
_HOSTS = b"127.0.0.1 localhost\n::1 localhost\n"
"""All that a name server or file need know here; containers are given the same."""
_OWN_FOLDERS = ("dev", "etc", "home", "octopack", "proc", "root", "run", "sys", "tmp", "var", "work")
"""What of an exported root is not taken: made anew, or nobody's business."""
_PLACE = Path("/octopack/sandboxes")


def enter_outer(arguments: Sequence[str], root: Path | None, seccomp: Path | None, cache: Path) -> NoReturn:
    """Become the same supervisor inside an outer bubblewrap; `--jail bwrap` is then `--jail namespaces`.

    Args:
        arguments: The supervisor's other arguments.
        root: The root of an exported image; None: this machine's own system folders.
        seccomp: A file with a system call filter (BPF) for programs.
        cache: A folder for prepared things.
    """
    here = Path(__file__).resolve().parent
    filter_fd = None if seccomp is None else os.open(seccomp, os.O_RDONLY)
    own_python = [Path(sys.prefix) / "lib", Path(sys.executable).resolve()]
    needed = [here / "protocol.py", *([root / "usr"] if root is not None else own_python)]
    cache = _leave_root(needed) or cache
    cache.mkdir(parents=True, exist_ok=True)
    command = [
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--uid",
        "0",
        "--gid",
        "0",
        "--cap-add",
        "ALL",
        "--clearenv",
    ]
    if root is not None:
        for path in sorted(root.iterdir()):
            if path.is_symlink():
                command += ["--symlink", str(path.readlink()), f"/{path.name}"]
            elif path.is_dir() and path.name not in _OWN_FOLDERS:
                command += ["--ro-bind", str(path), f"/{path.name}"]
        python = "/usr/bin/python3"
    else:
        for folder in ("usr", "bin", "sbin", "lib", "lib64", "lib32"):
            path = Path("/") / folder
            if path.is_symlink():
                command += ["--symlink", str(path.readlink()), str(path)]
            elif path.is_dir():
                command += ["--ro-bind", str(path), str(path)]
        python = sys.executable
    settings = (root or Path("/")) / "etc"
    for name in (*_SETTINGS, *(entry.name for entry in settings.glob("java-*"))):
        command += ["--ro-bind-try", str(settings / name), f"/etc/{name}"]
    command += ["--ro-bind-data", str(_readable(_HOSTS)), "/etc/hosts"]
    command += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/dev/shm", "--tmpfs", str(_WORK)]
    command += [
        "--tmpfs",
        "/octopack",
        "--ro-bind",
        str(here),
        str(_PLACE / "supervisor"),
        "--bind",
        str(cache),
        str(CACHE),
    ]
    if root is None:
        # After the empty folders, which would cover an interpreter that is installed below one of them.
        if not Path(sys.base_prefix).resolve().is_relative_to("/usr"):
            command += ["--ro-bind", sys.base_prefix, sys.base_prefix]
        if sys.prefix != sys.base_prefix:  # a virtual environment runs from any place
            command += ["--ro-bind", sys.prefix, str(_PLACE / "venv")]
            python = str(_PLACE / "venv" / Path(sys.executable).relative_to(sys.prefix))
    search = "/usr/local/bin:/usr/bin:/bin" if root is not None else os.environ.get("PATH", os.defpath)
    command += ["--setenv", "PATH", search, "--setenv", "LANG", "C.UTF-8", "--chdir", "/"]
    # Nothing of the outer sandbox itself may be written by a program: the next one would find it.
    command += ["--tmpfs", "/var/tmp"]
    last = ["--remount-ro", "/octopack", "--remount-ro", "/dev", "--remount-ro", "/"]
    inner = [python, "-I", "-B", str(_PLACE / "supervisor"), "--jail", "namespaces", "--work", str(_WORK), *arguments]
    if filter_fd is not None:
        os.set_inheritable(filter_fd, True)
        command += ["--ro-bind-data", str(filter_fd), "/octopack/filter"]
        inner += ["--seccomp", "/octopack/filter"]
    os.execvp(command[0], [*command, *last, "--", *inner])


def _readable(data: bytes) -> int:
    """A descriptor from which a program that we become reads a few bytes."""
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    os.set_inheritable(read, True)
    return read


def _leave_root(needed: Sequence[Path]) -> Path | None:
    """Go on as nobody where this is the machine's root, whose processes the kernel does not count; nobody's cache.

    None where this is not root, or where nobody cannot read what is needed: then only our own watching counts.
    """
    if os.getuid() != 0:
        return None
    probe = os.fork()
    if probe == 0:
        _become_nobody()
        os._exit(0 if all(os.access(path, os.R_OK) for path in needed) else 1)
    if os.waitpid(probe, 0)[1] != 0:
        return None
    with contextlib.suppress(FileExistsError):
        _NOBODYS_CACHE.mkdir(mode=0o700)
        os.chown(_NOBODYS_CACHE, _NOBODY, _NOBODY)
    status = _NOBODYS_CACHE.lstat()
    if status.st_uid != _NOBODY or not stat.S_ISDIR(status.st_mode):
        raise SandboxFault(f"{_NOBODYS_CACHE} is not nobody's folder: remove it")
    _become_nobody()
    return _NOBODYS_CACHE


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)


class NamespaceJail:
    """Fresh namespaces for every command; needs to be root in a user namespace of its own (see `enter_outer`)."""

    counts_processes = True
    has_uids = False
    runs_unread = True

    def __init__(self, work: Path, seccomp: Path | None) -> None:
        self.work = work
        self._count = 0
        self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._filter = b"" if seccomp is None else seccomp.read_bytes()
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)

    @contextlib.contextmanager
    def box(self) -> Iterator[Box]:
        """See `Jail`."""
        self._count += 1
        path = self.work / f"p{self._count}"
        path.mkdir(mode=0o700)
        # A file system of its own has an end, and goes as a whole, whatever the program made of it.
        _mount("tmpfs", str(path), "tmpfs", _MS_NOSUID | _MS_NODEV, _BOX)
        try:
            yield Box(path, 0)
        finally:
            _check("umount", libc.umount2(str(path).encode(), _MNT_DETACH))
            path.rmdir()

    def fork(self, own_child: bool) -> int:
        """See `Jail`."""
        # The next child is the first process of a new PID namespace; this process itself stays where it is.
        _check("unshare", libc.unshare(_NEWPID))
        pid = os.fork() if own_child else fork_sibling()
        if pid > 0:  # Later children that are ours, a compiler server say, belong where this process is.
            _check("setns", libc.setns(self._own_pids, _NEWPID))
        return pid

    def enter(self, box: Box, command: Command) -> None:
        """See `Jail`."""
        _check("unshare", libc.unshare(_NEWNS | _NEWCGROUP | _NEWUTS | _NEWIPC | _NEWNET))
        _mount(None, "/", None, _MS_REC | _MS_SLAVE)
        size = f"size={command.use.file_bytes},nr_inodes=20000,mode=1777"
        if not command.compiler:
            _raise_loopback()
            full = os.statvfs(box.path)
            used = (full.f_blocks - full.f_bfree) * full.f_frsize
            flags = _MS_REMOUNT | _MS_NOSUID | _MS_NODEV
            _mount(None, str(box.path), None, flags, f"size={used + command.use.file_bytes}")
        sealed = sealed_place(self.work)
        kept = [(path, os.open(path, os.O_PATH | os.O_DIRECTORY)) for path in (box.path, sealed)]
        _mount("tmpfs", str(self.work), "tmpfs", _MS_NOSUID | _MS_NODEV, "size=64k,mode=755")
        for path, fd in kept:
            path.mkdir()
            _mount(f"/proc/self/fd/{fd}", str(path), None, _MS_BIND)
            os.close(fd)
        # So that its owner, which every program here is to the kernel, cannot make it readable.
        _mount(None, str(sealed), None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
        _mount(None, str(self.work), None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
        if CACHE.is_dir():
            _mount(str(CACHE), str(CACHE), None, _MS_BIND)
            _mount(None, str(CACHE), None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
        for folder in ("/tmp", "/var/tmp", "/dev/shm"):
            _mount("tmpfs", folder, "tmpfs", _MS_NOSUID | _MS_NODEV, size)
        _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
        for name in _KERNEL_SETTINGS:
            if (path := Path("/proc", name)).exists():
                _mount(str(path), str(path), None, _MS_BIND | _MS_REC)
                flags = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
                _mount(None, str(path), None, _MS_REMOUNT | _MS_BIND | flags)
        _check("unshare", libc.unshare(_NEWUSER))
        for name, text in (("setgroups", "deny"), ("uid_map", f"{_INSIDE_UID} 0 1"), ("gid_map", f"{_INSIDE_UID} 0 1")):
            Path(f"/proc/self/{name}").write_text(text)
        _become_init()
        _drop_capabilities()
        os.chdir(box.path)

    def lock(self) -> None:
        """The last step before the program runs: no new privileges, and only the filter's system calls."""
        _check("no_new_privs", libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        if self._filter:
            code = ctypes.create_string_buffer(self._filter, len(self._filter))
            program = struct.pack("HxxxxxxP", len(self._filter) // 8, ctypes.addressof(code))
            _check(
                "seccomp", libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.create_string_buffer(program), 0, 0)
            )

    def kill(self, box: Box, pids: Iterable[int]) -> None:
        """See `Jail`."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def give(self, box: Box) -> None:
        """See `Jail`."""

    def seal(self, box: Box, path: Path) -> Path:
        """See `Jail`."""
        sealed = sealed_place(self.work) / path.name
        shutil.copyfile(path, sealed, follow_symlinks=False)  # From one file system to another.
        sealed.chmod(0o111)
        return sealed

    def strays(self, box: Box) -> bool:
        """See `Jail`."""
        return False  # They end with the first process of their namespace.

    def exit_code(self, status: int) -> int:
        """See `Jail`."""
        code = os.waitstatus_to_exitcode(status)
        return _SIGNAL_BASE - code if code > _SIGNAL_BASE else code


def _become_init() -> None:
    """Go on in a child; the parent stays behind as the first process of the PID namespace until the child has ended."""
    main = os.fork()
    if main == 0:
        return
    # The child could otherwise send it signals that Python turns into exceptions, or read what it has open.
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    os.closerange(0, 1024)
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            os._exit(1)
        if pid == main:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else min(255, _SIGNAL_BASE - code))


def _raise_loopback() -> None:
    """Let programs talk to themselves: in a new network namespace not even that works."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))


def _drop_capabilities() -> None:
    for capability in range(64):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION_3, 0))
    _check("capset", libc.capset(header, ctypes.create_string_buffer(24)))


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    encoded = [None if text is None else text.encode() for text in (source, target, kind)]
    _check(f"mount {target}", libc.mount(*encoded, flags, options.encode() or None))


def _check(what: str, result: int) -> None:
    if result != 0:
        raise SandboxFault(f"{what}: {os.strerror(ctypes.get_errno())}")
