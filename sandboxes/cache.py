"""Verdicts that are already known: a SQLite file keyed by everything a verdict depends on."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import sqlite3
import tempfile
import threading
from pathlib import Path

from sandboxes.supervisor.protocol import Limits, Program, Status, Verdict

_log = logging.getLogger(__name__)


def cache_path() -> Path:
    """Where verdicts are kept: `$OCTOPACK_CACHE`, else `$XDG_CACHE_HOME/octopack`, else `~/.cache/octopack`."""
    if folder := os.environ.get("OCTOPACK_CACHE"):
        return Path(folder) / "verdicts.sqlite3"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "octopack" / "verdicts.sqlite3"


def program_key(program: Program, environment: str) -> str:
    """What identifies a verdict: the program, its limits, and `environment` (image, toolchains, supervisor)."""
    limits = dataclasses.asdict(program.limits) if program.limits else None
    head = json.dumps([environment, program.language, program.test_offset, limits])
    # surrogates that stand alone are legal in a str and illegal in UTF-8: they must not end a run
    return hashlib.sha256(head.encode() + b"\0" + program.source.encode("utf-8", "surrogatepass")).hexdigest()


def is_lasting(verdict: Verdict, limits: Limits) -> bool:
    """Whether the same program would get the same verdict on another day.

    A fault says nothing about the program, and a program stopped by the wall clock before its CPU time was spent may
    have suffered from a busy machine.
    """
    if verdict.status is Status.SANDBOX_ERROR:
        return False
    if verdict.status is not Status.TIMEOUT:
        return True
    spent = max(verdict.run_seconds / limits.cpu_seconds, verdict.compile_seconds / limits.compile_cpu_seconds)
    return spent > 0.9


class VerdictCache:
    """Verdicts by key, on disk; for any number of threads and processes at once.

    A cache that cannot be read or written (a full disk, a damaged file) is a warning, never the end of a run.
    """

    def __init__(self, path: Path | None) -> None:
        """Open `path`, or with None a file of our own that goes away with the cache."""
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        try:
            if path is None:
                # SQLite's name for a private database on disk, deleted when closed
                self._connection = self._open("")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    self._connection = self._open(str(path))
                except sqlite3.DatabaseError as error:
                    if isinstance(error, sqlite3.OperationalError):
                        raise
                    aside = Path(tempfile.mkdtemp(prefix="damaged-", dir=path.parent)) / path.name
                    path.replace(aside)
                    _log.warning("the verdict cache was damaged and begins anew; the old file is %s", aside)
                    self._connection = self._open(str(path))
        except (OSError, sqlite3.Error) as error:
            _log.warning("verdicts are not cached: %s cannot be opened (%s)", path, error)

    @staticmethod
    def _open(name: str) -> sqlite3.Connection:
        connection = sqlite3.connect(name, timeout=30, check_same_thread=False, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # a verdict lost to a power cut is run again: not worth a disk flush each
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, verdict TEXT) WITHOUT ROWID")
        except BaseException:
            connection.close()
            raise
        return connection

    def get(self, key: str) -> Verdict | None:
        """The verdict known for `key`, marked as cached."""
        with self._lock:
            if self._connection is None:
                return None
            try:
                row = self._connection.execute("SELECT verdict FROM verdicts WHERE key = ?", (key,)).fetchone()
            except sqlite3.Error as error:
                self._give_up(error)
                return None
        if row is None:
            return None
        try:
            return dataclasses.replace(Verdict.from_json(json.loads(row[0])), cached=True)
        except (TypeError, ValueError, KeyError):
            # written by another version
            return None

    def put(self, key: str, verdict: Verdict) -> None:
        """Remember `verdict`."""
        with self._lock:
            if self._connection is None:
                return
            try:
                self._connection.execute(
                    "INSERT OR REPLACE INTO verdicts VALUES (?, ?)", (key, json.dumps(verdict.to_json()))
                )
            except sqlite3.Error as error:
                self._give_up(error)

    def _give_up(self, error: sqlite3.Error) -> None:
        _log.warning("verdicts are no longer cached in this run: %s", error)
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
