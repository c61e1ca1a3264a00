"""Removes what a program leaves, whatever it made of it."""

from __future__ import annotations

import contextlib
import os
import stat
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
    with contextlib.suppress(OSError):
        _flatten(path)
        path.rmdir()
    if os.path.lexists(path):
        raise SandboxFault(f"{path} of the program cannot be removed")


def _flatten(top: Path) -> None:
    """Empty a folder: every folder in it becomes ours before its own folders are moved up to `top`.

    So neither missing permissions nor a depth beyond all path names is in the way, and no link is followed.
    """
    parent = os.open(top.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        folder = _own(top.name, parent)
    finally:
        os.close(parent)
    try:
        while names := os.listdir(folder):  # noqa: PTH208 - a descriptor, which pathlib does not take
            for name in names:
                if not _is_folder(name, folder):
                    os.unlink(name, dir_fd=folder)
                    continue
                inner = _own(name, folder)
                try:
                    for entry in os.listdir(inner):  # noqa: PTH208 - likewise
                        if _is_folder(entry, inner):
                            os.close(_own(entry, inner))
                            os.rename(entry, os.urandom(16).hex(), src_dir_fd=inner, dst_dir_fd=folder)
                        else:
                            os.unlink(entry, dir_fd=inner)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=folder)
    finally:
        os.close(folder)


def _is_folder(name: str, parent: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


def _own(name: str, parent: int) -> int:
    """Open a folder after it has become ours, with every right to it; nothing runs any more that could swap it."""
    os.chown(name, os.getuid(), os.getgid(), dir_fd=parent, follow_symlinks=False)
    os.chmod(name, 0o700, dir_fd=parent)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
