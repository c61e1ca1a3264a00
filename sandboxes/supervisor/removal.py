"""Removes what a program leaves, whatever it made of it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

from .processes import SandboxFault


def remove(path: Path) -> None:
    """Remove a file or a folder, whatever a program made of it; nothing of the program runs any more."""
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return
        for entry in os.scandir(path):
            if not entry.is_dir(follow_symlinks=False):
                Path(entry.path).unlink()
        path.rmdir()
        return
    # Folders of other owners, without permissions, or too deep for path names: a root that may change owners owns them.
    script = 'chown -hR "$(id -u):$(id -g)" -- "$1"; chmod -R u+rwX -- "$1"; rm -rf -- "$1"'
    subprocess.run(["sh", "-c", script, "sh", str(path)], check=False, stderr=subprocess.DEVNULL)
    if os.path.lexists(path):
        raise SandboxFault(f"{path} of the program cannot be removed")
