"""A program that ignores every signal it can."""

from __future__ import annotations

import pytest

from sandboxes import Status

CODE = {
    "python": """
import signal
for number in range(1, 64):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    pass
""",
    "cpp": "for (int s = 1; s < 64; s++) signal(s, SIG_IGN);\nvolatile int x = 0;\nfor (;;) x = x + 1;",
    "js": "process.on('SIGTERM', () => {})\nprocess.on('SIGXCPU', () => {})\nfor (;;);",
    "go": "signal.Ignore()\nfor a != 7 { b++ }",
}
DECLARATIONS = {"cpp": "#include <signal.h>", "go": 'import "os/signal"'}


@pytest.mark.parametrize("language", CODE)
def test_nothing_ignores_the_end_of_its_time(arena, language):
    verdict = arena.attack(language, CODE[language], DECLARATIONS.get(language, ""))
    assert verdict.status is Status.TIMEOUT
