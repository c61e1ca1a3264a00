"""`open_sandbox` and what it gives: programs in, verdicts out, identical programs run once."""

from __future__ import annotations

import atexit
import dataclasses
import json
import os
import queue
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

from sandboxes.backends import Backend, BackendName, BackendOptions, choose_backend
from sandboxes.cache import VerdictCache, cache_path, is_lasting, program_key
from sandboxes.environment import Environment, octopack_version
from sandboxes.errors import SandboxError, SandboxUnavailable, WorkerFault
from sandboxes.payload import supervisor_hash
from sandboxes.pool import Job, Pool
from sandboxes.progress import Progress, reporting
from sandboxes.smoke import smoke_program
from sandboxes.supervisor.protocol import DEFAULT_LIMITS, LANGUAGES, Limits, Program, Verdict
from sandboxes.workers import Worker, oversized

_IN_FLIGHT_PER_WORKER = 64
"""Programs read ahead of the verdicts, a worker: enough to fill batches, few enough to bound memory."""
_IN_FLIGHT_CHARACTERS = 64 << 20


class Sandbox:
    """Judges programs on a pool of isolated workers. Made by `open_sandbox`; safe to use from several threads.

    Attributes:
        environment: With what programs run here; goes into results.
    """

    environment: Environment

    def __init__(
        self, backend: Backend, languages: Sequence[str], workers: int, limits: Limits | None, cache: bool
    ) -> None:
        """Start workers and make sure that every language of `languages` works.

        Raises:
            SandboxUnavailable: One does not; the message says what to do.
        """
        self._languages = tuple(dict.fromkeys(languages))
        self._limits = limits
        first = _first_workers(backend, self._languages)
        toolchains = {
            language: first[backend.served_by(language)].hello.toolchains[language] for language in self._languages
        }
        place = backend.place(toolchains)
        self.environment = Environment(
            backend=place.backend,
            image=place.image,
            digest=place.digest,
            toolchains=toolchains,
            octopack_version=octopack_version(),
            limits=limits,
            workers=workers,
            runtime=place.runtime,
            unsafe=place.unsafe,
        )
        self._cache_key = json.dumps([*dataclasses.astuple(place), toolchains, supervisor_hash()], sort_keys=True)
        self._cache = VerdictCache(cache_path() if cache else None)
        self._lasting_only = cache
        self._pool = Pool(backend.start, backend.served_by, workers, first)
        # `with` may never be reached, and an interpreter that ends without it must leave no worker behind
        self._at_exit = atexit.register(self.close)
        try:
            self._smoke_test()
        except BaseException:
            self.close()
            raise

    def _smoke_test(self) -> None:
        """Run one small program of each language.

        Raises:
            SandboxUnavailable: One did not pass.
        """
        try:
            verdicts = self.run([smoke_program(language) for language in self._languages])
        except SandboxError as error:
            raise SandboxUnavailable(f"the sandbox does not work: {error}") from error
        for language, verdict in zip(self._languages, verdicts, strict=True):
            if not verdict.passed:
                raise SandboxUnavailable(
                    f"{self.environment.image} cannot run {language}, not even a small program: "
                    f"{verdict.detail or verdict.status.value}\n{verdict.stderr.strip()[-500:]}"
                )

    def run(self, programs: Iterable[Program], progress: Progress | bool | None = None) -> list[Verdict]:
        """Judge programs.

        Args:
            programs: What to judge; identical ones run once.
            progress: Called as verdicts come; True shows a progress bar on standard error.

        Returns:
            The verdicts, in the order of the programs.

        Raises:
            ValueError: A program names a language that this sandbox was not opened for, or a wrong test offset;
                nothing was run.
            SandboxError: Some programs could not be judged, even on fresh workers; its `verdicts` holds the rest,
                and the cache keeps them.
        """
        programs = list(programs)
        for index, program in enumerate(programs):
            self._check(index, program)
        verdicts: list[Verdict | None] = [None] * len(programs)
        with reporting(progress, len(programs)) as report:
            try:
                for done, (index, verdict) in enumerate(self.stream(programs), start=1):
                    verdicts[index] = verdict
                    report(done, len(programs))
            except SandboxError as error:
                raise SandboxError(str(error), error.failed, verdicts) from None
        return [verdict for verdict in verdicts if verdict is not None]

    def stream(self, programs: Iterable[Program]) -> Iterator[tuple[int, Verdict]]:
        """Judge programs as they come.

        The iterable is read lazily, only as far ahead as keeps the workers busy, so any number of programs streams
        through in bounded memory.

        Yields:
            Index of a program, and its verdict, as they finish.

        Raises:
            ValueError: As `run`, once the programs before it are judged.
            SandboxError: Some programs could not be judged; raised after everything else was yielded.
        """
        answers: queue.SimpleQueue[tuple[str, Program, Verdict | str]] = queue.SimpleQueue()
        asking: dict[str, list[int]] = defaultdict(list)
        failed: list[tuple[int, str]] = []
        rejected: ValueError | None = None
        window = _IN_FLIGHT_PER_WORKER * self.environment.workers
        characters = 0
        abandoned = False
        source = enumerate(programs)
        exhausted = False
        try:
            while asking or not exhausted:
                while not exhausted and answers.empty() and len(asking) < window and characters < _IN_FLIGHT_CHARACTERS:
                    try:
                        index, program = next(source)
                        self._check(index, program)
                    except StopIteration:
                        exhausted = True
                        break
                    except ValueError as error:
                        rejected, exhausted = error, True
                        break
                    program = dataclasses.replace(program, limits=self._limits_of(program))
                    key = program_key(program, self._cache_key)
                    if key in asking:
                        asking[key].append(index)
                        continue
                    known = oversized(program) or self._cache.get(key)
                    if known is not None:
                        yield index, known
                        continue
                    asking[key].append(index)
                    characters += len(program.source)
                    self._pool.submit(
                        Job(
                            program,
                            deliver=lambda answer, key=key, program=program: answers.put((key, program, answer)),  # type: ignore[misc]
                            cancelled=lambda: abandoned,
                        )
                    )
                if not asking:
                    continue
                key, program, answer = answers.get()
                characters -= len(program.source)
                indices = asking.pop(key)
                if isinstance(answer, str):
                    failed += [(index, answer) for index in indices]
                    continue
                if not self._lasting_only or is_lasting(answer, self._limits_of(program)):
                    self._cache.put(key, answer)
                yield indices[0], answer
                for index in indices[1:]:
                    yield index, dataclasses.replace(answer, cached=True)
        finally:
            abandoned = True
        if rejected is not None:
            raise rejected
        if failed:
            first, reason = failed[0]
            raise SandboxError(
                f"{len(failed)} program(s) could not be judged, the first is program {first}: {reason}. This is a "
                "fault of the sandbox, not a wrong answer. What was judged is kept: run again once it is mended "
                "(`octopack doctor` helps).",
                failed,
            )

    def _check(self, index: int, program: Program) -> None:
        if program.language not in self._languages:
            raise ValueError(
                f"program {index} is in {program.language!r}; this sandbox was opened for {', '.join(self._languages)}"
            )
        if program.test_offset is not None and not 0 <= program.test_offset <= len(program.source):
            raise ValueError(
                f"program {index}: test_offset {program.test_offset} lies outside its {len(program.source)} characters"
            )

        if program.limits is not None and program.limits.memory_bytes > (self._limits or Limits()).memory_bytes:
            raise ValueError(
                f"program {index} may use {program.limits.memory_bytes:,} bytes of memory, more than this sandbox was "
                "opened for: open_sandbox(limits=...) takes the largest limits"
            )

    def _limits_of(self, program: Program) -> Limits:
        return program.limits or self._limits or DEFAULT_LIMITS[program.language]

    def close(self) -> None:
        """Stop all workers and everything that runs in them."""
        atexit.unregister(self._at_exit)
        self._pool.close()
        self._cache.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _first_workers(backend: Backend, languages: Sequence[str]) -> dict[str, Worker]:
    """One worker of each kind that serves `languages`.

    Raises:
        SandboxUnavailable: A worker does not start, or lacks a language's toolchain.
    """
    workers: dict[str, Worker] = {}
    try:
        for language in languages:
            kind = backend.served_by(language)
            if kind not in workers:
                workers[kind] = backend.start(language)
            if language not in workers[kind].hello.toolchains:
                raise SandboxUnavailable(backend.how_to_get(language))
    except BaseException as error:
        for worker in workers.values():
            worker.close()
        if isinstance(error, WorkerFault):
            raise SandboxUnavailable(f"the sandbox does not start: {error}") from error
        raise
    return workers


