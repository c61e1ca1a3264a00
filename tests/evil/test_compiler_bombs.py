"""Sources that attack the compiler: endless work, endless input, files of the host."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import pytest

from sandboxes import Program

BOMBS = {
    "cpp endless include": ("cpp", '#include "/dev/zero"'),
    "cpp include of a terminal": ("cpp", '#include "/dev/tty"'),
    "cpp include of itself": ("cpp", "#include __FILE__"),
    "cpp templates": (
        "cpp",
        "template <int N> struct F { enum { v = F<N - 1>::v + F<N - 2>::v + F<N + 1>::v }; };\nint f = F<100000>::v;",
    ),
    "cpp doubling macros": (
        "cpp",
        "".join(f"#define X{n} X{n - 1} X{n - 1} X{n - 1} X{n - 1}\n" for n in range(1, 16))
        + "#define X0 int\nX15 f();",
    ),
    "cpp constexpr": (
        "cpp",
        "constexpr int f(int n) { int s = 0; for (long i = 0; i < 1000000000L; i++) s += n; return s; }\nconstexpr int x = f(1);",
    ),
    "cpp huge array": ("cpp", "char huge[1L << 36] = {1};"),
    "go cgo": ("go", '// #include "/etc/passwd"\nimport "C"'),
    "go huge array": ("go", "var huge = [1 << 40]byte{1}"),
    "rust include_str of zeros": ("rust", 'const Z: &str = include_str!("/dev/zero");'),
    "rust recursive macro": (
        "rust",
        '#![recursion_limit = "100000000"]\nmacro_rules! m { ($($t:tt)*) => { m!{$($t)* $($t)*} } }\nm!{a}',
    ),
    "rust types": (
        "rust",
        "trait T { const N: usize; }\nstruct S<X>(X);\nimpl<X: T> T for S<X> where S<S<X>>: T { const N: usize = X::N; }\nfn f<X: T>() where S<X>: T { f::<S<X>>() }",
    ),
    "java long name": ("java", "class A" + "a" * 300 + " { }"),
    "cpp array in the file": ("cpp", "char huge[500 << 20] = {1};"),
    "go array in the file": ("go", "var huge = [400 << 20]byte{1}\nfunc init() { huge[7] = huge[8] }"),
    "java deep nesting": ("java", "class Deep { int f = " + "(" * 20000 + "1" + ")" * 20000 + "; }"),
    "java constant concatenation": (
        "java",
        'class Big { static final String A = "'
        + "x" * 60000
        + '"; static final String B = '
        + " + ".join(["A"] * 2000)
        + "; }",
    ),
    "typescript endless type": (
        "typescript",
        "type Count<T extends any[], N> = T['length'] extends N ? T : Count<[...T, 1], N>\nconst huge: Count<[], 1000000> = 1",
    ),
    "typescript doubling unions": (
        "typescript",
        "".join(f"type U{n} = `${{U{n - 1}}}${{U{n - 1}}}`\n" for n in range(1, 12))
        + "type U0 = 'a' | 'b' | 'c'\nconst huge: U11 = 1",
    ),
    "typescript deep nesting": ("typescript", "const deep: string = " + "[" * 20000 + "]" * 20000),
    "typescript many errors": ("typescript", "const x: string = 1\n" * 20000),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_compiler_bomb_hurts_nobody(arena, bomb):
    language, declarations = BOMBS[bomb]
    assert not arena.attack(language, declarations=declarations).passed


READS = {
    "cpp include": ("cpp", '#include "/etc/shadow"'),
    "cpp assembler": ("cpp", 'asm(".incbin \\"/etc/shadow\\"");'),
    "cpp embed": ("cpp", '#include "HOST"'),
    "go embed": ("go", 'import _ "embed"\n//go:embed /etc/shadow\nvar secret string'),
    "typescript reference": ("typescript", '/// <reference path="/etc/shadow" />'),
    "typescript import": (
        "typescript",
        "import '/etc/shadow'\nimport secret = require('HOST')\nconst s: string = secret",
    ),
    "rust include_str": ("rust", 'const SECRET: &str = include_str!("/etc/shadow");'),
    "rust include_bytes of the host": ("rust", 'const SECRET: &[u8] = include_bytes!("HOST");'),
}


@pytest.mark.parametrize("way", READS)
def test_no_compiler_reads_a_secret_to_a_program(arena, way, tmp_path):
    language, declarations = READS[way]
    secret = tmp_path / "secret"
    secret.write_text("octopack-evil-secret")
    verdict = arena.attack(language, declarations=declarations.replace("HOST", str(secret)))
    assert not verdict.passed
    assert "octopack-evil-secret" not in verdict.stderr + verdict.stdout
    assert "root:" not in verdict.stderr


def test_an_annotation_processor_is_not_run(arena):
    declarations = """
@javax.annotation.processing.SupportedAnnotationTypes("*")
class Processor extends javax.annotation.processing.AbstractProcessor {
    public boolean process(Set<? extends javax.lang.model.element.TypeElement> a, javax.annotation.processing.RoundEnvironment r) {
        System.exit(0);
        return true;
    }
}
"""
    assert arena.attack("java", declarations=declarations).status is not None


def test_compiled_programs_find_no_compiler_of_others(arena):
    # `env!` and option_env! would put the compiler's environment into the program
    code = 'const HOME: Option<&str> = option_env!("DOCKER_HOST");'
    assert arena.attack("rust", "assert!(HOME.is_none());", code).passed


def test_source_without_any_end_is_no_source(arena):
    arena.require("cpp")
    [verdict] = arena.sandbox.run([Program("cpp", "int x;" * 2_000_000, None, arena.program("cpp").limits)])
    assert not verdict.passed
