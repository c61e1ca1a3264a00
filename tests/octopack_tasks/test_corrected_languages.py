"""The reading `corrected`, one language after the other: layouts, imports, and what each compiler insists on."""

from __future__ import annotations

import dataclasses

import pytest

from octopack_tasks import LANGUAGES, Problem, get_task, load_problems
from octopack_tasks.readings import CORRECTED, PAPER


def row(language: str, given: str, name: str, **columns: str) -> Problem:
    """A row whose prompt and declaration are `given`."""
    problem = load_problems(language, "starter")[0]
    values = {"prompt": given, "declaration": given, "entry_point": name, "canonical_solution": "", **columns}
    return dataclasses.replace(problem, **values)


def solution(problem: Problem, completion: str) -> str:
    task = get_task(f"humanevalfixtests-{problem.language}")
    attempt = CORRECTED.attempt(task, problem, completion, "instruct")
    assert attempt.has_answer
    return attempt.solution


def program(problem: Problem, completion: str) -> str:
    task = get_task(f"humanevalfixtests-{problem.language}")
    [made] = CORRECTED.programs(task, problem, [solution(problem, completion)])
    return made.source


def run(text: str) -> None:
    exec(compile(text, "program", "exec"), {})


PYTHON = row("python", "def f(x):\n", "f", test="assert f(1) == 2")


@pytest.mark.parametrize(
    "completion",
    [
        "\n    return x + 1",
        " return x + 1",
        "return x + 1",
        "    return x + 1",
        "\nreturn x + 1\n",
        "\n    y = x\n# at column 0\n    return y + 1\n",
        '\n    """Text\nat column 0"""\n    return x + 1\n',
        "\n    return (x\n+ 1\n)\n",
        "\n    return g(x)\n\n\n@staticmethod\ndef g(x):\n    return x + LIMITS[0]\n\n\nLIMITS = [\n1,\n]\n",
        "\nlambda_ = 3\n\ndef f(x):\n    return x + 1\n\nf(input())\n",
        "\n    return x + 1\n\ndef f(x):\n    return 'another try'\n",
        "\n    return x + 1\n}\n)\n",
        "\n    pass\n\n\ndef f(x):\n    return x + 1\n",
        '\n    """Adds 1."""\n    ...\n\n\ndef f(x):\n    return x + 1\n',
        '\n    """Adds 1:\n    ```python\n    f(1)\n    ```\n    """\n    return x + 1\n',
        "\n```python\nf = lambda x: x + 1\n```\n",
        "\n```python\ndef successor(x):\n    return x + 1\n\n\nf = successor\n```\n",
        "\n1. Change this:\n\n   ```python\n   def f(x):\n       return x + 1\n   ```\n",
        "\n```python\ndef f(x):\n    return g(x)\n```\nwith\n```python\nx = f(1)\n\ndef g(x):\n    return x + 1\n```\n",
    ],
)
def test_python_layouts(completion: str) -> None:
    run(program(PYTHON, completion))


@pytest.mark.parametrize(
    ("code", "is_definition"),
    [
        ("def f(x):", True),
        ("x = 1\n    async def f (x):", True),
        ("f = g", True),
        ("f: Callable[[int], int] = g", True),
        ("f == 1", False),
        ("f(x) == 1", False),
        ("f: The sum = 1", False),
        ("    f = 1", False),
    ],
)
def test_python_definitions(code: str, is_definition: bool) -> None:
    assert LANGUAGES["python"].defines(code, "f") is is_definition


def test_python_local_variables_bring_no_statements_along() -> None:
    text = "\n    result = x + 1\n    return result\n\nresult = f(int(input()))\nprint(result)\n"
    assert "input" not in program(PYTHON, text)


def test_python_settings_before_the_function_stay() -> None:
    code = "import sys\nsys.setrecursionlimit(10**4)\n\ndef f(x):\n    return x + 1\n\nsys.exit(0)\n"
    text = program(PYTHON, f"\n```python\n{code}```")
    assert "sys.setrecursionlimit(10**4)" in text
    assert "sys.exit" not in text


