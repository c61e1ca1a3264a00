"""A control group around a worker on the host: its processes and its memory, where the user may make one.

The kernel does not hold root to `RLIMIT_NPROC`, so without this a fork bomb of a program that root runs in bubblewrap
could fill the machine's table of processes before anyone looks. And no limit on a process counts what lies in memory as
a file, or grows between two looks.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from sandboxes.backends.owners import start_time

_HIERARCHIES = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
"""Where the controllers lie: version 1, which has a place for each, and version 2."""
_NAME = "octopack-"

ENTER = 'IFS=:; for folder in $0; do echo $$ > "$folder/cgroup.procs" || exit 1; done; exec "$@"'
"""A shell's script that takes a group's `path` and a command, and runs the command inside the group."""


class ControlGroup:
    """A group of processes that has limits as a whole; a folder for each controller, or one for all."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)

    @property
    def path(self) -> str:
        """Its folders as one text, for `ENTER`."""
        return ":".join(map(str, self.folders))

    @classmethod
    def make(cls, processes: int, memory_bytes: int) -> ControlGroup | None:
        """A new group for so many processes and threads and so much memory; None where this user may not make one."""
        limits = {"pids.max": processes, "memory.limit_in_bytes": memory_bytes, "memory.max": memory_bytes}
        # Containers that share these folders number their processes each for itself: the number alone is not unique.
        name = f"{_NAME}{os.getpid()}-{secrets.token_hex(4)}"
        folders: list[Path] = []
        for parent in filter(Path.is_dir, _HIERARCHIES):
            _remove_orphans(parent)
            folder = parent / name
            try:
                folder.mkdir()
                for file in filter(Path.exists, map(folder.joinpath, limits)):
                    file.write_text(str(limits[file.name]))
                    folders += [folder] * (folder not in folders)
            except OSError:
                pass
            if folder not in folders:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        return cls(folders) if folders else None

    def remove(self) -> None:
        """End every process of the group, and the group."""
        for folder in self.folders:
            self._remove(folder)

    @staticmethod
    def _remove(folder: Path) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                left = (folder / "cgroup.procs").read_text().split()
            except OSError:
                return
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(int(pid), signal.SIGKILL)
            if not left:
                # processes that have ended but were not waited for still hold the group for a moment
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    return
            time.sleep(0.02)


def _remove_orphans(parent: Path) -> None:
    """Remove the empty groups of processes that were killed before they could."""
    for folder in parent.glob(f"{_NAME}*"):
        if start_time(folder.name.removeprefix(_NAME).partition("-")[0]) is None:
            with contextlib.suppress(OSError):
                folder.rmdir()
