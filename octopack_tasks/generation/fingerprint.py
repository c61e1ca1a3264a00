"""What identifies the weights of a model: a commit of the hub, or the content of a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = 1 << 12
_BLOCKS = 1 << 8
"""So many blocks of a file are read, from all over it, so that weights of any size take no time: training changes
nearly every number of them, and leaves their size as it was. Smaller files are read whole."""


def fingerprint(model: str, config: Any) -> str | None:
    """The hub's commit of a model, or a hash of the folder it lies in.

    Args:
        model: Name on the hub or folder.
        config: The configuration as transformers loaded it.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        commit = getattr(config, "_commit_hash", None)
        return str(commit) if commit else None
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file():
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            for block in _blocks(path):
                digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def _blocks(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _BLOCK * _BLOCKS:
            yield file.read()
            return
        for number in range(_BLOCKS):
            file.seek((size - _BLOCK) * number // (_BLOCKS - 1))
            yield file.read(_BLOCK)
