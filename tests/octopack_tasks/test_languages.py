from __future__ import annotations

import dataclasses

import pytest

import sandboxes
from octopack_tasks import LANGUAGES, PAPER_LANGUAGES, Problem, UserError, get_language


def test_the_six_languages_of_the_paper() -> None:
    assert PAPER_LANGUAGES == ("python", "cpp", "js", "java", "go", "rust")
    titles = [LANGUAGES[name].title for name in PAPER_LANGUAGES]
    assert titles == ["Python", "C++", "JavaScript", "Java", "Go", "Rust"]


def test_the_languages_that_were_added() -> None:
    assert [name for name in LANGUAGES if name not in PAPER_LANGUAGES] == ["typescript"]
    assert set(sandboxes.LANGUAGES) == set(LANGUAGES), "each has a strategy and a toolchain in `sandboxes`"
    with pytest.raises(UserError, match="unknown language 'perl'; there are: python, cpp"):
        get_language("perl")


@pytest.mark.parametrize(
    ("completion", "kept"),
    [
        ("\n    return 1\n", "\n    return 1\n"),
        ("\n    return 1\nprint(2)\n", "\n    return 1"),
        ("\n    a = 1\n\n    return a\nx", "\n    a = 1\n\n    return a"),
        (" return 1\n    x", " return 1\n    x"),  # on the line of the prompt, but not at column 0
        ("return 1", ""),
        ("\n\treturn 1\n\u00a0x", "\n\treturn 1"),  # a no-break space is no indentation
        ("\n    return 1\n\u00a0\n    x", "\n    return 1\n\u00a0\n    x"),  # but such a line alone is blank
        ("", ""),
    ],
)
def test_python_ends_at_column_0(completion: str, kept: str) -> None:
    python = get_language("python")
    assert python.truncate(completion) == kept
    assert python.is_complete(completion) == (kept != completion)


@pytest.mark.parametrize("name", ["cpp", "js", "go", "rust", "typescript"])
@pytest.mark.parametrize(
    ("completion", "kept", "is_complete"),
    [
        ("\n  return 1;\n}\nint g() {}", "\n  return 1;\n}", True),
        ("\n  if (a) { b(); }\n}", "\n  if (a) { b(); }\n}", True),
        ("\n  return '}';\n}", "\n  return '}", False),  # strings are not recognised, and two closers overshoot
        ("}}", "}", False),
        ("\n  if (a) { b(); } c", "\n  if (a) { b(); }", False),
        ("\n  no brace", "\n  no brace", False),
    ],
)
def test_braces_balance(name: str, completion: str, kept: str, is_complete: bool) -> None:
    language = get_language(name)
    assert language.truncate(completion) == kept
    assert language.is_complete(completion) is is_complete


@pytest.mark.parametrize(
    ("completion", "kept"),
    [
        ("\n return 1;\n }\n}\n//", "\n return 1;\n }\n}"),
        ("\n return 1;\n }\n", "\n return 1;\n }"),
        ("\n if (a) {\n public static void main() {} ", "\n if (a) {\n }"),
        ("\n for (;;) {\n", "\n for (;;) {\n\n}"),
    ],
)
def test_java_closes_method_and_class(completion: str, kept: str) -> None:
    assert get_language("java").truncate(completion) == kept


def test_python_programs_begin_with_helper_imports(toy: Problem) -> None:
    assembled = get_language("python").assemble("def double(x): return 2 * x", toy)
    assert assembled.source.startswith("import math\nimport re\n")
    assert "from collections import *\ndef double(x): return 2 * x\n\n" in assembled.source


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_tests_begin_at_the_offset(name: str, problems: dict[str, Problem]) -> None:
    problem = problems[name]
    # The text of the tests within the solution must not mislead.
    solution = problem.prompt + problem.canonical_solution + problem.test
    assembled = get_language(name).assemble(solution, problem)
    assert assembled.source[assembled.test_offset :] == problem.test
    assert assembled.source[: assembled.test_offset].endswith("\n\n")


def test_cpp_loses_its_main(problems: dict[str, Problem]) -> None:
    candidate = get_language("cpp").candidate("int f() { return 1; }\nint main() { f(); }", problems["cpp"])
    assert candidate.startswith("using namespace std;\n#include<stdlib.h>\n")
    assert candidate.endswith("int f() { return 1; }")


