"""What identifies the weights of a model: a commit of the hub, or the content of a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

_READ_WHOLE = 1 << 20
"""Files up to this size are read; of larger ones, the weights, the size counts: hashing them takes minutes."""


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
            size = path.stat().st_size
            content = path.read_bytes() if size <= _READ_WHOLE else b""
            digest.update(f"{path.name}\0{size}\0".encode() + content)
    return f"sha256:{digest.hexdigest()}"
