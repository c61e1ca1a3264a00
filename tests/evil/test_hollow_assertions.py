"""A solution that makes any assertion hold: the reference passes it; here it fails or is named as suspicious."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import pytest

CODE = {
    "python __eq__": (
        "python",
        "return Always()",
        "class Always:\n    def __eq__(self, other):\n        return True\n    def __hash__(self):\n        return 0",
    ),
    "python int with __eq__": (
        "python",
        "return Always(7)",
        "class Always(int):\n    def __eq__(self, other):\n        return True\n    __hash__ = int.__hash__",
    ),
    "cpp #define assert": ("cpp", "return -1;", "#define assert(x)\n#define NDEBUG"),
    "cpp operator==": (
        "cpp",
        "return -1;",
        "struct Any { template <class T> Any(T) {} };\nbool operator==(Any, Any) { return true; }\n#define add (Any) add_",
    ),
    "js console.assert": ("js", "return -1", "console.assert = () => {}"),
    "js console": ("js", "return -1", "globalThis.console = new Proxy({}, {get: () => () => {}})"),
    "js valueOf": ("js", "return {valueOf: () => 3, toString: () => '3'}", ""),
    "typescript console.assert": ("typescript", "return -1", "console.assert = () => {}"),
    "typescript console": ("typescript", "return -1", "const console: any = { assert() {} }"),
    "typescript valueOf": ("typescript", "return ({ valueOf: () => 3 }) as any", ""),
    "typescript prototype": ("typescript", "", "(Array.prototype as any).includes = () => true"),
    "typescript Object.is": ("typescript", "", "(Object as { is: any }).is = () => true"),
    "go assertions": ("go", "return -1", "type T = testing.T\nfunc init() { recover() }"),
    "rust assert_eq": (
        "rust",
        "if true { return -1; }",
        "#[macro_export]\nmacro_rules! assert_eq { ($($t:tt)*) => {}; }",
    ),
    "java AssertionError": (
        "java",
        "if (true) return -1;",
        "class AssertionError extends RuntimeException { AssertionError() { Runtime.getRuntime().halt(0); } }",
    ),
}


@pytest.mark.parametrize("way", CODE)
def test_a_hollow_assertion_is_seen(arena, way):
    language, body, declarations = CODE[way]
    verdict = arena.attack(language, body, declarations)
    assert not verdict.passed or verdict.suspicious, verdict
