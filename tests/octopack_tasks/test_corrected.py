"""The reading `corrected`: the same solution, however a model goes on after it, wraps it or begins anew."""

from __future__ import annotations

import dataclasses
import difflib

import pytest
from diff_match_patch import diff_match_patch
from hypothesis import given, settings
from hypothesis import strategies as st

from octopack_tasks import LANGUAGES, Problem, Task, get_task, load_problems
from octopack_tasks.prompts import CHAT, CHAT_WITHOUT_PREFILL
from octopack_tasks.readings import CORRECTED, PAPER

PROBLEMS = [problem for language in LANGUAGES for problem in load_problems(language, "starter")]

# What models write after a function. Nothing of it may stay.
PROSE = (
    "\n\nThis function doesn't modify its input; it runs in O(n) (see above).\n",
    "\n\nExplanation:\n\n1) First, we loop.\n2) Then we return {the result}.\n\n- It's simple\n* and fast\n> really\n",
    "\n```\n\nHere is how it works:\n\n- It takes the list `x` [1, 2]\n- and returns it.\n",
    "\n```\nAnother way would be\n```\nfoo bar baz\n```\n",
    "\n<|endoftext|>\nclass Unrelated {\n",
    "\n\n\n",
)
TAILS = {
    "python": (
        "\n\nif __name__ == '__main__':\n    import doctest\n    doctest.testmod()\n",
        "\n\nprint(undefined_name)\nassert undefined_name == 3\n",
        "\n# a comment at column 0\n\n\ndef other_function(x):\n    return undefined_name\n",
        "\n\nimport unittest\n\n\nclass TestIt(unittest.TestCase):\n    def test(self):\n        self.fail()\n\n"
        "unittest.main()\n",
        "\n\nresult = 1 / 0\nn = int(input())\n",
        "\n\ndef broken(:\n    return (\n",
        "\n\n@decorated\ndef other(x):\n    '''Text\nat column 0\n'''\n    return x\n",
    ),
    "cpp": (
        '\n\nint main() {\n    std::cout << "}" << std::endl;\n    return 0;\n}\n',
        "\n\nint other_function(int x) {\n    return undefined_name;\n}\n",
        "\n\n#include <gtest/gtest.h>\nTEST(Suite, Case) { EXPECT_EQ(1, 2); }\n",
        "\n\nint broken(int x { return (;\n",
        "\n// int main\nint maintain(int x) { return x; }\n",
    ),
    "js": (
        "\n\nconsole.log(undefinedName)\nconsole.assert(false)\n",
        "\n\nmodule.exports = { undefinedName }\n",
        "\n\nfunction otherFunction(x) {\n  return `}${x}`\n}\n",
        "\n\nconst result = undefinedName([1, 2])\nlet x = JSON.parse('')\n",
        "\n\ndescribe('it', () => {\n  it('works', () => { expect(1).toBe(2) })\n})\n",
        "\n\nfunction broken( { return (\n",
    ),
    "java": (
        "\n\npublic class Main {\n    public static void main(String[] args) {\n        undefined();\n    }\n}\n",
        "\n\nclass Other {\n    int x = undefined;\n}\n",
        "\n\nimport org.junit.Test;\n\npublic class SolutionTest {\n    @Test\n    public void test() { fail(); }\n}\n",
        "\n\nclass Broken { int f( { }\n",
    ),
    "go": (
        '\n\nfunc main() {\n    fmt.Println("}")\n}\n',
        "\n// A comment at column 0\nfunc otherFunction(x int) int {\n    return undefined\n}\n",
        '\n\npackage main\n\nimport (\n    "fmt"\n    "os"\n)\n\nfunc main() { fmt.Println(os.Args) }\n',
        "\n\ntype unrelated struct {\n    x int\n}\n\nfunc (u unrelated) get() int { return u.x }\n",
        "\n\nfunc broken(x int { return (\n",
    ),
    "rust": (
        '\n\nfn main() {\n    println!("}");\n}\n',
        "\n\nfn other_function(x: i32) -> i32 {\n    undefined\n}\n",
        "\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n    #[test]\n    fn it() { assert!(false); }\n}\n",
        "\n\nstruct Unrelated { x: char }\n\nimpl Unrelated { fn get(&self) -> char { '}' } }\n",
        "\n\nfn broken(x: i32 { return (\n",
    ),
    "typescript": (
        "\n\nconsole.log(undefinedName);\nconsole.assert(false);\n",
        "\n\nexport default undefinedName;\n",
        "\n\nfunction otherFunction<T extends object>(x: T): Promise<T[]> {\n  return undefinedName as any;\n}\n",
        "\n\ninterface Other { x: UndefinedType }\n\ntype Another = Other & { y: `}${string}` };\n",
        "\n\nnamespace Unrelated {\n  export enum Kind { A = undefinedName }\n}\n",
        "\n\ndescribe('it', () => {\n  it('works', () => { expect(1).toBe(2) })\n})\n",
        "\n\nfunction broken(x: { return (\n",
    ),
}

