"""Unusual programs that do nothing wrong: what holds attacks off must not hold them up."""

# ruff: noqa: E501 - programs are easiest to read as one line each

from __future__ import annotations

import pytest

from sandboxes import Limits

CODE = {
    "python threads": (
        "python",
        "import threading\nts = [threading.Thread(target=sum, args=(range(1000),)) for _ in range(20)]\n[t.start() for t in ts]\n[t.join() for t in ts]",
        "",
    ),
    "python subprocess": (
        "python",
        "import subprocess, sys\nassert subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True).stdout == b'1\\n'",
        "",
    ),
    "python temporary files": (
        "python",
        "import tempfile\nwith tempfile.TemporaryDirectory() as d, open(d + '/x', 'w+') as f:\n    f.write('x' * 1000000)",
        "",
    ),
    "python 300 MB": ("python", "hoard = bytearray(b'x' * (300 << 20))\nassert len(hoard) == 300 << 20", ""),
    "python recursion": (
        "python",
        "import sys\nsys.setrecursionlimit(20000)\ndef down(n):\n    return n and 1 + down(n - 1)\nassert down(15000) == 15000",
        "",
    ),
    "python pool": (
        "python",
        "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as pool:\n    assert pool.map(abs, [-1, -2]) == [1, 2]",
        "",
    ),
    "python dataclass": (
        "python",
        "import dataclasses, enum, collections\nassert Point(1) == Point(1)",
        "import dataclasses\n@dataclasses.dataclass\nclass Point:\n    x: int",
    ),
    "cpp threads": (
        "cpp",
        "int n = 0;\nstd::thread t([&] { n = 1; });\nt.join();\nif (n != 1) return -1;",
        "#include <thread>\n#include <stdlib.h>",
    ),
    "cpp macros": (
        "cpp",
        "REP(i, 3) a += 0 * i;\na += 0 * (ll) 1;",
        "#define REP(i, n) for (int i = 0; i < (n); i++)\n#define ll long long",
    ),
    "cpp recursion": (
        "cpp",
        "if (down(200000) != 200000) return -1;",
        "int down(int n) { volatile int m = n; return m ? 1 + down(m - 1) : 0; }",
    ),
    "js class and modules": (
        "js",
        "const fs = require('fs'), os = require('os')\nclass Box extends Map { }\nconst box = new Box([[1, 2]])\nfs.writeFileSync('x', String(box.get(1)))",
        "",
    ),
    "js recursion": ("js", "const down = (n) => n ? 1 + down(n - 1) : 0\nif (down(5000) !== 5000) return -1", ""),
    "typescript types and modules": (
        "typescript",
        "const box = new Box<number>([[1, 2]])\nwriteFileSync('x', String(box.get(Kind.B)))\nconst [first]: Pair = [box.size, 'x']\nif (first !== 1) return -1",
        "import { writeFileSync } from 'fs'\nexport enum Kind { A, B }\ntype Pair = [number, string]\nexport default class Box<T> extends Map<number, T> { }",
    ),
    "java threads and records": (
        "java",
        "Thread t = new Thread(() -> { });\nt.start();\nt.join();\nif (!new Pair(1, 2).equals(new Pair(1, 2))) return -1;",
        "record Pair(int a, int b) { }",
    ),
    "java lambdas": (
        "java",
        'List<Integer> l = new ArrayList<>(List.of(3, 1));\nl.sort(Comparator.comparing(x -> x));\nif (l.get(0) != 1) throw new RuntimeException("unsorted" + l);',
        "",
    ),
    "go goroutines": ("go", "done := make(chan int)\ngo func() { done <- 0 }()\na += <-done", ""),
    "go unsafe": ("go", "if unsafe.Sizeof(a) != 8 { return -1 }", 'import "unsafe"'),
    "go package variables": ("go", "a += table[3] - 9", "var table = map[int]int{3: 9}"),
    "rust threads and derives": (
        "rust",
        "let t = std::thread::spawn(|| 0);\nlet a = a + t.join().unwrap();\nassert!(Point { x: 1 } == Point { x: 1 });",
        "#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Debug)]\npub struct Point { x: i32 }",
    ),
    "rust macro": ("rust", "let a = twice!(a) - a;", "macro_rules! twice { ($e:expr) => { $e + $e } }"),
}


SEEN = {"go unsafe"}
"""Honest, and worth a look all the same."""


@pytest.mark.parametrize("program", CODE)
def test_an_honest_program_passes(arena, program):
    language, body, declarations = CODE[program]
    verdict = arena.attack(language, body, declarations, limits=Limits(cpu_seconds=10))
    assert verdict.passed, verdict
    assert program in SEEN or not verdict.suspicious


def test_three_seconds_of_work_are_no_endless_loop(arena):
    code = "import time\nwhile time.process_time() < 3:\n    pass"
    assert arena.attack("python", code, limits=Limits(cpu_seconds=10)).passed
