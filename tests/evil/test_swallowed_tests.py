"""A solution whose end reaches into its tests: what follows becomes a comment, a text or the rest of a statement."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import pytest

from sandboxes import Program

# by language: a wrong solution, and what it is tested with; each attack brings its own end, and tests where these do not do
WRONG = {
    "python": "def add(a, b):\n    return -1\n",
    "cpp": "#include <assert.h>\nint add(int a, int b) { return -1; }\n",
    "js": "const add = (a, b) => -1\nconsole.assert(true)\n",
    "typescript": "const add = (a: number, b: number): number => -1\nconsole.assert(true)\n",
    "java": "class Solution { public int add(int a, int b) { return -1; } }\n",
    "go": 'package main\n\nimport (\n    "testing"\n    "github.com/stretchr/testify/assert"\n)\n\nfunc Add(a int, b int) int { return -1 }\n',
    "rust": "fn main(){}\nfn add(a: i32, b: i32) -> i32 { -1 }\n",
}
JS_TEST = "const testAdd = () => {\n  console.assert(add(1, 2) === 3) /* one */\n}\n\ntestAdd()\n"
JS_CALLED = "\n(() => {\n  console.assert(add(1, 2) === 3)\n})()\n"
JAVA_MAIN = "public class Main { public static void main(String[] args) { } }\n"
JAVA_TEST = "public class Main {\n    public static void main(String[] args) {\n        if (new Solution().add(1, 2) != 3) throw new AssertionError();\n    }\n}\n/* end */\n"
GO_TEST = "func TestAdd(t *testing.T) {\n    assert := assert.New(t)\n    assert.Equal(3, Add(1, 2))\n}\n/* end */\n"
RUST_TEST = "#[cfg(test)]\nmod tests {\n    use super::*;\n    #[test]\n    fn test_add() {\n        assert_eq!(add(1, 2), 3);\n    }\n}\n"
CPP_LINE = "int main() { assert (add(1, 2) == 3); }\n"
CPP_TEST = "#undef NDEBUG\n#include <assert.h>\nint main() {\n    assert (add(1, 2) == 3);\n}\n/* end */\n"

ENDS = {
    "python": {
        "continued line": ("if 0: pass; \\\n", "assert add(1, 2) == 3\n"),
        "continued line, spaces": ("if 0: pass; \\\n  ", "assert add(1, 2) == 3\n"),
        "no end of line": ("#", "assert add(1, 2) == 3\n"),
        "open block": ("if 0:\n    pass\n    ", "assert add(1, 2) == 3\n"),
        "decorator": ("@lambda f: (lambda *a: None)\n", "def check(f):\n    assert f(1, 2) == 3\ncheck(add)\n"),
        "text": ('x = """\n', 'def check(f):\n    """Check."""\n    assert f(1, 2) == 3\ncheck(add)\n'),
    },
    "cpp": {
        "continued comment": ("int main() { return 0; }\n// \\\n", CPP_LINE),
        "no end of line": ("int main() { return 0; }\n//", CPP_LINE),
        "no end of a macro's line": ("int main() { return 0; }\n#define NOTHING ", CPP_LINE),
        "comment": ("int main() { return 0; }\n/*\n", CPP_TEST),
        "NDEBUG kept by a continued comment": ("#define NDEBUG\n// \\\n", CPP_TEST),
        "#define in what only looks like a text": (
            '#if 0\n$R"(\n#endif\nconst char* s = "/*";\n#/**/define main main() { return 0; } int other\nconst char* t = "*/";\n#if 0\n)"\n#endif\n',
            CPP_TEST,
        ),
        "main by another name": (
            'int main() __asm__("hidden");\nint other() __asm__("main");\nint other() { return 0; }\n',
            CPP_TEST,
        ),
    },
    "js": {
        "statement": ("if (0)\n", "console.assert(add(1, 2) === 3)\n"),
        "function": ("const f = () =>\n", "console.assert(add(1, 2) === 3)\n"),
        "call": ("const f = () => 0", JS_CALLED),
        "comment": ("const testAdd = () => { /*\n", JS_TEST),
        "no end of line": ("//", "console.assert(add(1, 2) === 3)\n"),
    },
    "typescript": {
        "statement": ("if (0)\n", "console.assert(add(1, 2) === 3)\n"),
        "call": ("const f = () => 0", JS_CALLED),
        "comment": ("const testAdd = () => { /*\n", JS_TEST),
    },
    "java": {
        "comment": (JAVA_MAIN + "/*\n", JAVA_TEST),
        "escaped comment": (JAVA_MAIN + "\\u002f\\u002a\n", JAVA_TEST),
        "text": (JAVA_MAIN + 'class Text { String text = """\n', JAVA_TEST + '// """; }\n'),
    },
    "go": {
        "comment": ("func TestAdd(t *testing.T) {}\nvar _ = assert.New\n/*\n", GO_TEST),
        "text": ("func TestAdd(t *testing.T) {}\nvar _ = assert.New\nvar text = `\n", GO_TEST + "// `\n"),
    },
    "rust": {
        "attribute": ("#[cfg(any())]\n", RUST_TEST),
        "attribute, tests of its own": (
            'pub mod tests { pub fn f() {} pub const OCTOPACK_TESTS: &[(&str, fn())] = &[("a", f as fn())]; }\n#[cfg(any())]\n',
            RUST_TEST,
        ),
        "comment": ("/*\n", RUST_TEST + "/* */ */\n"),
    },
}


@pytest.mark.parametrize("language", ENDS)
def test_what_swallows_its_tests_does_not_pass(arena, language):
    arena.require(language)
    programs = {}
    for name, (end, tests) in ENDS[language].items():
        candidate = WRONG[language] + end
        programs[name] = Program(language, candidate + tests, len(candidate), arena.program(language).limits)
    verdicts = arena.sandbox.run(programs.values())
    passed = [name for name, verdict in zip(programs, verdicts, strict=True) if verdict.passed]
    assert not passed
