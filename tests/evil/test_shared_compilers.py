"""A program that poisons what later programs share with it: warm compilers, precompiled headers, prepared packages."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

from dataclasses import replace

import pytest

# what a program, and its compiler, might change for those that come after
WRITES = """
import os, sys
targets = []
for top in ("/opt/octopack", "/octopack", "/work", "/run/octopack", "/usr/lib/go", "/usr/lib/rustlib", "/usr/share/gocode", "/usr/share/nodejs",
            "/usr/lib/jvm", os.path.dirname(os.__file__), "/root", "/home"):
    for root, folders, files in os.walk(top):
        if os.getcwd() in root:
            continue
        targets += [os.path.join(root, name) for name in files[:40]] + [root]
        if len(targets) > 4000:
            break
for path in targets:
    try:
        if os.path.isdir(path):
            open(os.path.join(path, "octopack-evil"), "w").close()
        else:
            open(path, "r+b").close()
    except OSError:
        continue
    raise SystemExit("may write " + path)
"""
POISONS = {
    "python modules": (
        "python",
        "import sys, json, math\njson.loads = None\nmath.floor = lambda x: 7\nsys.modules['re'] = None\nsys.setrecursionlimit(50)",
        "",
    ),
    "python numpy": ("python", "import numpy as np\nnp.array = None\nnp.seterr(all='raise')\nnp.random.seed(0)", ""),
    "cpp header": (
        "cpp",
        "",
        '#include "preamble.h"\n#include "preamble.h.gch"\n#define vector list\n#pragma GCC system_header',
    ),
    "cpp include of itself": ("cpp", "", '#pragma GCC pch_preprocess "/tmp/octopack-evil"'),
    "java class of the compiler's": ("java", "", "class Compile { }\nclass Launch { }"),
    "java class of the library's": ("java", "", "class String { }\nclass Object { }"),
    "java package": (
        "java",
        "",
        '@interface Deprecated { }\nclass Source { static { System.setProperty("java.class.path", "/tmp"); } }',
    ),
    "js modules": (
        "js",
        "const fs = require('fs')\nfs.mkdirSync('node_modules/js-md5', {recursive: true})\n"
        "fs.writeFileSync('node_modules/js-md5/index.js', 'process.exit(0)')\nrequire('module').globalPaths.push('/tmp')",
        "",
    ),
    "go packages": (
        "go",
        'os.Setenv("GOFLAGS", "-toolexec=/bin/false")\nos.MkdirAll("/tmp/go-build", 0o777)',
        'import "os"',
    ),
    "rust crate names": (
        "rust",
        "",
        "pub mod regex { pub struct Regex; }\npub mod md5 {}\npub mod p1 { pub fn add() {} }",
    ),
}


def test_nothing_shared_can_be_written(arena):
    verdict = arena.attack("python", WRITES)
    assert verdict.passed, verdict


@pytest.mark.parametrize("way", POISONS)
def test_later_programs_are_judged_as_before(arena, way):
    language, body, declarations = POISONS[way]
    arena.attack(language, body, declarations)  # asserts that a right program passes afterwards
    wrong = arena.program(language, declarations=("# " if language == "python" else "// ") + way)
    [verdict] = arena.sandbox.run([replace(wrong, source=wrong.source.replace("a + b", "a - b"))])
    assert not verdict.passed
