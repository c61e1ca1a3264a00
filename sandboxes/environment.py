"""Where programs were judged: what a result must name so that someone else can repeat it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sandboxes.supervisor.protocol import Limits


def octopack_version() -> str:
    """The installed version of this distribution."""
    try:
        return version("octopack")
    except PackageNotFoundError:
        return "0+unknown"


@dataclass(frozen=True)
class Environment:
    """What a sandbox runs programs with.

    Attributes:
        backend: "docker", "bubblewrap", "process", or "ray (docker)" and the like.
        image: The image's name, or the root folder whose toolchains are used ("/" is this machine's own).
        digest: What identifies it: the image's id, or a hash of the root's toolchain versions.
        toolchains: Language -> its compiler's or interpreter's own version line.
        octopack_version: This package's version.
        limits: What `open_sandbox` was given for programs that bring no limits; None: each language's defaults.
        workers: How many programs run at once.
        runtime: The container runtime asked for; None: the daemon's default.
        unsafe: Whether programs ran without isolation (`process`).
    """

    backend: str
    image: str
    digest: str
    toolchains: Mapping[str, str]
    octopack_version: str
    limits: Limits | None
    workers: int
    runtime: str | None = None
    unsafe: bool = False

    def to_json(self) -> dict[str, Any]:
        """The environment as JSON values."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        limits = dataclasses.asdict(self.limits) if self.limits else None
        return {**values, "toolchains": dict(self.toolchains), "limits": limits}
