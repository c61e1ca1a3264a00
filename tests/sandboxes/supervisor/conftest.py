"""A supervisor as a backend starts it, without any jail, spoken to in frames."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandboxes.supervisor.protocol import read_frame, write_frame

SUPERVISOR = Path(__file__).resolve().parents[3] / "sandboxes" / "supervisor"


class Worker:
    """One supervisor process; `ask` sends a request and returns the reply."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-I", "-B", str(SUPERVISOR), "--jail", "none", *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        hello = read_frame(self.process.stdout)
        assert hello is not None
        self.hello: dict[str, Any] = hello

    def ask(self, **request: Any) -> dict[str, Any]:
        write_frame(self.process.stdin, {"id": 1, **request})
        reply = read_frame(self.process.stdout)
        assert reply is not None
        return reply

    def python(self, source: str, **limits: float) -> dict[str, Any]:
        return self.ask(language="python", source=source, limits={"cpu_seconds": 5, **limits})

    def close(self) -> int:
        self.process.stdin.close()
        return self.process.wait(timeout=120)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    one = Worker("--languages", "python")
    yield one
    assert one.close() == 0