def test_python_statements_within_statements_define_what_the_function_uses() -> None:
    within = "try:\n    import math as m\nexcept ImportError:\n    def helper(x):\n        return inner\nelse:\n"
    within += "    if True:\n        def helper(x):\n            inner = x + 1\n            return inner\n"
    answer = f"    return helper(x)\n\n{within}"
    assert "def helper(x):" in solution(PYTHON, answer)
    run(program(PYTHON, answer))
    # each is looked at once, or these would take years
    deep = "".join(" " * depth + "if x:\n" for depth in range(60)) + " " * 60 + "y = 1\n"
    assert "y = 1" not in solution(PYTHON, f"\n    return x + 1\n\n{deep}")


def test_python_prose_behind_the_given_documentation_is_left_out() -> None:
    problem = row("python", 'def f(x):\n    """Adds 1."""\n', "f", test=PYTHON.test)
    run(program(problem, "Certainly! This is fixed:\n\ndef f(x):\n    return x + 1\n"))


def test_rust_needs_no_other_main() -> None:
    given = "fn main(){}\nfn f(x: i32) -> i32 {\n"
    text = solution(row("rust", given, "f"), '\n    x + 1\n}\n\nfn main() {\n    print!("{}", f(1), \'}')
    assert text.count("main") == 1


CUT_OFF = {
    "python": (
        "def f(x):\n",
        "\n    def check(y):\n        return y + 1\n\n    return check(x)",
        "\n\n\ndef check(f):\n    assert f(",
    ),
    "js": (
        "const f = (x) => {\n",
        "\n  return x + 1;\n}",
        "\n\n/* Adds 1.\n  f(undefinedName) === 2\n  f(2)",
    ),
    "cpp": (
        "vector<int> f(vector<int> x){\n",
        "\n    return x;\n}",
        "\n\n/*\nThe node should be returned in a vector, { value, index },\nif there",
    ),
    "rust": (
        "fn main(){}\nfn f(x: i32) -> i32 {\n",
        "\n    x + 1\n}",
        "\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n    #[test]\n    fn t() {}\n}\n}\n\nmod more {\n"
        "    fn main() {}\n    fn g() { assert_eq!(f(1), ",
    ),
}


@pytest.mark.parametrize("language", CUT_OFF)
def test_what_the_end_of_the_text_cuts_off_is_left_out(language: str) -> None:
    given, body, rest = CUT_OFF[language]
    problem = row(language, given, "f")
    assert solution(problem, body + rest).rstrip() == given.rstrip() + body


def test_python_imports_from_the_future_come_first() -> None:
    code = "from __future__ import annotations\n\ndef f(x: Missing):\n    return x + 1\n"
    text = program(PYTHON, f"\n```python\n{code}```")
    assert text.startswith("from __future__ import annotations\n")
    run(text)


def test_cpp_int_main_in_a_name_ends_nothing() -> None:
    problem = row("cpp", "int f(int x){\n", "f")
    completion = "\n    int maintained = x; // int main\n    return maintained;\n}\nint main() { return 1; }\n"
    assert solution(problem, completion).endswith("return maintained;\n}")
    assert "return maintained;" in program(problem, completion)


def test_cpp_structs_templates_and_overloads_stay() -> None:
    problem = row("cpp", "int f(int x){\n", "f")
    code = (
        "#include<map>\n#define LIMIT 3\nstruct P {\n    int a;\n};\ntypedef vector<P> points;\n"
        "bool operator<(const P& a, const P& b) { return a.a < b.a; }\n\ntemplate <typename T>\nT twice(T x)\n{\n"
        "    return x + x;\n}\nint f(int x, int depth) { return depth; }\n"
        "int f(int x)\n{\n    points v; P p; map<P, int> m;\n    return twice(f(x, LIMIT));\n}\n"
    )
    text = solution(problem, f"\n```cpp\n{code}\nstruct Unused {{ int x; }};\n```")
    assert text.split() == code.split()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_cpp_macros_of_several_lines_stay_whole(end: str) -> None:
    problem = row("cpp", "int f(int x){\n", "f")
    macro = "#define ADD(x) \\\n    do { \\\n        x++; \\\n    } while (0)\n"
    code = f"{macro}\nint f(int x){{\n    ADD(x);\n    return x;\n}}\n"
    assert solution(problem, f"\n```cpp\n{code}```".replace("\n", end)).split() == code.split()


