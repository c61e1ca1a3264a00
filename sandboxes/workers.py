"""A worker: one supervisor behind a stream, which judges programs until it is closed or fails."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol, cast

from sandboxes.errors import WorkerFault
from sandboxes.supervisor.protocol import (
    DEFAULT_LIMITS,
    PROTOCOL_VERSION,
    Program,
    Status,
    Verdict,
    read_frame,
    write_frame,
)

START_SECONDS = 120.0
"""How long a supervisor may take to say hello; far more than it needs, since a busy machine is not a fault."""
GRACE_SECONDS = 120.0
"""What a worker gets on top of its programs' own limits before it counts as hung."""
SPARE_PROCESSES = 256
"""Processes and threads that a worker may have for compilers and warm servers, on top of what a program may have."""
SPARE_MEMORY_BYTES = 2 << 30
"""Memory for compilers, warm servers and folders that lie in memory, on top of what a program may use, in bytes."""
LARGEST_SOURCE = 20 << 20
"""Characters of source that fit in a frame whatever they are (12 bytes of JSON each at worst)."""

BATCH = {"rust": 16, "go": 16}
"""Programs a request in languages whose compilers share work between programs (measured: benchmarks/sandbox.py)."""


@dataclass(frozen=True)
class Hello:
    """What a supervisor says of itself.

    Attributes:
        toolchains: Language -> version, for every language whose toolchain it found.
        batch: Language -> how many programs are best given to it at once (1 where it does not say).
    """

    toolchains: Mapping[str, str]
    batch: Mapping[str, int] = field(default_factory=lambda: BATCH)


class Connection(Protocol):
    """The host's end of a supervisor's standard streams."""

    def sendall(self, data: bytes) -> None:
        """Write all of `data` to the supervisor's standard input."""

    def recv(self, size: int, timeout: float) -> bytes:
        """Read up to `size` bytes of its standard output; empty at its end; TimeoutError after `timeout` seconds."""

    def close(self) -> None:
        """End the supervisor and all its programs; may be called from any thread, and more than once."""

    def diagnosis(self) -> str:
        """What is known about why it ended: the tail of its log, its exit status."""


class Worker(Protocol):
    """Judges programs, one batch at a time."""

    @property
    def hello(self) -> Hello:
        """What it can run."""

    def judge(self, programs: Sequence[Program]) -> list[Verdict]:
        """Judge programs of one language, in order.

        Raises:
            WorkerFault: It could not; the worker must not be used again.
        """

    def close(self) -> None:
        """Stop whatever it does; from any thread."""


class _Stream:
    """A connection as the file that `read_frame` and `write_frame` expect, with one deadline for a whole exchange."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.deadline = 0.0

    def read(self, size: int) -> bytes:
        chunks: list[bytes] = []
        missing = size
        while missing:
            remaining = self.deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            chunk = self.connection.recv(min(missing, 1 << 20), remaining)
            if not chunk:
                break
            chunks.append(chunk)
            missing -= len(chunk)
        return b"".join(chunks)

    def write(self, data: bytes) -> None:
        self.connection.sendall(data)

    def flush(self) -> None:
        pass


class StreamWorker:
    """A supervisor that speaks frames over a connection."""

    def __init__(self, connection: Connection) -> None:
        """Wait for the supervisor's hello.

        Raises:
            WorkerFault: It did not come, or speaks another protocol.
        """
        self._connection = connection
        self._stream = _Stream(connection)
        self._next_id = 0
        try:
            greeting = self._read(START_SECONDS, "saying hello")
            if greeting.get("protocol") != PROTOCOL_VERSION:
                raise WorkerFault(
                    f"the supervisor speaks protocol {greeting.get('protocol')!r}, not {PROTOCOL_VERSION}"
                )
        except WorkerFault:
            connection.close()
            raise
        self.hello = Hello(dict(greeting["toolchains"]), greeting.get("batch", BATCH))

    def judge(self, programs: Sequence[Program]) -> list[Verdict]:
        """See `Worker`."""
        self._next_id += 1
        requests = [_request(program) for program in programs]
        message = {"id": self._next_id, **(requests[0] if len(requests) == 1 else {"batch": requests})}
        try:
            write_frame(cast(BinaryIO, self._stream), message)
        except OSError as error:
            raise self._fault(f"the worker took no more programs ({error})") from error
        reply = self._read(patience(programs), f"judging {len(programs)} {programs[0].language} program(s)")
        if reply.pop("id", None) != self._next_id:
            raise self._fault("the supervisor answered another question than it was asked")
        if "error" in reply:
            raise self._fault(f"the supervisor refused the program: {reply['error']}")
        try:
            replies = reply["batch"] if len(requests) > 1 else [reply]
            verdicts = [Verdict.from_json(values) for values in replies]
        except (KeyError, TypeError, ValueError) as error:
            raise self._fault(f"the supervisor's verdict makes no sense ({error!r})") from error
        if len(verdicts) != len(programs):
            raise self._fault(f"the supervisor judged {len(verdicts)} of {len(programs)} programs")
        return verdicts

    def close(self) -> None:
        """See `Worker`."""
        self._connection.close()

    def _read(self, seconds: float, doing: str) -> dict[str, Any]:
        self._stream.deadline = time.monotonic() + seconds
        try:
            message = read_frame(cast(BinaryIO, self._stream))
        except TimeoutError as error:
            raise self._fault(f"the supervisor did not answer for {seconds:.0f} s while {doing}") from error
        except (OSError, EOFError, ValueError) as error:
            raise self._fault(f"the stream to the supervisor broke while {doing} ({error})") from error
        if message is None:
            raise self._fault(f"the supervisor ended while {doing}")
        return message

    def _fault(self, what: str) -> WorkerFault:
        known = self._connection.diagnosis().strip()
        return WorkerFault(f"{what}: {known}" if known else what)


def oversized(program: Program) -> Verdict | None:
    """The verdict on a program too large to be sent to any worker, None for all others."""
    size = len(program.source)
    if size <= LARGEST_SOURCE:
        return None
    return Verdict(
        Status.COMPILE_ERROR,
        stage="compile",
        detail=f"the source of {size:,} characters is over the limit of {LARGEST_SOURCE:,}",
    )


def _request(program: Program) -> dict[str, Any]:
    return {
        "language": program.language,
        "source": program.source,
        "test_offset": program.test_offset,
        "limits": dataclasses.asdict(program.limits) if program.limits else None,
    }


def patience(programs: Sequence[Program]) -> float:
    """Wall-clock seconds after which a worker that was given `programs` counts as hung.

    A supervisor's own backstops are ten times CPU time; this lies beyond all of them.
    """
    seconds = GRACE_SECONDS
    for program in programs:
        limits = program.limits or DEFAULT_LIMITS[program.language]
        seconds += 10 * limits.compile_cpu_seconds + (limits.wall_seconds or max(30.0, 10 * limits.cpu_seconds))
    return seconds