# A helper behind the function, and a call of it at its start.
HELPERS = {
    "python": ("    helper_value()\n", "\n\n# a comment\nLIMIT = [3]\n\n\ndef helper_value():\n    return LIMIT[0]\n"),
    "cpp": ("    HelperType helper; (void)helper;\n", "\n"),
    "js": ("  helperValue()\n", "\n\n// a comment\nconst LIMIT = 3;\n\nfunction helperValue() {\n  return LIMIT\n}\n"),
    "java": (
        "        helperValue();\n",
        "\n    int limit = 3;\n\n    private int helperValue() {\n        return limit;\n    }\n",
    ),
    "go": (
        "    _ = helperValue()\n",
        "\n\n// a comment\ntype helperType struct{ x int }\n\nfunc (h helperType) get() int { return h.x }\n\n"
        "func helperValue() int {\n    return helperType{3}.get()\n}\n",
    ),
    "rust": (
        "    let _ = helper_value();\n",
        "\n\n#[derive(Debug, Clone)]\nstruct HelperType { x: i32 }\n\n"
        "impl HelperType {\n    fn get(&self) -> i32 { self.x }\n}\n\n"
        "pub fn helper_value() -> i32 {\n    HelperType { x: 3 }.get()\n}\n",
    ),
    "typescript": (
        "  helperValue({ x: 1 });\n",
        "\n\n// a comment\ninterface Helper {\n  x: number;\n}\n\ntype Limit = 3 | undefined;\n\nenum Kind { A }\n\n"
        "function helperValue(helper: Helper): Limit {\n  return helper.x === Kind.A ? 3 : undefined;\n}\n",
    ),
}


def names(problem: Problem) -> str:
    return problem.task_id


def body(task: Task, problem: Problem, solution: str | None = None) -> str:
    """What a model writes that continues a prompt: prompts are stripped, so the white space is its own."""
    start = task.scenario.shown_code(problem, task.language)
    text = problem.canonical_solution if solution is None else solution
    return start[len(start.rstrip()) :] + text.rstrip()


def whole(task: Task, problem: Problem) -> str:
    """The whole code, without anything around it."""
    code = task.scenario.shown_code(problem, task.language) + problem.canonical_solution
    return code.replace("fn main(){}\n", "").strip()


def read(task: Task, problem: Problem, completion: str, prompt: str = "instruct") -> str:
    attempt = CORRECTED.attempt(task, problem, completion, prompt)
    assert attempt.has_answer, completion
    return attempt.solution


def words(code: str) -> list[str]:
    return code.split()


def fix(problem: Problem) -> Task:
    return get_task(f"humanevalfixtests-{problem.language}")


