"""The ways to isolate a supervisor, behind one protocol, and the choice between them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sandboxes.errors import SandboxUnavailable
from sandboxes.supervisor.protocol import Limits
from sandboxes.workers import Worker

BackendName = Literal["auto", "docker", "bubblewrap", "process", "ray"]
BACKENDS = ("auto", "docker", "bubblewrap", "process", "ray")


@dataclass(frozen=True)
class Place:
    """What tells one place where programs run from another; see `Environment` for the fields."""

    backend: str
    image: str
    digest: str
    runtime: str | None = None
    unsafe: bool = False


@dataclass(frozen=True)
class BackendOptions:
    """What `open_sandbox` was asked for beyond a backend's name; see there."""

    image: str | None = None
    runtime: str | None = None
    root: str | os.PathLike[str] | None = None
    unsafe: bool = False
    limits: Limits | None = None


class Backend(Protocol):
    """Starts workers. Made only once everything it needs was found; its constructor raises SandboxUnavailable."""

    def served_by(self, language: str) -> str:
        """The kind of worker that serves `language`: languages of one kind share their workers."""

    def start(self, language: str) -> Worker:
        """Start a worker that serves `language`; called from several threads at once.

        Raises:
            WorkerFault: It did not come up.
            SandboxUnavailable: It cannot come up.
        """

    def place(self, toolchains: Mapping[str, str]) -> Place:
        """Where its workers run programs, given the toolchains that they reported."""

    def how_to_get(self, language: str) -> str:
        """What to tell the user where `language` has no toolchain."""

    def cores(self) -> int:
        """How many workers it can keep busy."""


def choose_backend(name: BackendName | None, languages: Sequence[str], options: BackendOptions) -> Backend:
    """The backend called `name`, made ready for `languages`.

    Raises:
        SandboxUnavailable: It cannot work here.
        ValueError: There is no such backend, or the options do not fit it.
    """
    from_environment = os.environ.get("OCTOPACK_SANDBOX")
    chosen = name or from_environment or "auto"
    if chosen not in BACKENDS:
        where = "" if name else " in OCTOPACK_SANDBOX"
        raise ValueError(f"unknown sandbox {chosen!r}{where}: choose from {', '.join(BACKENDS)}")
    if chosen == "docker":
        from sandboxes.backends.docker import DockerBackend

        return DockerBackend(languages, options)
    if chosen == "bubblewrap":
        from sandboxes.backends.bubblewrap import BubblewrapBackend

        return BubblewrapBackend(languages, options)
    if chosen == "ray":
        from sandboxes.backends.ray import RayBackend

        return RayBackend(languages, options)
    if chosen == "process":
        # naming it in the environment is as explicit as the argument
        if not (options.unsafe or (name is None and from_environment == "process")):
            raise ValueError(
                "the process backend runs programs with no isolation at all: say unsafe=True if you mean it"
            )
        from sandboxes.backends.process import ProcessBackend

        return ProcessBackend(languages, options)
    return _first_that_works(languages, options)


def wanted_runtime(options: BackendOptions) -> str | None:
    """The container runtime that was asked for, here or in the environment; None: the daemon's default."""
    return options.runtime or os.environ.get("OCTOPACK_SANDBOX_RUNTIME") or None


def _first_that_works(languages: Sequence[str], options: BackendOptions) -> Backend:
    """Docker where a daemon has the image, else bubblewrap."""
    wants_bubblewrap = options.root is not None
    wants_docker = options.image is not None or (wanted_runtime(options) is not None and not wants_bubblewrap)
    reasons: list[str] = []
    for name in ("docker", "bubblewrap"):
        if (name == "docker" and wants_bubblewrap) or (name == "bubblewrap" and wants_docker):
            continue
        try:
            return choose_backend(name, languages, options)
        except SandboxUnavailable as error:
            reasons.append(f"{name}: {error}")
    raise SandboxUnavailable("no sandbox for " + ", ".join(languages) + " here. " + " | ".join(reasons))
