"""A program that waits for input."""

from __future__ import annotations

import pytest

CODE = {
    "python": "import sys\nassert sys.stdin.read() == ''",
    "cpp": "if (getchar() != EOF) abort();",
    "js": "if (require('fs').readFileSync(0).length) process.abort()",
    "typescript": "if (require('fs').readFileSync(0).length) process.abort()",
    "java": "if (System.in.read() != -1) throw new Error();",
    "go": "if _, err := os.Stdin.Read(make([]byte, 1)); err == nil { panic(err) }",
    "rust": "let mut line = String::new();\nassert_eq!(std::io::stdin().read_line(&mut line).unwrap(), 0);",
}
DECLARATIONS = {"cpp": "#include <stdio.h>\n#include <stdlib.h>", "go": 'import "os"'}


@pytest.mark.parametrize("language", CODE)
def test_input_is_at_its_end(arena, language):
    assert arena.attack(language, CODE[language], DECLARATIONS.get(language, "")).passed
