from __future__ import annotations

import dataclasses

import pytest

from octopack_tasks import LANGUAGES, Problem, UserError, get_task


def test_fixing_shows_the_tests_or_the_documentation(toy: Problem) -> None:
    by_tests = get_task("humanevalfixtests-python").prompt(toy).text
    by_docs = get_task("humanevalfixdocs-python").prompt(toy).text
    assert "assert double(2) == 4" in by_tests
    assert "Twice x." not in by_tests
    assert "assert" not in by_docs
    assert by_docs.count("Twice x.") == 2
    for text in (by_tests, by_docs):
        assert toy.buggy_solution in text
        assert toy.canonical_solution not in text


def test_describing_states_the_limit_in_characters(toy: Problem) -> None:
    text = get_task("humanevalexplaindescribe-python").prompt(toy).text
    assert text.endswith("description of the code using at most 8 characters.")
    assert text.startswith("def double(x):\n    return x + x\n")


def test_synthesizing_from_a_description_shows_no_documentation(toy: Problem) -> None:
    task = get_task("humanevalexplainsynthesize-python")
    described = dataclasses.replace(toy, description="It doubles.", candidate=0)
    text = task.prompt(described, "octocoder").text
    assert text == (
        "Question: Write functional code in Python according to the description.\nIt doubles.\n\n"
        "Answer:\ndef double(x):"
    )
    # ... but the solution has it again.
    assert task.solution(described, "\n    return x + x") == toy.prompt.rstrip() + "\n    return x + x"


def test_a_missing_description_is_an_error_and_a_null_one_the_bare_instruction(toy: Problem) -> None:
    task = get_task("humanevalexplainsynthesize-python")
    with pytest.raises(UserError, match="Toy/0 has no description; give the descriptions"):
        task.prompt(toy)
    null = dataclasses.replace(toy, candidate=0)
    assert task.prompt(null).text.startswith("Write functional code in Python according to the description.\n\ndef")


@pytest.mark.parametrize("scenario", ["fixtests", "fixdocs", "synthesize"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_right_completion_gives_the_right_solution(
    scenario: str, language: str, problems: dict[str, Problem]
) -> None:
    problem, task = problems[language], get_task(f"humaneval{scenario}-{language}")
    given = task.language.declaration(problem) if scenario == "fixtests" else problem.prompt
    prompt = task.prompt(problem, "instruct").text
    completion = "\n" + problem.canonical_solution.strip("\n")
    assert (prompt + completion).endswith((given + problem.canonical_solution).strip())
    solution = task.solution(problem, completion + "\n\n<|endoftext|>rambling")
    assert solution.rstrip() == given.rstrip() + "\n" + problem.canonical_solution.strip("\n")


def test_a_completion_is_cut_at_each_stop_word_in_turn(toy: Problem) -> None:
    task = get_task("humanevalsynthesize-python")
    completion = "\n    return 2 * x\nprint(double(2))\nclass A:\n    pass"
    assert task.solution(toy, completion) == toy.prompt.rstrip() + "\n    return 2 * x"
    assert task.is_complete(completion)
    assert not task.is_complete("\n    return 2 * x\n")


def test_a_description_is_limited_and_has_no_code(toy: Problem) -> None:
    task = get_task("humanevalexplaindescribe-python")
    long_line = "total = sum(value * value for value in values)"
    problem = dataclasses.replace(toy, docstring="x" * 80, canonical_solution=f"    {long_line}\n    return total\n")
    completion = f"  Squares: {long_line} and return total, {'y' * 80}"
    answer = task.solution(problem, completion)
    assert answer == f"Squares:  and return total, {'y' * 6}"
    assert task.solution(problem, "One.\nif not, two.") == "One."
    assert not task.is_complete("y" * 200)
    assert task.is_complete("One.\nif")
    with pytest.raises(UserError, match="scored by humanevalexplainsynthesize-python"):
        task.program(problem, answer)


# --- edits ------------------------------------------------------------------------------------------------------------

CARPER = " @@ -1,2 +1,2 @@\n def double(x):\n-    return x\n+    return x + x\n"


def test_an_edit_as_answer_is_applied_for_the_solution(problems: dict[str, Problem]) -> None:
    problem, task = problems["js"], get_task("humanevalfixtests-js")
    buggy = (problem.declaration + problem.buggy_solution).split("\n")
    fixed = (problem.declaration + problem.canonical_solution).split("\n")
    (index,) = (index for index, line in enumerate(buggy) if line != fixed[index])
    hunk = f" @@ -{index} +{index} @@\n-{buggy[index]}\n+{fixed[index]}\n"
    assert task.answer(problem, hunk, "diff-carper") == hunk.strip()
    assert task.solution(problem, hunk, "diff-carper") == "\n".join(fixed)


def test_python_edits_never_survive_the_cut_at_column_0(toy: Problem) -> None:
    task = get_task("humanevalfixtests-python")
    assert task.answer(toy, CARPER.lstrip(), "diff") == ""
    assert task.solution(toy, CARPER.lstrip(), "diff") == toy.declaration + toy.buggy_solution
    assert task.solution(toy, CARPER, "diff-carper") == toy.declaration + toy.buggy_solution


def test_an_answer_without_the_tags_is_no_edit(toy: Problem) -> None:
    task = get_task("humanevalfixtests-python")
    assert task.answer(toy, "@@ -1 +1 @@", "diff-carper") == ""  # the space after the last tag is missing
    assert task.solution(toy, "@@ -1 +1 @@", "diff-carper") == ""


def test_an_edit_does_not_end_with_the_function(toy: Problem) -> None:
    task = get_task("humanevalfixtests-python")
    assert task.is_complete("\nx", "octocoder")
    assert not task.is_complete("\nx", "diff")
    assert task.is_complete("\nx<commit_msg>", "diff")
