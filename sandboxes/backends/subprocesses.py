"""A supervisor as a child process of the host: what the bubblewrap and process backends share."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence

from sandboxes.backends.control_groups import ENTER, ControlGroup


class SupervisorProcess:
    """A supervisor and the socket that is its standard input and output: a `Connection`."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], group: ControlGroup | None = None
    ) -> None:
        """Start `command`, inside `group` if there is one, which ends with it.

        Raises:
            OSError: It cannot be executed.
        """
        self._group = group
        if group is not None:
            command = ["sh", "-c", ENTER, group.path, *command]
        self._socket, theirs = socket.socketpair()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self._closing = threading.Lock()
        self._closed = False
        try:
            with theirs:
                self._process = subprocess.Popen(
                    list(command),
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._log,
                    env=dict(environment),
                    cwd="/",
                    # Ctrl-C goes to the whole terminal: the host decides when its workers end
                    start_new_session=True,
                )
        except BaseException:
            self._socket.close()
            self._log.close()
            if group is not None:
                group.remove()
            raise

    def sendall(self, data: bytes) -> None:
        """See `Connection`."""
        self._socket.settimeout(None)
        self._socket.sendall(data)

    def recv(self, size: int, timeout: float) -> bytes:
        """See `Connection`."""
        self._socket.settimeout(timeout)
        return self._socket.recv(size)

    def diagnosis(self) -> str:
        """See `Connection`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.5)
        ended = f"exit status {self._process.returncode}; " if self._process.returncode is not None else ""
        with contextlib.suppress(OSError, ValueError):
            size = os.fstat(self._log.fileno()).st_size
            tail = os.pread(self._log.fileno(), 2000, max(0, size - 2000))
            return ended + tail.decode("utf-8", "replace")
        return ended

    def close(self) -> None:
        """See `Connection`."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        # the end of its input tells it to go, which also clears its work folder away
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._group is not None:
            self._group.remove()
        self._socket.close()
        self._log.close()
