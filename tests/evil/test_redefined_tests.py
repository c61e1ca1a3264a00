"""A solution that redefines what the tests call, or what runs them."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import pytest

from sandboxes import Program

CODE = {
    "python check": (
        "python",
        "return -1",
        "import builtins, sys\nclass Check:\n    def __call__(self, *a): pass\nsys.modules[__name__].__dict__.setdefault('check', Check())",
    ),
    "python builtins": ("python", "import builtins\nbuiltins.AssertionError = SystemExit\nreturn -1", ""),
    "python AssertionError": (
        "python",
        "return -1",
        "import os\nclass AssertionError(BaseException):\n    def __init__(self, *a):\n        os._exit(0)",
    ),
    "cpp #define main": ("cpp", "return -1;", "int main() { return 0; }\n#define main ignored"),
    "cpp #define add": ("cpp", "return -1;", "#define if(x) if (false)"),
    "js eval": ("js", "return -1", "const testAdd2 = () => {}\nglobalThis.testAdd = () => {}"),
    "typescript declared test": ("typescript", "return -1", "declare function testAdd(): void"),
    "typescript exported test": ("typescript", "return -1", "exports.testAdd = () => {}"),
    "typescript global test": (
        "typescript",
        "return -1",
        "declare global { var testAdd: any }\nglobalThis.testAdd = () => {}",
    ),
    "go second test": (
        "go",
        "return -1",
        'func TestOther(t *testing.T) {}\nfunc init() { flag.Set("test.run", "TestOther") }',
    ),
    "go skip": (
        "go",
        "return -1",
        'var _ = func() bool { testing.Init(); flag.Set("test.skip", ".*"); return true }()',
    ),
    "rust ignored": ("rust", "if true { return -1; }", "macro_rules! test { () => {} }"),
    "java Main": (
        "java",
        "if (true) return -1;",
        "class Objects { static boolean equals(Object a, Object b) { return true; } }\nclass Arrays { static <T> List<T> asList(T... t) { return new ArrayList<>(); } }",
    ),
}
DECLARATIONS = {"go": 'import "flag"\n'}


@pytest.mark.parametrize("way", CODE)
def test_the_tests_are_those_that_were_given(arena, way):
    language, body, declarations = CODE[way]
    verdict = arena.attack(language, body, DECLARATIONS.get(language, "") + declarations)
    assert not verdict.passed or verdict.suspicious, verdict


FAKE = """package main
import "testing"
type fake struct{}
func (fake) New(t *testing.T) fake { return fake{} }
func (fake) Equal(a, b any) bool { return true }
var assert fake
func Add(a int, b int) int { return -1 }
"""


@pytest.mark.parametrize("more", ["", 'import _ "github.com/stretchr/testify/assert"'])
def test_go_tests_assert_with_their_own_package(arena, more):
    arena.require("go")
    candidate = FAKE.replace('import "testing"', f'import "testing"\n{more}')
    tests = "func TestAdd(t *testing.T) {\n    assert := assert.New(t)\n    assert.Equal(3, Add(1, 2))\n}\n"
    [verdict] = arena.sandbox.run([Program("go", candidate + tests, len(candidate))])
    assert verdict.suspicious == ("it declares assert, which its tests use",)