def test_cpp_helpers_in_blocks_of_their_own_come_first() -> None:
    problem = row("cpp", "int f(int x){\n", "f")
    helper, whole = "int g(int x) { return x + 1; }\n", "int f(int x){\n    return g(x);\n}\n"
    answer = f"\n```cpp\n{whole}```\nwith this helper:\n```cpp\n{helper}```\n"
    assert solution(problem, answer).split() == (helper + whole).split()


def test_cpp_tests_an_overload_of_a_c_function() -> None:
    problem = row("cpp", "int strlen(string s){\n", "strlen")
    text = program(problem, "\n    return s.size();\n}\n")
    assert "int (*const own_strlen)(string s) = strlen;\n#define strlen own_strlen\n" in text
    assert "own_" not in program(row("cpp", "int length(string s){\n", "length"), "\n    return s.size();\n}\n")


def test_javascript_needs_no_exports() -> None:
    problem = row("js", "const f = (x) => {\n", "f", test="f(1)\n")
    code = "export const f = (x) => {\n  return `${g(x)}`\n}\n\nexport default function g(x) { return /[}]/ }\n"
    expected = "const f = (x) => { return `${g(x)}` } function g(x) { return /[}]/ }"
    assert solution(problem, f"\n```js\n{code}```").split() == expected.split()


def test_javascript_keeps_methods_that_it_adds_to_objects() -> None:
    problem = row("js", "const f = (x) => {\n", "f", test="f(1)\n")
    added = "Number.prototype.next = function () {\n  return this + 1\n}"
    assert added in solution(problem, f"\n  return x.next()\n}}\n\n{added}\n\nconsole.log(f(1))\n")
    assert added not in solution(problem, f"\n  return x + 1\n}}\n\n{added}\n\nconsole.log(f(1))\n")


def test_typescript_keeps_the_types_that_are_used() -> None:
    problem = row("typescript", "const f = (x: number): number => {\n", "f", test="f(1)\n")
    code = (
        "import { deepEqual as same } from 'assert'\nimport os from 'os'\n"
        "interface Point { x: number }\ninterface Point { y?: number }\ntype Unused = Point[]\n"
        "abstract class Base<T> { abstract get(): T }\n"
        "function twice(x: number): number\nfunction twice(x: string): string\n"
        "function twice(x: any): any { return x + x }\n"
        "const f = <T extends Point>(x: number, p?: T): number => {\n"
        "  same(1, 1); const b: Base<number> | undefined = undefined\n  return twice(x satisfies number)\n}\n"
    )
    kept = solution(problem, f"Here is it:\n```ts\n{code}console.log(f(1))\n```")
    expected = code.replace("import os from 'os'\n", "").replace("type Unused = Point[]\n", "")
    assert kept.split() == expected.split()


@pytest.mark.parametrize(
    "answer",
    [
        "Use this:\n\npublic class Solution {\n    public int f(int x) { return g(x); }\n"
        "    int g(int x) { return x + 1; }\n}\n",
        "```java\npackage a.b;\n\npublic class Solution {\n    public int f(int x) { return g(x); }\n"
        "    int g(int x) { return x + 1; }\n    public static void main(String[] a) { }\n}\n```",
        "```java\npublic int f(int x) { return g(x); }\n\nint g(int x) { return x + 1; }\n```",
        "        return g(x);\n    }\n\n    int g(int x) { return x + 1; }\n\nThe class isn't closed.",
        "```java\n/**\n * The class Solution adds 1.\n */\npublic class Solution\n{\n"
        "    public int f(int x) { return g(x); }\n    int g(int x) { return x + 1; }\n}\n```",
        "```java\n// class Solution {\n"
        "class Solution { public int f(int x) { return g(x); } int g(int x) { return x + 1; } }\n```",
    ],
)
def test_java_classes(answer: str) -> None:
    given = "import java.util.*;\n\nclass Solution {\n    public int f(int x) {\n"
    problem = row("java", given, "f", test="public class Main { void t() { new Solution().f(1); } }")
    expected = f"{given} return g(x); }} int g(int x) {{ return x + 1; }} }}"
    assert solution(problem, f"\n{answer}").split() == expected.split()


