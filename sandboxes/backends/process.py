"""No isolation at all: programs run as the user who asked, under limits only. An explicit choice, named in results."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence

from sandboxes.backends import BackendOptions, Place
from sandboxes.backends.subprocesses import SupervisorProcess
from sandboxes.errors import SandboxUnavailable, WorkerFault
from sandboxes.payload import SUPERVISOR
from sandboxes.toolchains import toolchain
from sandboxes.workers import StreamWorker, Worker


def packages_of(languages: Iterable[str]) -> str:
    """Debian's packages of the toolchains of `languages`, as words of a command."""
    return " ".join(dict.fromkeys(package for language in languages for package in toolchain(language).packages))


def missing_toolchains(languages: Sequence[str]) -> list[str]:
    """Those of `languages` whose compiler is not on this machine's path."""
    return [language for language in languages if shutil.which(toolchain(language).command) is None]


def require_host_toolchains(languages: Sequence[str]) -> None:
    """Make sure that this machine has a compiler for each of `languages`.

    Raises:
        SandboxUnavailable: It lacks one; the message names its packages.
    """
    if missing := missing_toolchains(languages):
        raise SandboxUnavailable(
            f"this machine has no toolchain for {', '.join(missing)}: apt-get install {packages_of(missing)} "
            "(or use an image: `octopack sandbox build`, `octopack sandbox export`)"
        )


def host_environment() -> dict[str, str]:
    """What a supervisor on the host gets of this process's environment: nothing that could be a secret."""
    kept = ("PATH", "LANG", "TMPDIR", "JAVA_HOME", "GOROOT", "RUSTUP_HOME", "CARGO_HOME", "HOME", "XDG_CACHE_HOME")
    return {name: os.environ[name] for name in kept if name in os.environ}


def toolchains_digest(toolchains: Mapping[str, str]) -> str:
    """What stands for an image's id where there is no image: a hash over the toolchains' versions."""
    return "toolchains:" + hashlib.sha256(json.dumps(dict(sorted(toolchains.items()))).encode()).hexdigest()


class ProcessBackend:
    """Workers are child processes without any jail."""

    def __init__(self, languages: Sequence[str], options: BackendOptions) -> None:
        """Find the toolchains.

        Raises:
            SandboxUnavailable: One is missing.
        """
        if options.image or options.runtime or options.root:
            raise ValueError("the process backend takes no image, runtime or root")
        require_host_toolchains(languages)
        self._languages = tuple(languages)

    def served_by(self, language: str) -> str:
        """See `Backend`."""
        return "process"

    def place(self, toolchains: Mapping[str, str]) -> Place:
        """See `Backend`."""
        return Place("process", "/", toolchains_digest(toolchains), unsafe=True)

    def how_to_get(self, language: str) -> str:
        """See `Backend`."""
        return f"the {language} toolchain of this machine does not answer: apt-get install {packages_of([language])}"

    def cores(self) -> int:
        """See `Backend`."""
        return len(os.sched_getaffinity(0))

    def start(self, language: str) -> Worker:
        """See `Backend`."""
        command = [sys.executable, "-I", "-B", str(SUPERVISOR), "--jail", "none"]
        command += ["--languages", ",".join(self._languages)]
        try:
            return StreamWorker(SupervisorProcess(command, host_environment()))
        except OSError as error:
            raise WorkerFault(f"the supervisor did not start: {error}") from error
