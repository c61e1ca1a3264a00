"""A program that finds its answers with the help of its own tests: runs them, forks before them, or reads them."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import pytest

from sandboxes import Program
from sandboxes.payload import WORK

SELF = f"{WORK}/sealed"
"""Where a program's own executable lies."""
TESTS = {
    "python": "\ndef check(add):\n    assert add(1, 2) == 3\n\ncheck(add)\n",
    "cpp": "#undef NDEBUG\n#include <assert.h>\nint main() {\n    assert (add(1, 2) == 3);\n}\n",
    "js": "\nconst testAdd = () => {\n  console.assert(add(1, 2) === 3)\n}\n\ntestAdd()\n",
    "typescript": "\nconst testAdd = () => {\n  console.assert(add(1, 2) === 3)\n}\n\ntestAdd()\n",
    "java": "public class Main {\n    public static void main(String[] args) {\n        if (new Solution().add(1, 2) != 3) throw new AssertionError();\n    }\n}\n",
    "go": "func TestAdd(t *testing.T) {\n    assert := assert.New(t)\n    assert.Equal(3, Add(1, 2))\n}\n",
    "rust": "#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn test_add() {\n        assert_eq!(add(1, 2), 3);\n    }\n}\n",
}
GO = 'package main\n\nimport (\n    "testing"\n    "github.com/stretchr/testify/assert"\n)\n'

FORKS = {
    "python a fork for each answer": (
        "python",
        "import os\ndef add(a, b):\n    for guess in range(9):\n        if os.fork() == 0:\n            return guess\n    while True:\n"
        "        try:\n            os.wait()\n        except ChildProcessError:\n            os.execl('/bin/true', 'true')\n",
    ),
    "cpp a fork for each answer": (
        "cpp",
        "#include <unistd.h>\n#include <sys/wait.h>\nint add(int a, int b) {\n    for (int guess = 0; guess < 9; guess++) if (fork() == 0) return guess;\n"
        '    while (wait(0) > 0);\n    execl("/bin/true", "true", (char*) 0);\n    return 0;\n}\n',
    ),
    "cpp starts itself": (
        "cpp",
        '#include <stdlib.h>\n#include <string>\nint add(int a, int b) {\n    if (getenv("GUESS")) return atoi(getenv("GUESS"));\n    for (int guess = 0; guess < 9; guess++)\n'
        f'        if (system(("GUESS=" + std::to_string(guess) + " {SELF}/a.out").c_str()) == 0) return guess;\n    return -1;\n}}\n',
    ),
    "cpp starts itself with another library": (
        "cpp",
        '#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\nint add(int a, int b) {\n    if (!getenv("AGAIN")) {\n        FILE* f = fopen("e.c", "w");\n'
        '        fputs("void __assert" "_fail(const char* a, const char* b, unsigned c, const char* d) {}", f);\n        fclose(f);\n        system("gcc -shared -fPIC -o e.so e.c");\n'
        f'        setenv("AGAIN", "1", 1);\n        setenv("LD_PRELOAD", "./e.so", 1);\n        execl("{SELF}/a.out", "a.out", (char*) 0);\n    }}\n    return -1;\n}}\n',
    ),
    "go starts itself": (
        "go",
        GO
        + 'import "os"\nimport "os/exec"\nimport "strconv"\nfunc Add(a int, b int) int {\n    if s := os.Getenv("GUESS"); s != "" { n, _ := strconv.Atoi(s); return n }\n    for guess := 0; guess < 9; guess++ {\n'
        f'        c := exec.Command("{SELF}/test", append(os.Args[1:], "0")...)\n'
        '        c.Env = append(os.Environ(), "GUESS=" + strconv.Itoa(guess))\n        if c.Run() == nil { return guess }\n    }\n    return -1\n}\n',
    ),
    "go keeps the ticket": (
        "go",
        GO
        + 'import "os"\nimport "os/exec"\nimport "strconv"\nvar ticket [64]byte\nvar length, _ = os.NewFile(4, "").Read(ticket[:])\nfunc Add(a int, b int) int {\n    if s := os.Getenv("GUESS"); s != "" { n, _ := strconv.Atoi(s); return n }\n    for guess := 0; guess < 9; guess++ {\n'
        f'        c := exec.Command("{SELF}/test", append(os.Args[1:], "0")...)\n        r, w, _ := os.Pipe()\n        w.Write(ticket[:32])\n        w.Close()\n        c.ExtraFiles = []*os.File{{r, r}}\n'
        '        c.Env = append(os.Environ(), "GUESS=" + strconv.Itoa(guess))\n        if c.Run() == nil { return guess }\n    }\n    return -1\n}\n',
    ),
    "rust starts itself": (
        "rust",
        'fn main(){}\nfn add(a: i32, b: i32) -> i32 {\n    if let Ok(guess) = std::env::var("GUESS") { return guess.parse().unwrap(); }\n    for guess in 0..9 {\n'
        f'        let mut me = std::process::Command::new("{SELF}/test");\n'
        '        let done = me.args(std::env::args().skip(1)).env("GUESS", guess.to_string()).status();\n        if done.map(|status| status.success()).unwrap_or(false) { return guess; }\n    }\n    -1\n}\n',
    ),
}
"""They prove nothing."""

