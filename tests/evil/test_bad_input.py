"""Programs that are hardly programs: NUL bytes, nothing, megabytes, lone surrogates."""

from __future__ import annotations

import pytest

from sandboxes import Program, Status
from sandboxes.smoke import smoke_program

SOURCES = {
    "NUL bytes": "a = 1\x00\n",
    "nothing": "",
    "spaces": "   \n\n",
    "a lone surrogate": "x = '\ud800'\n",
    "controls": "".join(map(chr, range(1, 32))),
    "very deep": "(" * 100_000,
    "megabytes": "# " + "x" * 5_000_000 + "\n",
}


CASES = [("python", source) for source in SOURCES] + [
    (language, source)
    for language in ("cpp", "js", "java", "go", "rust", "typescript")
    for source in ("NUL bytes", "nothing", "a lone surrogate")
]


@pytest.mark.parametrize(("language", "source"), CASES)
def test_odd_sources_get_a_verdict(arena, language, source):
    arena.require(language)
    verdicts = arena.sandbox.run([Program(language, SOURCES[source]), smoke_program(language)])
    assert verdicts[0].status is not Status.SANDBOX_ERROR
    assert verdicts[1].passed


def test_fifty_megabytes_are_refused_with_a_reason(arena):
    verdicts = arena.sandbox.run([Program("python", "#" * (50 << 20)), smoke_program("python")])
    assert verdicts[0].status is Status.COMPILE_ERROR
    assert "over the limit" in verdicts[0].detail
    assert verdicts[1].passed
