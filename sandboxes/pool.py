"""The queue between those who ask for verdicts and the workers that give them, with retry of faults."""

from __future__ import annotations

import collections
import contextlib
import logging
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sandboxes.errors import SandboxUnavailable, WorkerFault
from sandboxes.supervisor.protocol import Program, Status, Verdict
from sandboxes.workers import Worker

_log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a program is tried, each time on a fresh worker, before its fault is reported."""
START_PAUSES = (0.5, 2.0, 5.0, 10.0)
"""Seconds to wait before each new attempt to start a worker: a daemon that is being restarted comes back in these."""


@dataclass
class Job:
    """A program in the queue.

    Attributes:
        program: What to judge.
        deliver: Called once, from a worker's thread, with the verdict or the reason why there is none.
        cancelled: Answers whether nobody waits for it any more.
        faults: Why earlier attempts gave no verdict.
    """

    program: Program
    deliver: Callable[[Verdict | str], None]
    cancelled: Callable[[], bool]
    faults: list[str] = field(default_factory=list)


class Pool:
    """Workers, each fed by a thread of its own.

    Args:
        start: Starts a worker for programs of a language.
        served_by: Language -> name of the kind of worker that serves it; a thread keeps one worker of each kind.
        size: How many programs run at once.
        started: Workers that run already, by kind; they become the pool's own.
    """

    def __init__(
        self,
        start: Callable[[str], Worker],
        served_by: Callable[[str], str],
        size: int,
        started: Mapping[str, Worker],
    ) -> None:
        self._start = start
        self._served_by = served_by
        self._size = size
        self._changed = threading.Condition()
        self._waiting: dict[str, collections.deque[Job]] = collections.defaultdict(collections.deque)
        self._spare = dict(started)
        self._alive = set(started.values())
        self._closed = False
        self._broken: str | None = None
        self._threads = [
            threading.Thread(target=self._serve, name=f"sandbox-{number}", daemon=True) for number in range(size)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job; its `deliver` is called later, from another thread, or at once when the pool is broken."""
        with self._changed:
            if self._closed:
                raise ValueError("the sandbox is closed")
            reason = self._broken
            if reason is None:
                self._waiting[job.program.language].append(job)
                self._changed.notify()
        if reason is not None:
            job.deliver(reason)

    def close(self) -> None:
        """Stop every worker, also those at work; jobs still queued are dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            alive = list(self._alive)
        for worker in alive:
            worker.close()
        for thread in self._threads:
            # a worker that was starting just now is closed by its own thread
            thread.join(timeout=30)

    def _serve(self) -> None:
        workers: dict[str, Worker] = {}
        try:
            while (job := self._take()) is not None:
                kind = self._served_by(job.program.language)
                batch = [job]
                try:
                    if kind not in workers:
                        workers[kind] = self._started(kind, job.program.language)
                    worker = workers[kind]
                    batch += self._more_like(job, worker.hello.batch.get(job.program.language, 1))
                    verdicts = worker.judge([each.program for each in batch])
                except SandboxUnavailable as error:
                    self._break(batch, str(error))
                except WorkerFault as error:
                    self._discard(workers, kind)
                    self._retry(batch, str(error))
                else:
                    self._deliver(batch, verdicts, lambda kind=kind: self._discard(workers, kind))  # type: ignore[misc]
        finally:
            for kind in list(workers):
                self._discard(workers, kind)

    def _take(self) -> Job | None:
        """The next job, None when the pool closes."""
        with self._changed:
            while not self._closed:
                for language in sorted(self._waiting, key=lambda language: -len(self._waiting[language])):
                    queue = self._waiting[language]
                    while queue:
                        job = queue.popleft()
                        if not job.cancelled():
                            return job
                self._changed.wait()
            return None

    def _more_like(self, job: Job, size: int) -> list[Job]:
        """Jobs to judge together with `job`: of its language, never tried before, a fair share of those waiting."""
        if size <= 1 or job.faults:
            return []
        with self._changed:
            queue = self._waiting[job.program.language]
            share = min(size - 1, math.ceil((len(queue) + 1) / self._size) - 1)
            batch: list[Job] = []
            while (
                queue and len(batch) < share and not queue[0].faults and queue[0].program.limits == job.program.limits
            ):
                candidate = queue.popleft()
                if not candidate.cancelled():
                    batch.append(candidate)
            return batch

    def _started(self, kind: str, language: str) -> Worker:
        with self._changed:
            if (spare := self._spare.pop(kind, None)) is not None:
                return spare
        for pause in (*START_PAUSES, None):
            try:
                worker = self._start(language)
                break
            except (WorkerFault, SandboxUnavailable) as error:
                if pause is None or self._closed:
                    raise SandboxUnavailable(f"no sandbox worker could be started: {error}") from error
                _log.warning("a sandbox worker did not start (%s); trying again in %.1f s", error, pause)
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, timeout=pause)
        with self._changed:
            if self._closed:
                worker.close()
                raise SandboxUnavailable("the sandbox is closed")
            self._alive.add(worker)
        return worker

    def _discard(self, workers: dict[str, Worker], kind: str) -> None:
        worker = workers.pop(kind, None)
        if worker is not None:
            with self._changed:
                self._alive.discard(worker)
            with contextlib.suppress(Exception):
                worker.close()

    def _deliver(self, batch: list[Job], verdicts: list[Verdict], discard: Callable[[], None]) -> None:
        for job, verdict in zip(batch, verdicts, strict=True):
            if verdict.status is Status.SANDBOX_ERROR:
                discard()
                self._retry([job], verdict.detail or "the supervisor could not tell")
            else:
                job.deliver(verdict)

    def _retry(self, batch: list[Job], fault: str) -> None:
        for job in batch:
            job.faults.append(fault)
            if len(job.faults) < ATTEMPTS and not self._closed:
                _log.warning("a %s program is judged again on a fresh worker: %s", job.program.language, fault)
                with self._changed:
                    self._waiting[job.program.language].appendleft(job)
                    self._changed.notify()
            else:
                job.deliver("; then: ".join(dict.fromkeys(job.faults)))

    def _break(self, batch: list[Job], reason: str) -> None:
        """No worker can be had any more: nobody shall wait for one."""
        with self._changed:
            self._broken = reason
            batch = batch + [job for queue in self._waiting.values() for job in queue]
            self._waiting.clear()
        for job in batch:
            job.deliver(reason)
