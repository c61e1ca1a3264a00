"""A program that starts threads without end."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import pytest

CODE = {
    "python": """
import threading, time
while True:
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
""",
    "cpp": "for (;;) std::thread([] { sleep(1000); }).detach();",
    "java": "while (a != 7) { Thread t = new Thread(() -> { try { Thread.sleep(1000000); } catch (Exception e) {} }); t.start(); }",
}
DECLARATIONS = {"cpp": "#include <thread>\n#include <unistd.h>"}


@pytest.mark.parametrize("language", CODE)
def test_threads_without_end_are_no_pass(arena, language):
    verdict = arena.attack(language, CODE[language], DECLARATIONS.get(language, ""))
    assert not verdict.passed
