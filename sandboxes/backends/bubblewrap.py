"""bubblewrap: rootless; every program gets namespaces of its own, on this machine's or an image's toolchains."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandboxes.backends import BackendOptions, Place
from sandboxes.backends.control_groups import ControlGroup
from sandboxes.backends.process import host_environment, packages_of, require_host_toolchains, toolchains_digest
from sandboxes.backends.subprocesses import SupervisorProcess
from sandboxes.errors import SandboxUnavailable, WorkerFault
from sandboxes.images import root_description
from sandboxes.payload import SUPERVISOR, WARM
from sandboxes.seccomp import bpf_filter
from sandboxes.supervisor.protocol import Limits
from sandboxes.workers import SPARE_MEMORY_BYTES, SPARE_PROCESSES, StreamWorker, Worker


def require_bubblewrap() -> None:
    """Make sure that bubblewrap is installed and may make namespaces.

    Raises:
        SandboxUnavailable: It is not, or the kernel forbids them to this user.
    """
    if shutil.which("bwrap") is None:
        raise SandboxUnavailable("bubblewrap is not installed: apt-get install bubblewrap")
    trial = subprocess.run(
        ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if trial.returncode != 0:
        raise SandboxUnavailable(
            f"bubblewrap cannot make namespaces here ({trial.stderr.strip()}): allow them to users with "
            "`sysctl -w kernel.unprivileged_userns_clone=1` (Debian) or "
            "`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu 24.04 and later)"
        )


class BubblewrapBackend:
    """Workers are supervisors on the host that put every program, and every compiler, into a bubblewrap of its own."""

    def __init__(self, languages: Sequence[str], options: BackendOptions) -> None:
        """Look for bubblewrap and the toolchains.

        Raises:
            SandboxUnavailable: Something is missing.
        """
        if options.image or options.runtime:
            raise ValueError("the bubblewrap backend takes a root (`octopack sandbox export`), no image and no runtime")
        require_bubblewrap()
        self._languages = tuple(languages)
        self._limits = options.limits or Limits()
        given = options.root or os.environ.get("OCTOPACK_SANDBOX_ROOT")
        self._root = Path(given).absolute() if given else None
        if self._root is None:
            require_host_toolchains(languages)
        elif not (self._root / "usr" / "bin").is_dir():
            raise SandboxUnavailable(f"{self._root} is no image root: make one with `octopack sandbox export FOLDER`")

    def served_by(self, language: str) -> str:
        """See `Backend`."""
        return "bubblewrap"

    def place(self, toolchains: Mapping[str, str]) -> Place:
        """See `Backend`."""
        described = root_description(self._root) if self._root else None
        digest = described[1] if described else toolchains_digest(toolchains)
        return Place("bubblewrap", str(self._root or "/"), digest)

    def how_to_get(self, language: str) -> str:
        """See `Backend`."""
        if self._root:
            return f"{self._root} has no working {language} toolchain: export an image that has it"
        return f"the {language} toolchain of this machine does not answer: apt-get install {packages_of([language])}"

    def cores(self) -> int:
        """See `Backend`."""
        return len(os.sched_getaffinity(0))

    def start(self, language: str) -> Worker:
        """See `Backend`."""
        command = [sys.executable, "-I", "-B", str(SUPERVISOR), "--jail", "bwrap", "--seccomp", str(_filter_file())]
        command += ["--languages", ",".join(self._languages)]
        if self._root:
            command += ["--root", str(self._root), "--warm", WARM]
        group = ControlGroup.make(
            self._limits.processes + SPARE_PROCESSES, self._limits.memory_bytes + SPARE_MEMORY_BYTES
        )
        try:
            return StreamWorker(SupervisorProcess(command, host_environment(), group))
        except OSError as error:
            raise WorkerFault(f"the supervisor did not start: {error}") from error


@functools.cache
def _filter_file() -> Path:
    """The system call filter as a file that lives as long as this process."""
    file = tempfile.NamedTemporaryFile(prefix="octopack-seccomp-", suffix=".bpf")  # noqa: SIM115
    file.write(bpf_filter())
    file.flush()
    _open_filters.append(file)
    return Path(file.name)


_open_filters: list[object] = []
