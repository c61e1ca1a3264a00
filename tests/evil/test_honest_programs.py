"""Unusual programs that do nothing wrong: what holds attacks off must not hold them up."""

# ruff: noqa: E501 - programs are easiest to read as one line each

from __future__ import annotations

import pytest

from sandboxes import Limits, Program

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
    "python broken pipe": (
        "python",
        "import os, subprocess\nsubprocess.Popen(['true'], stdin=subprocess.PIPE).communicate(b'x' * 1000000)\nr, w = os.pipe()\nos.close(r)\n"
        "try:\n    os.write(w, b'x')\nexcept BrokenPipeError:\n    pass",
        "",
    ),
    "python talks to itself": (
        "python",
        "import socket\nserver = socket.socket()\nserver.bind(('127.0.0.1', 18765))\nserver.listen()\nclient = socket.create_connection(('127.0.0.1', 18765))\n"
        "other, _ = server.accept()\nother.sendall(b'x')\nassert client.recv(1) == b'x'\nother.close()\nclient.close()\nserver.close()",
        "",
    ),
    "python talks to itself, the port was in use": (
        "python",
        "import socket\nserver = socket.socket()\nserver.bind(('127.0.0.1', 18765))",
        "",
    ),
    "python asyncio": (
        "python",
        "async def one():\n    await asyncio.sleep(0)\n    return 1\nassert asyncio.run(one()) == 1",
        "import asyncio",
    ),
    "python unittest": (
        "python",
        "import doctest, unittest\ndoctest.testmod()\nclass Case(unittest.TestCase):\n    def test(self):\n        self.assertEqual(1, 1)\n"
        "unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(Case))",
        "",
    ),
    "python rare imports": (
        "python",
        "import email.mime.text, fileinput, http.server, sqlite3, tarfile, xml.dom.minidom, zipfile",
        "",
    ),
    "python queue between processes": (
        "python",
        "import multiprocessing\nqueue = multiprocessing.Queue()\nprocess = multiprocessing.Process(target=queue.put, args=(3,))\nprocess.start()\nassert queue.get() == 3\nprocess.join()",
        "",
    ),
    "python ctypes": ("python", "import ctypes\nassert ctypes.c_int32(1 << 31).value < 0", ""),
    "python shared value": ("python", "import multiprocessing\nassert multiprocessing.Value('i', 3).value == 3", ""),
    "python a thread fails": (
        "python",
        "import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()",
        "",
    ),
    "python talks to itself by name": (
        "python",
        "import socket\nserver = socket.create_server(('localhost', 0))\nsocket.create_connection(('localhost', server.getsockname()[1])).close()",
        "",
    ),
    "python asks who it is": ("python", "import getpass\nassert getpass.getuser()", ""),
    "python a function of the tests' name": ("python", "def check(x):\n    return x\nassert check(3) == 3", ""),
    "cpp many threads": (
        "cpp",
        "std::atomic<int> n{0};\nstd::vector<std::thread> ts;\nfor (int i = 0; i < 40; i++) ts.emplace_back([&] { n++; });\nfor (auto& t : ts) t.join();\na += n - 40;",
        "#include <atomic>\n#include <thread>\n#include <vector>",
    ),
    "cpp clones": (
        "cpp",
        "Node* copy = Node{a}.clone();\na = copy->value;\ndelete copy;",
        "struct Node { int value; Node* clone() const { return new Node(*this); } };",
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
    "js takes the library apart": (
        "js",
        "const { floor, max } = Math, { stringify } = JSON\nif (floor(1.5) !== 1 || max(1, 2) !== 2 || stringify([1]) !== '[1]') return -1",
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
    "java closes its output": ("java", "PrintWriter w = new PrintWriter(System.out);\nw.println(a);\nw.close();", ""),
    "java closes its output's descriptor": (
        "java",
        "try (OutputStream o = new BufferedOutputStream(new FileOutputStream(FileDescriptor.out))) { o.write(65); }",
        "",
    ),
    "java lambdas": (
        "java",
        'List<Integer> l = new ArrayList<>(List.of(3, 1));\nl.sort(Comparator.comparing(x -> x));\nif (l.get(0) != 1) throw new RuntimeException("unsorted" + l);',
        "",
    ),
    "go goroutines": ("go", "done := make(chan int)\ngo func() { done <- 0 }()\na += <-done", ""),
    "go function types": (
        "go",
        "if apply(func(x int) int { return x }, nil) != nil { return -1 }",
        "type (\n    Pair struct{ int }\n    Op func(int) error\n)\nfunc apply(f func(int) int, then func(error)) (error) { x := f(1); _ = x; return nil }",
    ),
    "go unsafe": ("go", "if unsafe.Sizeof(a) != 8 { return -1 }", 'import "unsafe"'),
    "go package variables": ("go", "a += table[3] - 9", "var table = map[int]int{3: 9}"),
    "rust threads and derives": (
        "rust",
        "let t = std::thread::spawn(|| 0);\nlet a = a + t.join().unwrap();\nassert!(Point { x: 1 } == Point { x: 1 });",
        "#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Debug)]\npub struct Point { x: i32 }",
    ),
    "rust adds": (
        "rust",
        "let a = (Point(a) + Point(0)).0;\nlet vec = vec![a];\nlet matches = matches!(vec[0], 1..);\nassert!(matches);",
        "// we assert that (assert it)\npub struct Point(i32);\nimpl std::ops::Add for Point { type Output = Point; fn add(self, o: Point) -> Point { Point(self.0 + o.0) } }",
    ),
    "rust macro": ("rust", "let a = twice!(a) - a;", "macro_rules! twice { ($e:expr) => { $e + $e } }"),
}


SEEN = {"go unsafe", "python ctypes", "python shared value"}
"""Honest, and worth a look all the same."""


@pytest.mark.parametrize("program", CODE)
def test_an_honest_program_passes(arena, program):
    language, body, declarations = CODE[program]
    verdict = arena.attack(language, body, declarations, limits=Limits(cpu_seconds=10))
    assert verdict.passed, verdict
    assert program in SEEN or not verdict.suspicious


TESTS = {
    "python": ("def add(a, b):\n    return a + b\n", "def check(f):\n    assert f(1, 2) == 3\n\ncheck(add)\n"),
    "cpp": (
        "#include <assert.h>\nint add(int a, int b) { return a + b; } // 'it\n",
        "void check() { assert(add(1, 2) == 3); }\nint main(int argc, char** argv)\n{\n    check();\n    return 0;\n}\n",
    ),
    "js": (
        "const add = (a, b) => a + b\n",
        "const assert = require('node:assert')\nfunction test() {\n  let candidate = add\n  assert.deepEqual(candidate(1, 2), 3)\n}\ntest()\n",
    ),
    "java": (
        "class Solution { int add(int a, int b) { return a + b; } int größe; }\n",
        "class Case { }\npublic class Main { Case one; public static void main(String... args) { if (new Solution().add(1, 2) != 3) throw new AssertionError(); } }\n",
    ),
    "go": (
        'package main\n\nimport "testing"\n\nfunc Add(a, b int) int { return a + b }\n',
        'func  TestAdd( t  *testing.T )  {\n\tt.Run("one", func(t *testing.T) { if Add(1, 2) != 3 { t.Fatal("no") } })\n}\nfunc TestMore(\n\tt *testing.T,\n) {\n\tt.Parallel()\n}\n',
    ),
    "rust": (
        "fn main(){}\nfn add(a: i32, b: i32) -> i32 { a + b }\n",
        "#[cfg(test)] mod tests { use super::add; #[test] fn a() { assert_eq!(add(1, 2), 3) } #[ test ]\n    fn b () { assert!(add(1, 1) == 2); } }\n",
    ),
    "typescript": (
        "const add = (a: number, b: number): number => a + b\n",
        ";[[1, 2, 3]].forEach(([a, b, sum]) => console.assert(add(a, b) === sum))\n",
    ),
}


@pytest.mark.parametrize("language", TESTS)
def test_tests_may_be_written_in_many_ways(arena, language):
    arena.require(language)
    solution, tests = TESTS[language]
    ways = [(solution, tests), (solution.replace("\n", "\r\n"), tests.replace("\n", "\r\n"))]
    ways += [(solution.rstrip("\n"), "\n" + tests.rstrip("\n")), (solution + "\n\n", tests)]
    if language in ("cpp", "js", "go", "rust", "typescript"):  # Others' compilers take no byte order mark.
        ways.append(("\ufeff" + solution, tests))
    verdicts = arena.sandbox.run([Program(language, first + second, len(first)) for first, second in ways])
    assert [verdict.passed for verdict in verdicts] == [True] * len(ways), verdicts
    assert not any(verdict.suspicious for verdict in verdicts) or language == "rust", verdicts


@pytest.mark.parametrize(
    ("language", "documentation", "is_seen"),
    [
        ("cpp", "/* You may assume that each operator is valid, or abort. */\n", False),
        ("cpp", "/* A *\\\n/ struct One { }; bool operator-(One) { return true; } /* */\n", True),
        ("cpp", "/* A *\\\f\n/ struct One { }; bool operator-(One) { return true; } /* */\n", True),
        ("rust", "/* If there is no number, return them as None: it's so. */\n", False),
        ("rust", "/* A /* B */ // */ mod own { pub struct One; } use own::One as Some;\n", True),
    ],
)
def test_documentation_is_not_code(arena, language, documentation, is_seen):
    arena.require(language)
    solution, tests = TESTS[language]
    solution = documentation + "#include <cstdlib>\n" * (language == "cpp") + solution
    [verdict] = arena.sandbox.run([Program(language, solution + tests, len(solution))])
    assert verdict.passed or is_seen, verdict
    assert bool(verdict.suspicious) == is_seen, verdict


def test_three_seconds_of_work_are_no_endless_loop(arena):
    code = "import time\nwhile time.process_time() < 3:\n    pass"
    assert arena.attack("python", code, limits=Limits(cpu_seconds=10)).passed
