"""A program that allocates without bound."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import pytest

CODE = {
    "python": "hoard = []\nwhile True:\n    hoard.append(bytearray(b'x' * (16 << 20)))",
    "cpp": "std::vector<char*> hoard;\nfor (;;) { char* p = (char*) malloc(1 << 24); if (!p) abort(); memset(p, 1, 1 << 24); hoard.push_back(p); }",
    "js": "const hoard = []\nfor (;;) hoard.push(Buffer.alloc(1 << 24, 1))",
    "typescript": "const hoard: Buffer[] = []\nfor (;;) hoard.push(Buffer.alloc(1 << 24, 1))",
    "java": "List<byte[]> hoard = new ArrayList<>();\nwhile (a != 7) { byte[] p = new byte[1 << 24]; Arrays.fill(p, (byte) 1); hoard.add(p); }",
    "go": "hoard := [][]byte{}\nfor a != 7 { p := make([]byte, 1<<24); for i := range p { p[i] = 1 }; hoard = append(hoard, p) }",
    "rust": "let mut hoard = Vec::new();\nloop { hoard.push(vec![1u8; 1 << 24]); if hoard.len() == usize::MAX { break; } }",
}
DECLARATIONS = {"cpp": "#include <vector>\n#include <stdlib.h>\n#include <string.h>"}


@pytest.mark.parametrize("language", CODE)
def test_memory_has_an_end(arena, language):
    verdict = arena.attack(language, CODE[language], DECLARATIONS.get(language, ""))
    assert not verdict.passed
    assert verdict.memory_bytes < 2 << 30


def test_many_processes_share_one_limit(arena):
    code = "import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n        hoard = bytearray(b'x' * (200 << 20))\n        time.sleep(20)\n        os._exit(0)\ntime.sleep(20)"
    assert not arena.attack("python", code).passed
