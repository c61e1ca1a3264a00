"""A backend whose workers live in this process, so that queueing, retry and caching are tested without any sandbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandboxes import LANGUAGES, Program, Sandbox, SandboxUnavailable, Status, Verdict
from sandboxes.backends import Place
from sandboxes.backends.docker import connect
from sandboxes.errors import WorkerFault
from sandboxes.workers import Hello, Worker

if TYPE_CHECKING:
    from docker import DockerClient


class FakeWorker:
    """Judges by the program's text: "fail" fails, everything else passes; `backend.behaviour` may do otherwise."""

    def __init__(self, backend: FakeBackend) -> None:
        self._backend = backend
        self.hello = Hello(dict.fromkeys(LANGUAGES, "fake 1.0"), backend.batch)
        self.closed = False

    def judge(self, programs: Sequence[Program]) -> list[Verdict]:
        with self._backend.lock:
            self._backend.batches.append([program.source for program in programs])
        verdicts = []
        for program in programs:
            verdict = self._backend.behaviour(program, self)
            verdicts.append(verdict or Verdict(Status.FAILED if "fail" in program.source else Status.PASSED))
        return verdicts

    def close(self) -> None:
        self.closed = True


class FakeBackend:
    """Counts what its workers are asked."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.batches: list[list[str]] = []
        self.workers: list[FakeWorker] = []
        self.batch: Mapping[str, int] = {}
        self.behaviour: Callable[[Program, FakeWorker], Verdict | None] = lambda program, worker: None
        self.failing_starts = 0
        self.digest = "sha256:fake"

    @property
    def judged(self) -> list[str]:
        """Every source that a worker was given, the opening's own small programs left out."""
        return [source for batch in self.batches for source in batch if "add" not in source]

    def served_by(self, language: str) -> str:
        return "fake"

    def place(self, toolchains: Mapping[str, str]) -> Place:
        return Place("fake", "fake:latest", self.digest)

    def how_to_get(self, language: str) -> str:
        return f"install {language}"

    def cores(self) -> int:
        return 2

    def start(self, language: str) -> Worker:
        with self.lock:
            if self.failing_starts:
                self.failing_starts -= 1
                raise WorkerFault("the fake daemon is away")
            self.workers.append(FakeWorker(self))
            return self.workers[-1]


@pytest.fixture(scope="session")
def docker_client() -> Iterator[DockerClient]:
    """A connection to the Docker daemon; skips where none answers."""
    try:
        client = connect()
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    yield client
    client.close()


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def open_fake(backend: FakeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sandbox]:
    """Opens a sandbox on the fake backend, with a cache of the test's own."""
    monkeypatch.setenv("OCTOPACK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("sandboxes.pool.START_PAUSES", (0.01, 0.01))

    def opened(
        languages: Sequence[str] = ("python", "rust"), workers: int = 2, cache: bool = False, limits: object = None
    ) -> Sandbox:
        return Sandbox(backend, languages, workers, limits, cache)  # type: ignore[arg-type]

    return opened


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """Waits for something that other processes do; fails when it does not come."""

    def wait(true: Callable[[], bool], seconds: float = 120.0) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.05)

    return wait