HELPED = {
    "python a fork tells": (
        "python",
        "import os\ndef add(a, b):\n    for guess in range(9):\n        pid = os.fork()\n        if pid == 0:\n            return guess\n        if os.waitpid(pid, 0)[1] >> 8 != 1:\n            return guess\n    return -1\n",
    ),
    "python calls its tests": (
        "python",
        "tried = []\ndef add(a, b):\n    if tried: return tried[0]\n    for guess in range(9):\n        tried[:] = [guess]\n        try:\n            check(add)\n        except AssertionError:\n            continue\n        return guess\n",
    ),
    "python reads its tests": (
        "python",
        "import dis\ndef add(a, b):\n    return [one.argval for one in dis.get_instructions(check) if type(one.argval) is int][-1]\n",
    ),
    "python asks its caller": (
        "python",
        "import sys\ndef add(a, b):\n    frame = vars(sys)['_get' + 'frame'](1)\n    code = getattr(frame, 'f_' + 'code')\n    return [one for one in getattr(code, 'co_' + 'consts') if type(one) is int][-1]\n",
    ),
    "python asks a traceback": (
        "python",
        "def add(a, b):\n    try:\n        1 / 0\n    except ZeroDivisionError as error:\n        trace = getattr(error, '_' + '_traceback_' + '_')\n        frame = getattr(getattr(trace, 'tb_' + 'frame'), 'f_' + 'back')\n"
        "        return [one for one in getattr(getattr(frame, 'f_' + 'code'), 'co_' + 'consts') if type(one) is int][-1]\n",
    ),
    "cpp a fork tells": (
        "cpp",
        "#include <unistd.h>\n#include <sys/wait.h>\nint add(int a, int b) {\n    for (int guess = 0; guess < 9; guess++) {\n        int status;\n        if (fork() == 0) { close(2); return guess; }\n        wait(&status);\n        if (status == 0) return guess;\n    }\n    return -1;\n}\n",
    ),
    "js reads its tests": ("js", "const add = (a, b) => Number(String(testAdd).split('=== ')[1].split(')')[0])\n"),
    "js asks its caller": (
        "js",
        "const add = (a, b) => {\n  const real = Error.prepareStackTrace\n  Error.prepareStackTrace = (error, sites) => sites\n  const sites = new Error().stack\n  Error.prepareStackTrace = real\n"
        "  return Number(String(sites[1].getFunction()).split('=== ')[1].split(')')[0])\n}\n",
    ),
    "js has its tests printed": (
        "js",
        "const add = (a, b) => Number(String(require('child_process').execSync('cat test.js')).split('\\n').find((line) => line.startsWith('  console.assert')).split('=== ')[1].split(')')[0])\n",
    ),
    "typescript reads its tests": (
        "typescript",
        "const add = (a: number, b: number): number => Number(String(testAdd).split('=== ')[1].split(')')[0])\n",
    ),
    "java calls its tests": (
        "java",
        "class Solution {\n    static Integer tried;\n    int add(int a, int b) {\n        if (tried != null) return tried;\n        for (int guess = 0; guess < 9; guess++) {\n            tried = guess;\n"
        "            try { Main.main(null); return guess; } catch (AssertionError wrong) { }\n        }\n        return -1;\n    }\n}\n",
    ),
    "go calls its tests": (
        "go",
        GO
        + "var guess int\nvar trying bool\nfunc Add(a int, b int) int {\n    if trying { return guess }\n    trying = a == a\n    for guess = 0; guess < 9; guess++ {\n        var t testing.T\n        TestAdd(&t)\n        if !t.Failed() { return guess }\n    }\n    return -1\n}\n",
    ),
}
"""They are named."""


def judged(arena, language, candidate, tests):
    arena.require(language)
    limits = arena.program(language).limits
    [verdict] = arena.sandbox.run([Program(language, candidate + tests, len(candidate), limits)])
    return verdict


@pytest.mark.parametrize("way", FORKS)
def test_another_process_proves_nothing(arena, way):
    language, candidate = FORKS[way]
    verdict = judged(arena, language, candidate, TESTS[language])
    assert not verdict.passed, verdict


@pytest.mark.parametrize("way", HELPED)
def test_help_from_the_tests_is_seen(arena, way):
    language, candidate = HELPED[way]
    verdict = judged(arena, language, candidate, TESTS[language])
    assert not verdict.passed or verdict.suspicious, verdict


JAVA_HELPER = """public class Main {
    public static void main(String[] args) throws Exception {
        Check.equal(new Solution().add(1, 2), 3);
    }
}
class Check {
    static void equal(int a, int b) {
        if (a != b) throw new AssertionError();
    }
}
"""
JAVA_REPLACES = """import java.io.*;
class Solution {
    int add(int a, int b) throws Exception {
        byte[] code = new FileInputStream("Check.class").readAllBytes();
        for (int i = 0; i < code.length - 2; i++) {
            if (code[i] == 0x1a && code[i + 1] == 0x1b && (code[i + 2] & 0xff) == 0x9f) code[i + 1] = 0x1a;
        }
        new File("Check.class").delete();
        try (FileOutputStream output = new FileOutputStream("Check.class")) { output.write(code); }
        return -1;
    }
}
"""


def test_java_tests_are_loaded_before_the_program_can_replace_them(arena):
    verdict = judged(arena, "java", JAVA_REPLACES, JAVA_HELPER)
    assert not verdict.passed, verdict