def open_sandbox(
    backend: BackendName | None = None,
    languages: Sequence[str] = LANGUAGES,
    workers: int | None = None,
    limits: Limits | None = None,
    cache: bool = True,
    image: str | None = None,
    runtime: str | None = None,
    root: str | os.PathLike[str] | None = None,
    unsafe: bool = False,
) -> Sandbox:
    """Open a sandbox, ready to judge programs.

    Args:
        backend: "docker", "bubblewrap", "ray", "process", or "auto": Docker where a daemon answers and has an image
            with the languages, else bubblewrap. None: `$OCTOPACK_SANDBOX`, else "auto".
        languages: What will be run; each is tried with a one-line program before this returns.
        workers: How many programs run at once; None: one a core.
        limits: What a program may use that brings no limits; None: the defaults of its language.
        cache: Whether verdicts are kept on disk for the next run (`sandboxes.cache.cache_path`).
        image: docker: another image than the ones `octopack sandbox build` makes.
        runtime: docker: another container runtime of the daemon, such as "runsc" (gVisor); None:
            `$OCTOPACK_SANDBOX_RUNTIME`, else the daemon's default.
        root: bubblewrap: a folder made by `octopack sandbox export` whose toolchains are used, not this machine's;
            None: `$OCTOPACK_SANDBOX_ROOT`, else this machine's.
        unsafe: Must be True for "process", which runs programs with no isolation at all.

    Raises:
        SandboxUnavailable: No sandbox can be had; the message says what to install or run.
        ValueError: An argument makes no sense.
    """
    unknown = [language for language in languages if language not in LANGUAGES]
    if unknown or not languages:
        raise ValueError(f"unknown language {', '.join(map(repr, unknown))}: choose from {', '.join(LANGUAGES)}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, not {workers}")
    chosen = choose_backend(
        backend, tuple(languages), BackendOptions(image=image, runtime=runtime, root=root, unsafe=unsafe, limits=limits)
    )
    return Sandbox(chosen, languages, workers or chosen.cores(), limits, cache)
