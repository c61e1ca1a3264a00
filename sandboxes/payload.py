"""The supervisor as it is sent into a sandbox: injected at every start, so that a new version needs no new image."""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
from pathlib import Path

SUPERVISOR = Path(__file__).parent / "supervisor"
WARM = "/opt/octopack/warm"
"""In an image: what the supervisor prepared when the image was built."""
WORK = "/work"
"""In a container: where programs lie and run."""


@functools.cache
def supervisor_files() -> dict[str, bytes]:
    """Path below the folder that holds `sandboxes` -> content, for every file that the supervisor consists of."""
    files = (path for path in sorted(SUPERVISOR.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    root = SUPERVISOR.parents[1]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@functools.cache
def supervisor_hash() -> str:
    """What verdicts depend on besides program and toolchains: a hash over the supervisor's files."""
    digest = hashlib.sha256()
    for name, content in supervisor_files().items():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@functools.cache
def supervisor_zip() -> bytes:
    """The supervisor's files as a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in supervisor_files().items():
            archive.writestr(name, content)
    return buffer.getvalue()
