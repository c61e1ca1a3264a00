"""Keeps requests to a host slow enough to be welcome: a rate, a number of connections, and pauses when it says so."""

from __future__ import annotations

import random
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPMessage
from typing import IO

from octopack_data.commitpack.git import Failure, GitError
from octopack_data.errors import DataError

_PROBE_SECONDS = 15.0
_REFUSALS = {
    Failure.UNREACHABLE: "cannot be reached",
    Failure.RATE_LIMITED: "keeps limiting the rate",
    Failure.PRIVATE: "does not accept the token",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard a host may be asked.

    Attributes:
        per_second: requests that may start in a second; 0 for no limit.
        connections: requests under way at a time.
        attempts: tries of one request before its failure is recorded.
        backoff: seconds before the second try; doubled each time, and longer when the server says how long.
        longest: the longest such pause.
        give_up_after: failures in a row that are the host's (out of reach, limiting, token refused) that end the run.
    """

    per_second: float = 0.0
    connections: int = 8
    attempts: int = 5
    backoff: float = 2.0
    longest: float = 600.0
    give_up_after: int = 5


class HostGate:
    """The one door through which a process asks a host."""

    def __init__(self, host: str, pace: Pace) -> None:
        self.host = host
        self._pace = pace
        self._lock = threading.Lock()
        self._seats = threading.BoundedSemaphore(pace.connections)
        self._next_start = 0.0
        self._refusals = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """Wait for a seat and for the moment at which the next request may start."""
        with self._seats:
            with self._lock:
                now = time.monotonic()
                start = max(now, self._next_start)
                if self._pace.per_second:
                    self._next_start = start + 1 / self._pace.per_second
            if start > now:
                time.sleep(start - now)
            yield

    def succeeded(self) -> None:
        """Note that the host answers."""
        self._refusals = 0

    def pause(self, attempt: int, at_least: float | None, *, everybody: bool) -> None:
        """Wait before the next try; with `everybody`, let nobody else start a request either.

        Args:
            attempt: how many tries of the request have failed so far, from 1.
            at_least: seconds the server asked for.
            everybody: whether the trouble is the host's and not one repository's.
        """
        delay = self.delay(attempt, at_least)
        if everybody:
            with self._lock:
                self._next_start = max(self._next_start, time.monotonic() + delay)
        else:
            time.sleep(delay)

    def delay(self, attempt: int, at_least: float | None) -> float:
        """Return how long to wait after so many failed tries, not less than the server asked for."""
        seconds: float = min(max(self._pace.backoff * 2 ** (attempt - 1), at_least or 0.0), self._pace.longest)
        return seconds * random.uniform(1.0, 1.25)  # so that workers do not come back in step

    def refused(self, error: GitError) -> None:
        """Note that a request failed for good because of the host, not of the repository.

        Raises:
            DataError: it has happened too often in a row to go on.
        """
        with self._lock:
            self._refusals += 1
            refusals = self._refusals
        if refusals >= self._pace.give_up_after:
            words = _REFUSALS.get(error.reason, "refuses to answer")
            raise DataError(
                f"{self.host} {words} ({error.detail[:200]}); what was scraped is kept, "
                "run the same command again later to continue"
            )


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What a server said to a plain request: status, where it points to, and how long it asks to wait."""

    status: int
    location: str | None
    retry_after: float | None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Follow nothing."""


def ask_server(url: str, authorization: str) -> ServerAnswer | None:
    """Ask what a server answers to the first request of a fetch; git itself does not tell headers.

    Returns:
        The answer, or None where there is none or the protocol has no such thing.
    """
    if not url.startswith(("https://", "http://")):
        return None
    request = urllib.request.Request(f"{url}/info/refs?service=git-upload-pack", headers={"User-Agent": "git/octopack"})
    if authorization:
        request.add_unredirected_header("Authorization", authorization)
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=_PROBE_SECONDS) as answer:
            return ServerAnswer(answer.status, None, None)
    except urllib.error.HTTPError as error:
        with error:
            after = error.headers.get("Retry-After") or ""
            seconds = float(after) if re.fullmatch("[0-9]{1,9}", after) else None
            return ServerAnswer(error.code, error.headers.get("Location"), seconds)
    except (OSError, ValueError):
        return None