def test_java_keeps_what_the_class_is_built_on() -> None:
    given = "import java.util.*;\n\nclass Solution {\n    public int f(int x) {\n"
    problem = row("java", given, "f", test="public class Main { void t() { new Solution().f(1); } }")
    code = (
        "interface F { int f(int x); }\nclass Solution implements F {\n    public int f(int x) { return x + 1; }\n}\n"
    )
    assert "interface F {" in solution(problem, f"\n```java\n{code}```")


GO = row(
    "go",
    "\nfunc F(x int) int {\n",
    "F",
    imports="",
    test="func TestF(t *testing.T) {\n    rand.Seed(1)\n    if F(1) != 2 { t.Fail() }\n}\n",
    test_setup='package main\n\nimport (\n    "testing"\n    "math/rand"\n)\n',
)


def test_go_imports_what_is_used() -> None:
    text = program(
        GO, '\n    // strings.ToUpper\n    _ = "fmt.Println"\n    return utf8.RuneLen(65) + md5.Size - 16\n}\n'
    )
    assert 'import (\n    "crypto/md5"\n    "unicode/utf8"\n)\n' in text
    assert '"fmt"' not in text
    assert '"strings"' not in text
    assert text.count('"math/rand"') == 1


def test_go_whole_programs_lose_what_they_do_not_use() -> None:
    code = (
        'package main\n\nimport (\n    "fmt"\n    str "strings"\n)\n\nfunc F(x int) int {\n'
        '    sort := struct{ n int }{x}\n    return len(str.Repeat("x", sort.n)) + 1\n}\n\n'
        "func main() {\n    fmt.Println(F(1))\n}\n"
    )
    text = program(GO, f"\nHere:\n```go\n{code}```\n")
    assert 'str "strings"' in text
    assert '"fmt"' not in text
    assert '"sort"' not in text
    assert text.count("package main") == 1


def test_go_samples_do_not_change_each_other() -> None:
    task = get_task("humanevalfixtests-go")
    first = solution(GO, '\n    _ = "testing"\n    return rand.Intn(1) + 2\n}\n')
    solutions = [first, first.replace("2", "3"), first]
    together = [made.source for made in CORRECTED.programs(task, GO, solutions)]
    assert together == [CORRECTED.programs(task, GO, [each])[0].source for each in solutions]


def test_rust_imports_nothing_twice() -> None:
    given = "use std::collections::{HashMap, HashSet};\n\nfn f(x: i32) -> i32 {\n"
    problem = row("rust", given, "f", prompt="fn main(){}\n" + given)
    code = (
        "#![allow(unused)]\nuse std::collections::HashMap;\nuse std::fmt::Write as _;\n\nfn f(x: i32) -> i32 {\n"
        "    let _m: HashMap<i32, i32> = HashMap::new();\n    x + 1\n}\n\nfn main () {\n    f(1);\n}\n"
    )
    text = program(problem, f"\n```rust\n{code}```")
    assert text.count("HashMap;") == 1
    assert "use std::collections::HashSet;" in text
    assert "use std::fmt::Write as _;" in text
    assert text.count("fn main") == 1
    assert "#![" not in text


@pytest.mark.parametrize(
    "helpers",
    [
        "trait Next {\n    fn next(self) -> i32;\n}\n\nimpl Next for i32 {\n    fn next(self) -> i32 { self + 1 }\n}",
        "trait Next: Into<i32> {\n    fn next(self) -> i32 { self.into() + 1 }\n}\n\nimpl<T: Into<i32>> Next for T {}",
    ],
)
def test_rust_traits_of_foreign_types_stay_where_their_methods_are_called(helpers: str) -> None:
    problem = row("rust", "fn f(x: i32) -> i32 {\n", "f", prompt="fn main(){}\nfn f(x: i32) -> i32 {\n")
    assert helpers in solution(problem, f"\n    x.next()\n}}\n\n{helpers}\n\nfn other() {{}}\n")
    assert "trait" not in solution(problem, f"\n    x + 1\n}}\n\n{helpers}\n")


