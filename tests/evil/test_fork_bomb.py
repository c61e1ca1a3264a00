"""A program that forks without end."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import pytest

CODE = {
    "python": "import os\nwhile True:\n    os.fork()",
    "cpp": "for (;;) fork();",
    "js": "for (;;) require('child_process').spawn(process.argv[0], ['-e', 'for(;;);'], {detached: true}).on('error', () => {})",
    "go": 'for { exec.Command("sleep", "1000").Start() }',
}
DECLARATIONS = {"cpp": "#include <unistd.h>", "go": 'import "os/exec"'}


@pytest.mark.parametrize("language", CODE)
def test_a_fork_bomb_goes_off_in_its_jail_alone(arena, language):
    verdict = arena.attack(language, CODE[language], DECLARATIONS.get(language, ""))
    assert not verdict.passed
