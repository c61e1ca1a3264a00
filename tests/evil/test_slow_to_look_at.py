"""Sources made to keep whoever looks at them busy: deep nesting of what begins and never ends."""

from __future__ import annotations

import pytest

MANY = 300_000
CODE = {
    "python": "# " + "def " * MANY,
    "cpp": "// " + "#/*" * MANY + "\n// " + "'\\'" * MANY + "\n// " + 'R"(' * MANY + "\n" + "\n" * MANY,
    "js": "// " + ".prototype.a" * MANY,
    "java": "// " + "/*" * MANY,
    "go": "// " + "/*" * MANY + '\n// "' + '\\"' * MANY + "\n" + "\n" * MANY,
    "rust": "// " + "/*" * MANY + "\n// " + "impl Eq " * MANY + "\n// " + "#[" * MANY,
}


@pytest.mark.parametrize("language", CODE)
def test_no_source_keeps_the_judge_busy(arena, language):
    # the program itself is right; only a judge that looks at it for minutes would be a fault
    verdict = arena.attack(language, declarations=CODE[language])
    assert verdict.status is not None
