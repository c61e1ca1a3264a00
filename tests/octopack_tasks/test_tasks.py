from __future__ import annotations

import pytest

from octopack_tasks import (
    GROUPS,
    LANGUAGES,
    PAPER_LANGUAGES,
    TASKS,
    Problem,
    UserError,
    find_tasks,
    get_task,
    load_problems,
)
from octopack_tasks.tasks import FURTHER_TASKS
from sandboxes import Program

SCENARIOS = ("fixtests", "fixdocs", "explaindescribe", "explainsynthesize", "synthesize")


def test_the_thirty_names_and_five_for_each_language_that_was_added() -> None:
    assert list(TASKS) == [f"humaneval{scenario}-{language}" for scenario in SCENARIOS for language in PAPER_LANGUAGES]
    assert len(TASKS) == 30
    added = {f"humaneval{scenario}-{name}" for scenario in SCENARIOS for name in LANGUAGES} - set(TASKS)
    assert added <= set(FURTHER_TASKS)
    assert all(task.name == name for name, task in (TASKS | FURTHER_TASKS).items())


def test_a_pattern_means_the_papers_tasks_and_others_only_where_none_fits() -> None:
    assert [task.language.name for task in find_tasks(["humanevalfixtests-*"])] == list(PAPER_LANGUAGES)
    assert len(find_tasks(["*-typescript"])) == len(SCENARIOS)


def test_the_groups() -> None:
    assert GROUPS["humanevalpack"] == tuple(TASKS), "the paper's tasks, whatever language is added"
    assert len(GROUPS["humanevalfix"]) == len(GROUPS["humanevalexplain"]) == 12
    for scenario in SCENARIOS:
        assert GROUPS[f"humaneval{scenario}"] == tuple(
            f"humaneval{scenario}-{language}" for language in PAPER_LANGUAGES
        )
    assert GROUPS["humanevalpack-go"] == tuple(f"humaneval{scenario}-go" for scenario in SCENARIOS)
    assert GROUPS["humanevalexplain-js"] == ("humanevalexplaindescribe-js", "humanevalexplainsynthesize-js")
    assert GROUPS["humanevalpack-typescript"] == tuple(f"humaneval{scenario}-typescript" for scenario in SCENARIOS)
    assert not set(GROUPS) & set(TASKS)


def test_tasks_are_found_by_name_group_and_pattern() -> None:
    found = find_tasks(["humanevalfixtests-go", "humanevalfix*-go", "humanevalexplain-rust"])
    assert [task.name for task in found] == [
        "humanevalfixtests-go",
        "humanevalfixdocs-go",
        "humanevalexplaindescribe-rust",
        "humanevalexplainsynthesize-rust",
    ]
    with pytest.raises(UserError, match="no task or group 'humanevalfix-perl'"):
        find_tasks(["humanevalfix-perl"])


def test_an_unknown_task() -> None:
    with pytest.raises(UserError, match="unknown task 'humaneval'; `octopack tasks list`"):
        get_task("humaneval")


def test_a_misspelt_task_is_told_from_its_neighbour() -> None:
    with pytest.raises(UserError, match="group 'humanevalfixtests-pyton', perhaps humanevalfixtests-python;"):
        find_tasks(["humanevalfixtests-pyton"])
    with pytest.raises(UserError, match="unknown task 'humanevalfixtest-go', perhaps humanevalfixtests-go;"):
        get_task("humanevalfixtest-go")
    with pytest.raises(UserError, match="no task or group 'mbpp'; `octopack tasks list`"):
        find_tasks(["mbpp"])


def test_the_path_of_one_sample() -> None:
    task = get_task("humanevalfixtests-python")
    problem = load_problems("python", dataset="starter")[0]
    prompt = task.prompt(problem, format="octocoder")
    assert prompt.text.startswith("Question: Fix bugs in seats_left.\n")
    solution = task.solution(problem, "\n" + problem.canonical_solution + "\nprint('done')", format="octocoder")
    program = task.program(problem, solution)
    assert isinstance(program, Program)
    assert program.language == "python"
    assert program.test_offset is not None
    assert program.source[program.test_offset :] == problem.test
    assert "done" not in program.source
    exec(
        compile(program.source.replace("import numpy as np\n", "").replace("import numpy\n", ""), "program", "exec"), {}
    )


def test_one_call_differs_from_many_in_go_only(problems: dict[str, Problem]) -> None:
    for language, problem in problems.items():
        task = get_task(f"humanevalsynthesize-{language}")
        right = problem.prompt + problem.canonical_solution
        solutions = ['"testing"' + right, right]
        together = task.programs_in_one_call(problem, solutions)
        apart = [task.program(problem, solution) for solution in solutions]
        assert (together == apart) is (language != "go")


def test_descriptions_are_not_run(toy: Problem) -> None:
    task = get_task("humanevalexplaindescribe-python")
    assert not task.is_executed
    with pytest.raises(UserError, match="writes descriptions"):
        task.programs_in_one_call(toy, ["It doubles."])
