"""Recursion without end."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import pytest

CODE = {
    "python": ("def down(n):\n    return down(n + 1) + 1\n", "down(0)"),
    "cpp": (
        "volatile int sink;\nint down(int n) { volatile char room[64]; room[0] = n; sink = n; return down(n + 1) + room[0]; }",
        "down(0);",
    ),
    "js": ("const down = (n) => down(n + 1) + 1", "down(0)"),
    "typescript": ("const down = (n: number): number => down(n + 1) + 1", "down(0)"),
    "java": ("class Down { static int down(int n) { return down(n + 1) + 1; } }", "Down.down(0);"),
    "go": ("func down(n int) int { return down(n + 1) + 1 }", "down(0)"),
    "rust": ("fn down(n: u64) -> u64 { std::hint::black_box(down(std::hint::black_box(n + 1))) + 1 }", "down(0);"),
}


@pytest.mark.parametrize("language", CODE)
def test_endless_recursion_ends(arena, language):
    declarations, body = CODE[language]
    assert not arena.attack(language, body, declarations).passed
