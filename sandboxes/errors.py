"""What can go wrong that is not a program's fault."""

from __future__ import annotations

from collections.abc import Sequence

from sandboxes.supervisor.protocol import Verdict


class SandboxError(RuntimeError):
    """A program could not be judged: a fault of the sandbox, never a wrong answer.

    Attributes:
        failed: Index in the given programs and reason of each one that could not be judged.
        verdicts: From `Sandbox.run`: every program's verdict, None for those that could not be judged.
    """

    exit_code = 2
    """Command lines show an exception with this attribute as one line and exit with it."""

    def __init__(
        self,
        message: str,
        failed: Sequence[tuple[int, str]] = (),
        verdicts: Sequence[Verdict | None] = (),
    ) -> None:
        super().__init__(message)
        self.failed = tuple(failed)
        self.verdicts = tuple(verdicts)


class SandboxUnavailable(SandboxError):  # noqa: N818 - a state of the machine, in the words users search for
    """No sandbox can be opened here; the message says what to install or run."""


class WorkerFault(Exception):  # noqa: N818 - not an error yet: its programs are tried again on a fresh worker
    """A worker died, hung or spoke nonsense."""
