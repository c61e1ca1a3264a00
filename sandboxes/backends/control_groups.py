"""A control group around a worker on the host: how many processes its programs may have, where the user may make one.

The kernel does not hold root to `RLIMIT_NPROC`, so without this a fork bomb of a program that root runs in bubblewrap
could fill the machine's table of processes before anyone looks.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from pathlib import Path

_HIERARCHIES = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))
"""Where the pids controller lies: version 1, then version 2."""
_NAME = "octopack-"
_numbers = itertools.count()

ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
"""A shell's script that takes a group's folder and a command, and runs the command inside the group."""


class ControlGroup:
    """A group of processes with a largest number of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def make(cls, processes: int) -> ControlGroup | None:
        """A new group for at most `processes` processes and threads; None where this user may not make one."""
        for parent in filter(Path.is_dir, _HIERARCHIES):
            _remove_orphans(parent)
            folder = parent / f"{_NAME}{os.getpid()}-{next(_numbers)}"
            try:
                folder.mkdir()
                (folder / "pids.max").write_text(str(processes))
            except OSError:
                with contextlib.suppress(OSError):
                    folder.rmdir()
                continue
            return cls(folder)
        return None

    def remove(self) -> None:
        """End every process of the group, and the group."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                left = (self.folder / "cgroup.procs").read_text().split()
            except OSError:
                return
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(int(pid), signal.SIGKILL)
            if not left:
                # processes that have ended but were not waited for still hold the group for a moment
                with contextlib.suppress(OSError):
                    self.folder.rmdir()
                    return
            time.sleep(0.02)


def _remove_orphans(parent: Path) -> None:
    """Remove the empty groups of processes that were killed before they could."""
    for folder in parent.glob(f"{_NAME}*"):
        pid = folder.name.removeprefix(_NAME).partition("-")[0]
        if not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):
                folder.rmdir()
