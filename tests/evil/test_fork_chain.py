"""A chain of forks, each handing on to the next and ending: no list of children shows it for long."""

from __future__ import annotations

CODE = """
import os, time
if os.fork() == 0:
    os.setsid()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if os.fork():
            os._exit(0)
"""


def test_a_chain_of_forks_ends_with_its_program(arena):
    # `attack` asserts that nothing of it runs on
    arena.attack("python", CODE)
