"""A program that closes stdout and stderr, and every other descriptor."""

from __future__ import annotations

import pytest


def test_closed_output_alone_is_no_crime(arena):
    verdict = arena.attack("python", "import os\nos.close(1)\nos.close(2)")
    assert verdict.status is not None


@pytest.mark.parametrize("then", ["os._exit(0)", "raise SystemExit(0)", "pass"])
def test_closing_every_descriptor_hangs_nobody(arena, then):
    verdict = arena.attack("python", f"import os\nos.closerange(0, 4096)\n{then}")
    if then != "pass":
        assert not verdict.passed
