"""A program's folder and identity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Box:
    """One program's folder and identity (`uid` is the program's, `uid + 1` its compiler's)."""

    path: Path
    uid: int

    def write(self, name: str, data: bytes) -> Path:
        """Put a file into the folder."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path
