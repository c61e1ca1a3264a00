"""What works on this machine, what does not, and how to mend it: `octopack doctor`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandboxes.backends import BackendName
from sandboxes.backends.process import missing_toolchains, packages_of
from sandboxes.environment import octopack_version
from sandboxes.errors import SandboxUnavailable
from sandboxes.sandbox import open_sandbox
from sandboxes.supervisor.protocol import LANGUAGES


@dataclass(frozen=True)
class Finding:
    """One fact about this machine.

    Attributes:
        subject: What it is about.
        works: Whether it is as it should be.
        detail: What was found, and where it is not right how to mend it.
        complete: Whether this alone lets every language run.
    """

    subject: str
    works: bool
    detail: str
    complete: bool = False


def diagnose() -> Iterator[Finding]:
    """Look at tools, sandboxes and languages, quick ones first."""
    yield Finding("octopack", True, octopack_version())
    yield _tried("docker", _docker_version)
    yield _tried("bubblewrap", _bubblewrap_version)
    yield _mmdebstrap()
    if root := os.environ.get("OCTOPACK_SANDBOX_ROOT"):
        yield Finding("OCTOPACK_SANDBOX_ROOT", True, f"bubblewrap runs programs in {root}")
    else:
        missing = missing_toolchains(LANGUAGES)
        yield Finding(
            "toolchains of this machine",
            not missing,
            f"missing {', '.join(missing)} (apt-get install {packages_of(missing)}); only bubblewrap needs them"
            if missing
            else "all",
        )
    for backend in ("docker", "bubblewrap"):
        yield from _languages(backend)


def _languages(backend: BackendName) -> Iterator[Finding]:
    """Each language tried on a backend: all at once, and one by one only where that does not work."""
    try:
        with open_sandbox(backend, LANGUAGES, cache=False) as sandbox:
            toolchains = sandbox.environment.toolchains.items()
    except SandboxUnavailable:
        pass
    else:
        for language, version in toolchains:
            yield Finding(f"{backend} {language}", True, version)
        yield Finding(backend, True, "runs every language", complete=True)
        return
    for language in LANGUAGES:
        try:
            with open_sandbox(backend, [language], workers=1, cache=False) as sandbox:
                yield Finding(f"{backend} {language}", True, sandbox.environment.toolchains[language])
        except SandboxUnavailable as error:
            yield Finding(f"{backend} {language}", False, str(error))


def _tried(subject: str, version: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, version())
    except SandboxUnavailable as error:
        return Finding(subject, False, str(error))


def _docker_version() -> str:
    from sandboxes.backends.docker import connect

    client = connect()
    information = client.version()
    client.close()
    return f"engine {information['Version']}"


def _bubblewrap_version() -> str:
    from sandboxes.backends.bubblewrap import require_bubblewrap

    require_bubblewrap()
    return "installed, and may make namespaces"


def _mmdebstrap() -> Finding:
    if shutil.which("mmdebstrap"):
        return Finding("mmdebstrap", True, "installed")
    return Finding("mmdebstrap", False, "apt-get install mmdebstrap; only needed to build images without a registry")
