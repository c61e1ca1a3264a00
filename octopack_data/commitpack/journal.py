"""Keeps results on disk in the order in which they come, so that an interrupted run goes on where it was."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO


class Journal:
    """Results of a unit on disk, in the order in which they came; it survives interruption at any byte.

    Args:
        path: the file.
        heading: what the results depend on; a file with another heading is begun anew.
        stands: which results of an interrupted run still stand; the others are asked for again.
    """

    def __init__(self, path: Path, heading: str, stands: Callable[[bytes], bool] = lambda result: True) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        self._changed = threading.Condition()
        self._end = 0
        first = heading.encode() + b"\n"
        if path.is_file():
            self._load(first, stands)
        self._file: IO[bytes] = path.open("r+b" if self._end else "w+b")
        self._file.truncate(self._end)
        if not self._end:
            self._append(first)

    def _load(self, first: bytes, stands: Callable[[bytes], bool]) -> None:
        """Take in the whole lines of an interrupted run, if it was a run over the same rows in the same way."""
        with self._path.open("rb") as file:
            if file.readline() != first:
                return
            self._end = len(first)
            for line in file:
                key, _, result = line.partition(b" ")
                if len(key) != 32 or not result.endswith(b"}\n"):
                    break
                if stands(result):
                    self._places[key.decode()] = (self._end + 33, len(result) - 1)
                self._end += len(line)

    def _append(self, data: bytes) -> int:
        place = self._end
        self._file.seek(place)
        self._file.write(data)
        self._file.flush()
        self._end += len(data)
        return place

    def __contains__(self, key: str) -> bool:
        """Say whether the result of a row is there."""
        return key in self._places

    def add(self, key: str, result: bytes) -> None:
        """Append a result (a JSON object)."""
        with self._changed:
            place = self._append(key.encode() + b" " + result + b"\n")
            self._places[key] = (place + 33, len(result))
            self._changed.notify_all()

    def wait_for(self, key: str, still_hope: Callable[[], bool]) -> bytes:
        """Return the result of a row, waiting until it comes; `still_hope` may raise to end the waiting."""
        with self._changed:
            while key not in self._places:
                still_hope()
                self._changed.wait(0.5)
            place, size = self._places[key]
            self._file.seek(place)
            return self._file.read(size)

    def wake(self) -> None:
        """Let the waiting look again."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Close the file."""
        with self._changed:
            self._file.close()
