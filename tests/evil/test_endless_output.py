"""A program that writes without end."""

from __future__ import annotations

import pytest

from sandboxes import Status

CODE = {
    "python": "import sys\nwhile True:\n    sys.stdout.write('x' * 65536)",
    "cpp": 'for (;;) puts("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");',
    "js": "for (;;) require('fs').writeSync(1, 'x'.repeat(65536))",
    "typescript": "for (;;) require('fs').writeSync(1, 'x'.repeat(65536))",
    "java": 'while (a != 7) System.out.println("x".repeat(65536));',
    "go": 'for { fmt.Println(strings.Repeat("x", 65536)) }',
    "rust": "loop { use std::io::Write; let _ = std::io::stderr().write_all(&[120u8; 65536]); }",
}
DECLARATIONS = {"cpp": "#include <stdio.h>", "go": 'import "fmt"\nimport "strings"'}


@pytest.mark.parametrize("language", CODE)
def test_endless_output_is_cut(arena, language):
    verdict = arena.attack(language, CODE[language], DECLARATIONS.get(language, ""))
    assert verdict.status is Status.OUTPUT_LIMIT
    assert len(verdict.stdout) + len(verdict.stderr) < 1 << 20
