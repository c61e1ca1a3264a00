"""A program that turns on its own executable: removes it, replaces it for the next program, reads the key from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandboxes import Status
from sandboxes.payload import WORK

NAMES = ("a.out", "test", "main.rs", "main.go", "p.a", "test.s")
SEALED = f"{WORK}/sealed"
"""Where finished executables lie."""
PATHS = ("/proc/self/exe", "/proc/self/mem", f"{SEALED}/a.out", f"{SEALED}/test")
REPLACES = {
    "cpp": (
        "\n".join(f'unlink("{name}"); rename("{name}", "x"); mkdir("{name}", 0);' for name in NAMES)
        + f'\nunlink("{SEALED}/a.out"); chmod("{SEALED}/a.out", 0777); chmod(".", 0);',
        "#include <unistd.h>\n#include <stdio.h>\n#include <sys/stat.h>",
    ),
    "go": (
        "\n".join(f'os.Remove("{name}")\nos.WriteFile("{name}", []byte("x"), 0o755)' for name in NAMES)
        + f'\nos.Remove("{SEALED}/test")\nos.Chmod("{SEALED}/test", 0o777)\nos.Chmod(".", 0)',
        'import "os"',
    ),
    "rust": (
        "\n".join(f'let _ = std::fs::remove_file("{name}");\nlet _ = std::fs::write("{name}", "x");' for name in NAMES)
        + f'\nlet _ = std::fs::remove_file("{SEALED}/test");\nlet _ = std::fs::remove_dir_all(".");',
        "",
    ),
}
READS = {
    "cpp": (
        "\n".join(f'if (fopen("{path}", "rb")) abort();' for path in (*NAMES, *PATHS, "test.cpp")),
        "#include <stdio.h>\n#include <stdlib.h>",
    ),
    "go": (
        "\n".join(
            f'if _, err := os.Open("{path}"); err == nil {{ panic("{path}") }}'
            for path in (*NAMES, *PATHS, "main_test.go")
        ),
        'import "os"',
    ),
    "rust": (
        "\n".join(f'assert!(std::fs::File::open("{path}").is_err());' for path in (*NAMES, *PATHS, "test.rs", "p0.rs")),
        "",
    ),
}


@pytest.mark.parametrize("language", REPLACES)
def test_the_next_programs_run_their_own(arena, language):
    arena.require(language)
    body, declarations = REPLACES[language]
    # as many as share one executable: the attacker first, then right and wrong ones
    right = [arena.program(language, declarations=f"// {number}") for number in range(3)]
    wrong = [
        replace(one, source=one.source.replace("a + b", "a - b").replace(f"// {n}", f"// wrong {n}"), test_offset=None)
        for n, one in enumerate(right)
    ]
    verdicts = arena.sandbox.run([arena.program(language, body, declarations), *right, *wrong])
    assert [verdict.passed for verdict in verdicts[1:]] == [True] * 3 + [False] * 3, verdicts
    assert all(verdict.status is Status.FAILED for verdict in verdicts[4:]), verdicts


@pytest.mark.parametrize("language", READS)
def test_neither_key_nor_tests_lie_open(arena, language):
    body, declarations = READS[language]
    verdict = arena.attack(language, body, declarations)
    assert verdict.passed, verdict