def test_rust_tests_that_draw_whole_numbers_are_seeded() -> None:
    test = "mod tests {\n    fn t() { let mut rng = rand::thread_rng(); rng.gen_range(0, 4); }\n}\n"
    rust = LANGUAGES["rust"]
    assert "crate::SeededRng(" in rust.tests(row("rust", "fn f() {\n", "f", test=test))
    task = get_task("humanevalfixtests-rust")
    rows = [row("rust", "fn f() {\n", "f", test=text, task_id=text) for text in (test, "none")]
    assert CORRECTED.changed_tests(task, rows) == (test,)
    assert PAPER.changed_tests(task, rows) == ()
    others = test.replace("0, 4", "b'a', b'z'")
    assert rust.tests(row("rust", "fn f() {\n", "f", test=others)) == others


def test_go_tests_that_hand_over_a_map_do_not_depend_on_the_order_of_its_keys() -> None:
    call = '    assert.Equal(false, F(map[interface{}]interface{}{"p": 1, "A": 2}))\n'
    test = "func TestF(t *testing.T) {\n    assert := assert.New(t)\n%s}\n"
    go = LANGUAGES["go"]
    changed = go.tests(row("go", "func F() {\n", "F", test=test % call))
    assert 'inSomeOrder(false, func() bool { return F(map[interface{}]interface{}{"p": 1, "A": 2}) }))' in changed
    assert "func inSomeOrder(" in changed
    for other in ("    assert.Equal(true, F(map[interface{}]interface{}{}))\n", '    assert.Equal(1, F("a", "b"))\n'):
        assert go.tests(row("go", "func F() {\n", "F", test=test % other)) == test % other


@pytest.mark.parametrize(
    "rambling", ["print(\n", "x = [(\n", "it's)\n", "def g(:\n", 'x) """\n', "x = '''\n'''\n", "1\n"]
)
def test_a_function_of_python_is_found_before_much_that_begins_and_does_not_end(rambling: str) -> None:
    assert solution(PYTHON, "\n    return x + 1\n\n" + 5001 * rambling) == "def f(x):\n    return x + 1"


@pytest.mark.parametrize("rambling", ["it's\n", "x\n", "(\n", '"\n', "x = (1\n", "{}\n"])
@pytest.mark.parametrize("language", ["cpp", "js", "java", "go", "rust"])
def test_a_solution_is_found_before_much_that_is_none(language: str, rambling: str) -> None:
    problem = load_problems(language, "starter")[0]
    alone = solution(problem, problem.canonical_solution)
    assert solution(problem, problem.canonical_solution + "\n" + 1000 * rambling).split() == alone.split()


def test_a_helper_that_only_the_prompt_has_is_provided() -> None:
    prompt = "def g(x):\n    return x + 1\n\n\ndef f(x):\n    # Adds 1.\n"
    problem = row("python", "def f(x):\n", "f", prompt=prompt, canonical_solution="    return g(x)\n", test=PYTHON.test)
    run(program(problem, "\n    return g(x)\n"))
    assert "def g" not in program(problem, "\n    return x + 1\n")


def test_half_a_body_in_the_declaration_is_mended() -> None:
    given = "int f(int x){\n    for (int i = 0; i < x; i++)\n    {\n"
    problem = row("cpp", given, "f", prompt="int f(int x){\n    // Adds 1.\n")
    assert solution(problem, "\n    return x + 1;\n}\n") == "int f(int x){\n    // Adds 1.\n    return x + 1;\n}"
    gone_on = "\n        x = x + 1;\n    }\n    return x;\n}"
    assert solution(problem, gone_on) == given.rstrip() + gone_on


def test_the_function_is_the_one_that_the_row_defines() -> None:
    problem = dataclasses.replace(load_problems("python", "starter")[0], entry_point="misspelt")
    code = problem.declaration + problem.canonical_solution
    assert solution(problem, "\n" + problem.canonical_solution)
    assert solution(problem, f"\n```python\n{code}\n```").split() == code.split()


def test_patches_that_do_not_fit_are_no_answer() -> None:
    patch = "@@ -1,2 +1,2 @@\n def nothing_of_the_kind():\n-    return 1\n+    return 2\n"
    task = get_task("humanevalfixtests-python")
    assert not CORRECTED.attempt(task, PYTHON, patch, "diff").has_answer
