"""Very long lines, bytes that are no text, and terminal controls in the output."""

from __future__ import annotations


def test_a_long_line_is_cut(arena):
    verdict = arena.attack("python", "print('x' * 900000, flush=True)")
    assert verdict.passed
    assert len(verdict.stdout) <= 1 << 20


def test_bytes_that_are_no_text_are_replaced(arena):
    verdict = arena.attack("python", "import os\nos.write(1, bytes(range(256)) * 16)\nos.write(2, b'\\xff\\xfe\\x00')")
    assert verdict.passed
    assert "\ufffd" in verdict.stdout