def test_java_loses_an_empty_main_class(problems: dict[str, Problem]) -> None:
    java = get_language("java")
    assert java.candidate("class Solution {}\npublic class Main {\n    }\n", problems["java"]) == "class Solution {}"
    assert "Main" in java.candidate("class Solution {}\npublic class Main {\n}\n", problems["java"])


def test_javascript_stays_as_it_is(problems: dict[str, Problem]) -> None:
    assert get_language("js").candidate("  const f = 1\n", problems["js"]) == "  const f = 1\n"


def test_rust_gets_main_and_declaration_lines_it_lacks(problems: dict[str, Problem]) -> None:
    problem = dataclasses.replace(problems["rust"], declaration="use md5;\nfn f(x: i32) -> i32 {\n")
    rust = get_language("rust")
    assert rust.declaration(problem) == "fn main(){}\nuse md5;\nfn f(x: i32) -> i32 {\n"
    assert rust.candidate("fn f(y: i32) {}", problem) == "fn main(){}\nuse md5;\nfn f(y: i32) {}"
    two_mains = rust.candidate("fn main(){}\nuse md5;\nfn f(x: i32) -> i32 {\n1}\nfn main() { f(1) }", problem)
    assert two_mains == "fn main(){}\nuse md5;\nfn f(x: i32) -> i32 {\n1}\n"


@pytest.fixture
def go_problem(problems: dict[str, Problem]) -> Problem:
    return dataclasses.replace(
        problems["go"],
        test_setup='package main\n\nimport (\n    "testing"\n    "github.com/stretchr/testify/assert"\n)\n',
        test="func TestF(t *testing.T) {}\n",
        imports="",
    )


def test_go_imports_follow_from_what_is_used(go_problem: Problem) -> None:
    code = "package main\nfunc F() { sort.Ints(a); strings.ToUpper(b); math.Abs(c) }\n// bytes.Buffer is only mentioned"
    candidate = get_language("go").candidate(code, go_problem)
    assert candidate.count("package main") == 1
    # The order is that of the list of packages: the reference's depends on Python's hash seed.
    assert 'import (\n    "math"\n    "strings"\n    "sort"\n)\n' in candidate
    assert '"bytes"' not in candidate


def test_go_paths_are_imported_by_their_last_part(go_problem: Problem) -> None:
    assert 'import (\n    "rand"\n)\n' in get_language("go").candidate("func F() { rand.Intn(3) }", go_problem)


def test_go_imports_of_one_candidate_are_missing_from_later_ones_in_one_call(go_problem: Problem) -> None:
    go = get_language("go")
    greedy, plain = 'import "testing"\nfunc F() {}', "func F() {}"
    first, second = go.candidates([greedy, plain], go_problem)
    assert first == go.candidate(greedy, go_problem)
    assert '"testing"' not in second
    assert '"testing"' in go.candidate(plain, go_problem)
    assert go.candidates([plain, greedy], go_problem)[0] == go.candidate(plain, go_problem)


def test_go_refuses_a_row_whose_imports_cannot_be_added(go_problem: Problem) -> None:
    problem = dataclasses.replace(go_problem, imports='import (\n    "unicode"\n)\n')
    with pytest.raises(UserError, match="imports 'unicode', but only"):
        get_language("go").candidate("func F() {}", problem)


@pytest.mark.parametrize(
    "code",
    [
        "function f<T>(x: T): T { return x }",
        "const f = (x: number): number => x",
        "const f: (x: number) => number = (x) => x",
        "const f = <T,>(x: T): T => x",
        "export const f = async (x: number) => x",
    ],
)
def test_typescript_functions_have_types(code: str) -> None:
    typescript = get_language("typescript")
    assert typescript.defines(code, "f")
    for other in ("const n: number = f(1)", "if (f === g) {}", "const g = (f: number) => f == (1)"):
        assert not typescript.defines(other, "f"), other


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_definition_of_a_function_is_found(name: str, problems: dict[str, Problem]) -> None:
    problem, language = problems[name], get_language(name)
    assert language.defines(problem.declaration + problem.canonical_solution, problem.entry_point)
    assert not language.defines(f"print({problem.entry_point}(1));", problem.entry_point)
