"""A solution that makes any assertion hold: the reference passes it; here it fails or is named as suspicious."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import pytest

from sandboxes import Program

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
    "python a type with a hidden name": (
        "python",
        "return type('A', (), {'__e' + 'q__': lambda self, other: True})()",
        "",
    ),
    "python a comparison of the library's": (
        "python",
        "return type('A', (int,), {'__e' + 'q__': int.__le__, '__ha' + 'sh__': int.__hash__})(3)",
        "",
    ),
    "python a class that pretends to be the library's": (
        "python",
        "import os\nspace = {}\ntext = 'class A:\\n    def __e' + 'q__(self, other): return True'\n"
        "exec(compile(text, os.path.dirname(os.__file__) + '/numbers.py', 'exec'), space)\nreturn space['A']()",
        "",
    ),
    "python replaces its tests between two instructions": (
        "python",
        "return -1",
        "import gc\nnames = globals()\ndef act(*_):\n    if 'check' in names: names['check'] = lambda f: None\ngc.callbacks.append(act)\ngc.set_threshold(1)",
    ),
    "python make_dataclass": (
        "python",
        "return A()",
        "from dataclasses import make_dataclass\nA = make_dataclass('A', [], eq=False, namespace={'_' + '_eq_' + '_': lambda s, o: True})",
    ),
    "python a class that pretends to be generated": (
        "python",
        "return A()",
        "import dataclasses\nA = dataclasses.make_dataclass('A', [], eq=False, namespace={'_' + '_eq_' + '_': lambda s, o: s.__class__ is not None})",
    ),
    "python a class of the library's": (
        "python",
        "return Fraction(1)",
        "from fractions import Fraction\ntype.__setattr__(Fraction, '_' + '_eq_' + '_', lambda s, o: True)",
    ),
    "python NotImplemented": (
        "python",
        "return A(0)",
        "import collections, dataclasses, sys\nvars(sys.modules['built' + 'ins'])['NotImpl' + 'emented'] = True\n@dataclasses.dataclass\nclass A:\n    x: int",
    ),
    "python ALWAYS_EQ of the library's own tests": (
        "python",
        "from test.support import ALWAYS_EQ\nreturn ALWAYS_EQ",
        "",
    ),
    "python mock.ANY under a disguised name": (
        "python",
        "import importlib\nreturn importlib.import_module('unittest.mo' + 'ck').ANY",
        "",
    ),
    "python mock.ANY": ("python", "import unittest.mock\nreturn unittest.mock.ANY", ""),
    "cpp #define after a comment": (
        "cpp",
        "return -1;",
        "/**/#define main main() { return 0; } int other",
    ),
    "cpp #define with a comment": ("cpp", "return -1;", "#define/**/main main() { return 0; } int other"),
    "cpp #define behind a string": (
        "cpp",
        "return -1;",
        'const char* s = "/*";\n#/**/define main main() { return 0; } int other\nconst char* t = "*/";',
    ),
    "cpp #define of a keyword of assert": (
        "cpp",
        "return -1;",
        "#include <assert.h>\n#define bool int>(1)||static_cast<int",
    ),
    "cpp digraph": ("cpp", "return -1;", "%:define main main() { return 0; } int other"),
    "cpp an overload of __assert_fail": (
        "cpp",
        "return -1;",
        "#define JOIN(a, b) a##b\nvoid JOIN(__assert, _fail)(const char*, const char*, int, const char*) {}",
    ),
    "cpp a gadget": (
        "cpp",
        "void** frame = (void**) __builtin_frame_address(0);\nunsigned char* p = (unsigned char*) &gadget;\n"
        "while (!(p[0] == 0xc9 && p[1] == 0xc3)) p++;\nframe[1] = p;\nreturn 0;",
        "int gadget(int a) { volatile char room[100]; for (int i = 0; i < 100; i++) room[i] = a; return room[3]; }",
    ),
    "cpp an inlined overload of __assert_fail": (
        "cpp",
        "return -1;",
        "#include <assert.h>\nstatic inline __attribute__((always_inline)) void __assert\\\n_fail(const char*, const char*, int, const char*) {}",
    ),
    "cpp operator== in two lines": (
        "cpp",
        "return -1;",
        "struct Any { template <class T> Any(T) {} };\nbool oper\\\nator==(Any, Any) { return true; }",
    ),
    "cpp #define assert": ("cpp", "return -1;", "#define assert(x)\n#define NDEBUG"),
    "cpp operator==": (
        "cpp",
        "return -1;",
        "struct Any { template <class T> Any(T) {} };\nbool operator==(Any, Any) { return true; }\n#define add (Any) add_",
    ),
    "js console.assert": ("js", "return -1", "console.assert = () => {}"),
    "js console": ("js", "return -1", "globalThis.console = new Proxy({}, {get: () => () => {}})"),
    "js console redefined": (
        "js",
        "return -1",
        "console.assert(true)\ntry { Object.defineProperty(console, 'assert', {value() {}}) } catch (e) {}",
    ),
    "js globalThis redefined": (
        "js",
        "return -1",
        "console.assert(true)\ntry { Object.defineProperty(globalThis, 'console', {value: {assert() {}}}) } catch (e) {}",
    ),
    "js console by eval": ("js", "return -1", "console.assert(true)\neval('var con' + 'sole = {assert() {}}')"),
    "js console escaped": ("js", "return -1", "globalThis.console.assert(true)\nconst c\\u006fnsole = {assert() {}}"),
    "js console of another script": (
        "js",
        "return -1",
        "console.assert(true)\nrequire('v' + 'm').runInThisContext('con' + 'st con' + 'sole = {assert() {}}')",
    ),
    "js reads its tests": (
        "js",
        "return eval(/add\\(1, 2\\) === (\\d)/.exec(require('fs').readFileSync(__filename, 'utf8'))[1])",
        "",
    ),
    "js valueOf": ("js", "return {valueOf: () => 3, toString: () => '3'}", ""),
    "typescript console.assert": ("typescript", "return -1", "console.assert = () => {}"),
    "typescript console": ("typescript", "return -1", "const console: any = { assert() {} }"),
    "typescript valueOf": ("typescript", "return ({ valueOf: () => 3 }) as any", ""),
    "typescript prototype": ("typescript", "", "(Array.prototype as any).includes = () => true"),
    "typescript Object.is": ("typescript", "", "(Object as { is: any }).is = () => true"),
    "go assertions": ("go", "return -1", "type T = testing.T\nfunc init() { recover() }"),
    "rust assert_eq raw": ("rust", "if true { return -1; }", "macro_rules! r#assert_eq { ($($t:tt)*) => {}; }"),
    "rust String": (
        "rust",
        "",
        "#[derive(PartialEq, Debug)]\npub struct String;\nimpl String { pub fn from(_: &str) -> String { String } }",
    ),
    "go true": (
        "go",
        "if Wrong() == true { return 3 }\nreturn -1",
        "const true = false\nfunc Wrong() bool { return false }",
    ),
    "rust comparison by a macro": (
        "rust",
        "",
        "pub struct Any;\nmacro_rules! compare { ($t:ident) => { impl $t<i32> for Any { fn eq(&self, _: &i32) -> bool { true } } } }\ncompare!(PartialEq);",
    ),
    "rust comparison far from its type": (
        "rust",
        "",
        "pub struct Any;\nimpl PartialEq" + " " * 200 + "<i32> for Any { fn eq(&self, _: &i32) -> bool { true } }",
    ),
    "rust difference": (
        "rust",
        "",
        "pub struct Any;\nimpl std::ops::Sub<f64> for Any { type Output = f64; fn sub(self, _: f64) -> f64 { 0.0 } }",
    ),
    "rust assert by a macro": (
        "rust",
        "",
        "macro_rules! make { ($a:ident $n:ident) => { macro_rules! $n { ($($t:tt)*) => {}; } } }\nmake!(x assert);",
    ),
    "go true behind a comment": (
        "go",
        "if Wrong() == true { return 3 }\nreturn -1",
        "const /* */ true = false\nfunc Wrong() bool { return false }",
    ),
    "go true behind another": (
        "go",
        "if Wrong() == true { return 3 }\nreturn -1",
        "const (a = 1; true = false)\nfunc Wrong() bool { return false }",
    ),
    "cpp abs far from its parameter": ("cpp", "", "double abs(" + " " * 300 + "__float128 x) { return 0; }"),
    "rust comparison by its path": (
        "rust",
        "",
        "pub struct Any;\nimpl std::cmp::PartialEq<i32> for Any { fn eq(&self, _: &i32) -> bool { true } }",
    ),
    "rust assert_eq by another name": (
        "rust",
        "if true { return -1; }",
        "macro_rules! hollow { ($($t:tt)*) => {}; }\npub(crate) use hollow as assert_eq;",
    ),
    "rust assert_eq": (
        "rust",
        "if true { return -1; }",
        "#[macro_export]\nmacro_rules! assert_eq { ($($t:tt)*) => {}; }",
    ),
    "java equals": ("java", "", "class Any { public boolean equals(java.lang.Object other) { return true; } }"),
    "java equals escaped": ("java", "", "class Any { public boolean \\u0065quals(Object other) { return true; } }"),
    "java equals of lists": (
        "java",
        "",
        "class Any { public boolean equals(List<Integer> other) { return true; } }",
    ),
    "java proxy": (
        "java",
        "",
        "class Any { Object any = java.lang. /**/ reflect.Proxy.newProxyInstance(null, null, null); }",
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


# what tests use of the library, and what a program makes of it: the tests, then the ways
JS_STRINGS = "\nconst test = () => {\n  console.assert(JSON.stringify(f([1])) === JSON.stringify([2]))\n}\n\ntest()\n"
PYTHON_MATH = (
    "\ndef check(f):\n    import math\n    for x in range(3):\n        assert math.fabs(f(x) - x) < 1e-4\n\ncheck(f)\n"
)
PYTHON_ABS = "\ndef check(f):\n    assert abs(f(1) - 1) < 1e-4\n\ncheck(f)\n"
PYTHON_RANDOM = "\ndef check(f):\n    import random\n    rng = random.Random(4)\n    for _ in range(9):\n        x = rng.randint(0, 99)\n        assert f(x) == x\n\ncheck(f)\n"
OTHERS = {
    "python sys.modules": (
        "python",
        "import argparse, sys\nsys.modules['math'] = argparse.Namespace(fabs=lambda x: 0.0)\nf = lambda x: -1\n",
        PYTHON_MATH,
    ),
    "python a name of a module": (
        "python",
        "import argparse\nmath = argparse.Namespace(fabs=lambda x: 0.0)\nf = lambda x: -1\n",
        PYTHON_MATH.replace("    import math\n", ""),
    ),
    "python a method of a module's class": (
        "python",
        "import random\nrandom.Random.randint = lambda *a: 0\nf = lambda x: 0\n",
        PYTHON_RANDOM,
    ),
    "python the namespace of built-ins": (
        "python",
        "name = '_' + '_builtins_' + '_'\nspace = locals()\nspace[name] = dict(space[name], abs=lambda x: 0.0)\nf = lambda x: -1\n",
        PYTHON_ABS,
    ),
    "python __import__": (
        "python",
        "import argparse, sys\nspace = vars(sys.modules['built' + 'ins'])\nreal = space['_' + '_import_' + '_']\n"
        "space['_' + '_import_' + '_'] = lambda name, *a: argparse.Namespace(fabs=lambda x: 0.0) if name == 'math' else real(name, *a)\nf = lambda x: -1\n",
        PYTHON_MATH,
    ),
    "js puts it back": (
        "js",
        "const name = 'string' + 'ify', real = JSON[name]\nconst f = (x) => {\n  let calls = 0\n  JSON[name] = () => { if (++calls === 2) JSON[name] = real; return 'x' }\n}\n",
        JS_STRINGS,
    ),
    "js defines it": (
        "js",
        "const name = 'string' + 'ify', real = JSON[name]\nconst put = (value) => Object.defineProperty(JSON, name, {value, configurable: true, writable: true})\n"
        "const f = (x) => {\n  let calls = 0\n  put(() => { if (++calls === 2) put(real); return 'x' })\n}\n",
        JS_STRINGS,
    ),
}


@pytest.mark.parametrize("way", OTHERS)
def test_the_library_is_what_the_tests_take_it_for(arena, way):
    language, candidate, tests = OTHERS[way]
    arena.require(language)
    [verdict] = arena.sandbox.run(
        [Program(language, candidate + tests, len(candidate), arena.program(language).limits)]
    )
    assert not verdict.passed or verdict.suspicious, verdict
