from __future__ import annotations

from pathlib import Path

import pytest

from octopack_tasks.languages import LANGUAGES
from octopack_tasks.languages.syntax import encoded, parse
from octopack_tasks.pack.mutations import BugType, mutants
from octopack_tasks.problems import load_problems

COUNT = {
    "python": "def f(xs):\n    n = 0\n    for x in xs:\n        if x > 1:\n            n += x\n    return n\n",
    "cpp": "int f(vector<int> xs){\n    int n = 0;\n    for (int x : xs) {\n        if (x > 1) {\n            n += x;\n"
    "        }\n    }\n    return n;\n}\n",
    "js": "const f = (xs) => {\n  let n = 0;\n  for (const x of xs) {\n    if (x > 1) {\n      n += x;\n    }\n  }\n"
    "  return n;\n}\n",
    "java": "class Solution {\n    public int f(List<Integer> xs) {\n        int n = 0;\n        for (int x : xs) {\n"
    "            if (x > 1) {\n                n += x;\n            }\n        }\n        return n;\n    }\n}",
    "go": "func F(xs []int) int {\n    n := 0\n    for _, x := range xs {\n        if x > 1 {\n            n += x\n"
    "        }\n    }\n    return n\n}\n",
    "rust": "fn f(xs: Vec<i32>) -> i32 {\n    let mut n = 0;\n    for x in xs {\n        if x > 1 {\n"
    "            n += x;\n        }\n    }\n    return n;\n}\n",
}


@pytest.mark.parametrize("name", COUNT)
@pytest.mark.parametrize(
    "change",
    [
        "operator misuse: x>1 -> x>=1",
        "operator misuse: n+=x -> n-=x",
        "value misuse: x>1 -> x>2",
        "variable misuse: n+=x -> n+=n",
        "missing logic: without n+=x",
        "excess logic: twice n+=x",
        "excess logic: negated x>1",
        "excess logic: break at the end of loop 1",
        "excess logic: n -> n+1",
    ],
)
def test_the_same_change_is_found_in_every_language(name: str, change: str) -> None:
    code = COUNT[name]
    found = [mutant for mutant in mutants(code, LANGUAGES[name]) if mutant.change == change]
    assert found
    for mutant in found:
        assert mutant.code != code
        assert change.startswith(mutant.bug_type.value)


@pytest.mark.parametrize("name", LANGUAGES)
def test_mutants_are_parsable_differ_and_say_where_they_changed_what(name: str) -> None:
    language = LANGUAGES[name]
    for problem in load_problems(name, "starter"):
        code = problem.declaration + problem.canonical_solution
        start = len(problem.declaration)
        found = list(mutants(code, language, within=(start, len(code))))
        assert len({mutant.code for mutant in found} | {code}) == len(found) + 1
        for mutant in found:
            first, last = mutant.span
            assert start <= first <= last <= len(code)
            assert mutant.code == code[:first] + mutant.replacement + code[last:]
            assert mutant.code.startswith(problem.declaration)
            assert not parse(language.grammar, encoded(mutant.code) + b"\n").has_error


def test_only_the_wanted_types_in_the_wanted_order() -> None:
    wanted = (BugType.OPERATOR_MISUSE, BugType.VALUE_MISUSE)
    found = [mutant.bug_type for mutant in mutants(COUNT["python"], LANGUAGES["python"], wanted)]
    assert found == sorted(found, key=wanted.index)
    assert set(found) == set(wanted)


def test_all_six_types_are_found_in_one_function() -> None:
    code = "def f(a, b):\n    return max(abs(a), b) + 1\n"
    assert {mutant.bug_type for mutant in mutants(code, LANGUAGES["python"])} == set(BugType)
    assert "def f(a, b):\n    return min(abs(a), b) + 1\n" in {m.code for m in mutants(code, LANGUAGES["python"])}
    assert "def f(a, b):\n    return max(a, b) + 1\n" in {m.code for m in mutants(code, LANGUAGES["python"])}


def test_long_functions_have_not_the_square_of_their_lines() -> None:
    code = "def f(a):\n" + "".join(f"    x{number} = a\n" for number in range(60)) + "    return a\n"
    found = list(mutants(code, LANGUAGES["python"], [BugType.VARIABLE_MISUSE]))
    last = [mutant.replacement for mutant in found if "return" in mutant.description]
    assert last == [f"x{number}" for number in range(40, 60)]  # those that are nearest


def test_documentation_and_comments_stay_as_they_are() -> None:
    code = 'def f(a):\n    """Add 1."""\n    # add 1 to a\n    return a\n'
    for mutant in mutants(code, LANGUAGES["python"]):
        assert mutant.code.startswith('def f(a):\n    """Add 1."""\n    # add 1 to a\n    return')


def test_an_emptied_block_of_python_keeps_a_statement() -> None:
    code = "def f(a):\n    if a:\n        a.sort()\n    return a\n"
    assert "def f(a):\n    if a:\n        pass\n    return a\n" in {m.code for m in mutants(code, LANGUAGES["python"])}


def test_code_that_is_not_ascii_is_cut_at_characters() -> None:
    code = 'def f(a):\n    return "ä" + a + "é" if a < 3 else "ü"\n'
    for mutant in mutants(code, LANGUAGES["python"]):
        first, last = mutant.span
        assert mutant.code == code[:first] + mutant.replacement + code[last:]


@pytest.mark.parametrize("name", ["python", "go"])
def test_many_bugs_that_people_made_are_among_the_mutants_mostly_of_the_same_type(name: str, shared: Path) -> None:
    reached = same_type = 0
    problems = load_problems(name, shared / "data" / "humanevalpack")
    for problem in problems:
        code = problem.declaration + problem.canonical_solution
        wanted = "".join((problem.declaration + problem.buggy_solution).split())
        found = [mutant for mutant in mutants(code, LANGUAGES[name]) if "".join(mutant.code.split()) == wanted]
        reached += bool(found)
        same_type += any(mutant.bug_type == problem.bug_type for mutant in found)
    assert reached > 0.4 * len(problems)
    assert same_type > 0.75 * reached


@pytest.mark.parametrize("name", LANGUAGES)
@pytest.mark.parametrize(
    "code", ["", "\n", "\x00", "def f(:", "}}}} {{{{ ((", "\udcff = 1", "x = " + "(" * 20_000, "ß" * 100]
)
def test_what_is_no_code_has_no_mutants_or_odd_ones(name: str, code: str) -> None:
    for mutant in mutants(code, LANGUAGES[name]):
        first, last = mutant.span
        assert mutant.code == code[:first] + mutant.replacement + code[last:]