@pytest.mark.parametrize("problem", PROBLEMS, ids=names)
def test_right_solutions_are_read_as_in_the_paper(problem: Problem) -> None:
    for scenario in ("fixtests", "fixdocs", "synthesize"):
        task = get_task(f"humaneval{scenario}-{problem.language}")
        for solution in (problem.canonical_solution, problem.buggy_solution):
            completion = body(task, problem, solution)
            paper = PAPER.attempt(task, problem, completion, "instruct").solution
            assert words(read(task, problem, completion)) == words(paper)


@pytest.mark.parametrize("problem", PROBLEMS, ids=names)
def test_what_follows_the_function_is_left_out(problem: Problem) -> None:
    task = fix(problem)
    expected = read(task, problem, body(task, problem))
    for tail in (*PROSE, *TAILS[problem.language]):
        for more in ("", *PROSE):
            assert words(read(task, problem, body(task, problem) + tail + more)) == words(expected), tail + more


@pytest.mark.parametrize("problem", PROBLEMS, ids=names)
def test_an_answer_that_begins_anew_gives_the_same_program(problem: Problem) -> None:
    task = fix(problem)
    expected = sorted(words(CORRECTED.programs(task, problem, [read(task, problem, body(task, problem))])[0].source))
    code = whole(task, problem)
    for answer in (
        f"\nHere is the fixed code:\n\n```{task.language.fence}\n{code}\n```\n\nIt's (line 3) fixed.",
        f"```\n{code}\n```",
        f"\n\n{code}\n",
        f"\n\n{code}\n\nThis fixes the bug, doesn't it?\n",
        f"\nSure!\n```{task.language.fence}\n{code}\n",
    ):
        for prompt in ("instruct", "octocoder", CHAT, CHAT_WITHOUT_PREFILL):
            program = CORRECTED.programs(task, problem, [read(task, problem, answer, prompt)])[0]
            assert sorted(words(program.source)) == expected, (prompt, answer)


@pytest.mark.parametrize("problem", PROBLEMS, ids=names)
def test_a_helper_behind_the_function_stays(problem: Problem) -> None:
    task = fix(problem)
    call, helper = HELPERS[problem.language]
    start, completion = body(task, problem), problem.canonical_solution.strip("\n")
    lead = start[: len(start) - len(start.lstrip())].split("\n")[0] + "\n"
    completion = lead + call + completion
    if problem.language == "java":  # before the brace that closes the class
        completion = completion.rstrip().removesuffix("}") + helper + "}"
    else:
        completion = completion.rstrip() + helper
    solution = read(task, problem, completion + TAILS[problem.language][0])
    for line in (call + helper).split("\n"):
        assert line.strip() in solution
    assert TAILS[problem.language][0].strip().split("\n")[0] not in solution


@pytest.mark.parametrize("problem", PROBLEMS, ids=names)
def test_edits_are_applied(problem: Problem) -> None:
    task = fix(problem)
    given = task.scenario.shown_code(problem, task.language)
    buggy, right = given + problem.buggy_solution, given + problem.canonical_solution
    expected = words(read(task, problem, body(task, problem)))
    lines = "\n".join(difflib.unified_diff(buggy.split("\n"), right.split("\n"), "a", "b", lineterm=""))
    hunks = lines.split("\n", 2)[2]
    matcher = diff_match_patch()
    characters = matcher.patch_toText(matcher.patch_make(buggy, right))
    for prompt in ("diff", "diff-carper"):
        for patch in (hunks, f" {hunks}\n", f"{lines}\n\nThis fixes it.", f"\n```diff\n{hunks}\n```\n", characters):
            assert words(read(task, problem, patch, prompt)) == expected, patch


@pytest.mark.parametrize("problem", PROBLEMS, ids=names)
def test_prose_is_no_answer(problem: Problem) -> None:
    task = fix(problem)
    for prompt in ("instruct", CHAT, "diff", "diff-carper"):
        for text in ("", "\n", "\nI am sorry, but I can't help with that.\n", "\n```\n```\n"):
            attempt = CORRECTED.attempt(task, problem, text, prompt)
            assert (attempt.solution, attempt.has_answer) == ("", False)


