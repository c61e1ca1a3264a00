"""The values that cross the sandbox's border, and how they are framed: what to run, its limits, what came of it.

Both sides import this file: the host through `sandboxes`, the supervisor inside the sandbox, where nothing but the
standard library exists.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

PROTOCOL_VERSION = 1

LANGUAGES = ("python", "cpp", "js", "java", "go", "rust", "typescript")
"""A language has a file of its name in `supervisor/languages` and one in `sandboxes/toolchains`."""


class Status(str, enum.Enum):
    """The closed set of things that can come of a program."""

    PASSED = "passed"
    """Its tests ran to their end and held."""
    FAILED = "failed"
    """A test did not hold, or the program ended before its tests did."""
    COMPILE_ERROR = "compile_error"
    RUNTIME_ERROR = "runtime_error"
    """It crashed outside of a test's assertion: an exception, a signal, a panic."""
    TIMEOUT = "timeout"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    SANDBOX_ERROR = "sandbox_error"
    """We could not tell. Never a wrong answer: it is retried, then raised."""


@dataclass(frozen=True)
class Limits:
    """What one program may use. CPU time decides; wall-clock time is a generous backstop, so load changes no verdict.

    Attributes:
        cpu_seconds: CPU time of the running program, all its processes together, in seconds.
        wall_seconds: Wall-clock time of the running program, in seconds; None: ten times `cpu_seconds`, at least 30.
        compile_cpu_seconds: CPU time of the compiler, in seconds.
        memory_bytes: Memory of the running program, in bytes.
        output_bytes: What it may write to stdout and stderr together, in bytes.
        file_bytes: What it may write to its work folder, in bytes.
        processes: How many processes and threads it may have at once.
    """

    cpu_seconds: float = 10.0
    wall_seconds: float | None = None
    compile_cpu_seconds: float = 60.0
    memory_bytes: int = 2 << 30
    output_bytes: int = 1 << 20
    file_bytes: int = 64 << 20
    processes: int = 128

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "wall_seconds" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
                raise ValueError(f"Limits.{field.name} must be a positive number, not {value!r}")


@dataclass(frozen=True)
class Program:
    """A program to run, tests included.

    Attributes:
        language: One of `LANGUAGES`.
        source: The whole program text.
        test_offset: Index in `source` at which the trusted test text begins; what stands before it came from a
            model. None where that is not known.
        limits: What it may use; None takes the language's default.
    """

    language: str
    source: str
    test_offset: int | None = None
    limits: Limits | None = None


@dataclass(frozen=True)
class Verdict:
    """What came of a program.

    Attributes:
        status: One of the closed set.
        reference_passed: Whether the reference's executor (plain commands, exit status and output) would have
            counted it as passed. Differs from `passed` only for programs that cheat.
        suspicious: Why a pass deserves a look (empty for honest programs), one short reason each.
        stage: Where it ended: "compile" or "run".
        exit_code: The exit status, negative for a signal; None where there was none.
        stdout: The tail of its standard output (bytes that are not UTF-8 are replaced).
        stderr: The tail of its standard error or of the compiler's messages.
        detail: One line that says why, for people.
        compile_seconds: CPU time of the compiler, in seconds.
        run_seconds: CPU time of the program, in seconds.
        wall_seconds: Wall-clock time of both, in seconds.
        memory_bytes: Peak memory of the program in bytes, 0 where it is not known.
        cached: Whether it comes from the cache or from an identical program.
    """

    status: Status
    reference_passed: bool = False
    suspicious: tuple[str, ...] = ()
    stage: str = "run"
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    detail: str = ""
    compile_seconds: float = 0.0
    run_seconds: float = 0.0
    wall_seconds: float = 0.0
    memory_bytes: int = 0
    cached: bool = False

    @property
    def passed(self) -> bool:
        """Whether the program passed its tests (strict)."""
        return self.status is Status.PASSED

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        return {**dataclasses.asdict(self), "status": self.status.value, "suspicious": list(self.suspicious)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Verdict:
        """The inverse of `to_json`."""
        return cls(**{**values, "status": Status(values["status"]), "suspicious": tuple(values["suspicious"])})


_OTHER_LIMITS = {"cpp": Limits(cpu_seconds=60), "go": Limits(cpu_seconds=20), "rust": Limits(cpu_seconds=300)}

DEFAULT_LIMITS = {language: _OTHER_LIMITS.get(language, Limits()) for language in LANGUAGES}
"""What a program gets that asks for nothing: the reference's time limits, as CPU time."""


_LENGTH = struct.Struct(">I")
MAX_FRAME_BYTES = 256 << 20


def write_frame(stream: BinaryIO, message: dict[str, Any]) -> None:
    """Write one message: four bytes of length, then JSON."""
    data = json.dumps(message).encode("ascii")
    if len(data) > MAX_FRAME_BYTES:
        raise ValueError(f"a message of {len(data)} bytes is over the limit of {MAX_FRAME_BYTES}")
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def read_frame(stream: BinaryIO) -> dict[str, Any] | None:
    """Read one message; None at the end of the stream.

    Raises:
        EOFError: The stream ended within a message.
        ValueError: The length is over the limit or the text is not JSON.
    """
    head = stream.read(_LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise EOFError("the stream ended within a message")
    (length,) = _LENGTH.unpack(head)
    if length > MAX_FRAME_BYTES:
        raise ValueError(f"a message of {length} bytes is over the limit of {MAX_FRAME_BYTES}")
    data = stream.read(length)
    if len(data) < length:
        raise EOFError("the stream ended within a message")
    message = json.loads(data)
    if not isinstance(message, dict):
        raise ValueError(f"a message must be an object, not {type(message).__name__}")
    return message
