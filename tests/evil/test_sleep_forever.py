"""A program that sleeps for ever."""

from __future__ import annotations

import pytest

from sandboxes import Limits, Status

CODE = {
    "python": "import time\ntime.sleep(1e6)",
    "cpp": "sleep(1000000);",
    "js": "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
    "typescript": "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
    "java": "Thread.sleep(1000000000L);",
    "go": "time.Sleep(1000 * time.Hour)",
    "rust": "std::thread::sleep(std::time::Duration::from_secs(1000000));",
}
DECLARATIONS = {"cpp": "#include <unistd.h>", "go": 'import "time"'}


@pytest.mark.parametrize("language", CODE)
def test_sleep_ends_at_the_wall_clock_limit(arena, language):
    limits = Limits(wall_seconds=1.5)
    verdict = arena.attack(language, CODE[language], DECLARATIONS.get(language, ""), limits)
    assert verdict.status is Status.TIMEOUT