@pytest.mark.parametrize("problem", PROBLEMS, ids=names)
def test_wrong_code_is_an_answer(problem: Problem) -> None:
    task = fix(problem)
    cut = body(task, problem)[: -len(body(task, problem)) // 3]
    for completion in (cut, body(task, problem).replace("(", "((", 1)):
        if "(" in completion and completion != body(task, problem):
            assert CORRECTED.attempt(task, problem, completion, "instruct").has_answer


@pytest.mark.parametrize("problem", PROBLEMS, ids=names)
def test_entries_of_generations_files_are_read(problem: Problem) -> None:
    task = fix(problem)
    answer = PAPER.attempt(task, problem, body(task, problem), "instruct").solution
    attempt = CORRECTED.attempt_of_answer(task, problem, answer, "instruct")
    assert attempt.has_answer
    assert words(attempt.solution) == words(read(task, problem, body(task, problem)))


@pytest.mark.parametrize("problem", PROBLEMS, ids=names)
def test_explainsynthesize_tests_the_code_that_was_shown(problem: Problem) -> None:
    described = dataclasses.replace(problem, description="Does it.", candidate=0)
    task, fixing = get_task(f"humanevalexplainsynthesize-{problem.language}"), fix(problem)
    assert read(task, described, body(task, described)) == read(fixing, problem, body(fixing, problem))


def test_descriptions_are_read_as_in_the_paper() -> None:
    task, problem = get_task("humanevalexplaindescribe-go"), load_problems("go", "starter")[0]
    text = " It adds up numbers."
    assert CORRECTED.attempt(task, problem, text, "instruct") == PAPER.attempt(task, problem, text, "instruct")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_tail_leaves_the_function_whole(data: st.DataObject) -> None:
    problem = data.draw(st.sampled_from(PROBLEMS))
    task = fix(problem)
    pieces = st.sampled_from((*PROSE, *TAILS[problem.language]))
    tail = "".join(data.draw(st.lists(pieces, max_size=5)))
    solution = read(task, problem, body(task, problem) + tail)
    assert words(solution) == words(read(task, problem, body(task, problem)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_model_that_repeats_itself_is_read_however_deep_that_nests(language: str) -> None:
    problem = load_problems(language, "starter")[0]
    task, end = fix(problem), "" if language == "python" else ";\n}\n" * (1 + (language == "java"))
    long_sum = f"\n    return 1{' + 1' * 2000}{end or chr(10)}"
    assert long_sum.strip().split(";")[0] in read(task, problem, long_sum)
    repeated = ("(", "[", "{", "-", "1+(", "*", "namespace a {", "use b::{", "```\n", "/*", "if (x) ")
    for text in (piece * 1500 for piece in repeated):
        for completion in (f"\n    return {text}", f"{body(task, problem)}\n{text}"):
            attempt = CORRECTED.attempt(task, problem, completion, "instruct")
            assert CORRECTED.programs(task, problem, [attempt.solution])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_text_can_be_read(data: st.DataObject) -> None:
    problem = data.draw(st.sampled_from(PROBLEMS))
    task = fix(problem)
    code = body(task, problem)
    pieces = st.one_of(
        st.text(max_size=20),
        st.sampled_from((*PROSE, *TAILS[problem.language], "{", "}", "(", '"', "'", "`", "/*", "\ud800", "\x00", "\t")),
        st.integers(0, len(code)).map(lambda index: code[index:]),
        st.integers(0, len(code)).map(lambda index: code[:index]),
    )
    completion = "".join(data.draw(st.lists(pieces, max_size=6)))
    prompt = data.draw(st.sampled_from(("instruct", CHAT, CHAT_WITHOUT_PREFILL, "diff", "diff-carper")))
    attempt = CORRECTED.attempt(task, problem, completion, prompt)
    [program] = CORRECTED.programs(task, problem, [attempt.solution])
    assert program.test_offset is not None
    assert program.source[program.test_offset :] == task.language.tests(problem)
