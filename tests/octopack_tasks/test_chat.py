from __future__ import annotations

import dataclasses

import pytest

from octopack_tasks import LANGUAGES, Problem, Task, get_task
from octopack_tasks.chat import fenced_blocks

WHOLE = "def double(x):\n    return helper(x)\n\ndef helper(x):\n    return x + x"


@pytest.fixture
def task() -> Task:
    return get_task("humanevalfixtests-python")


def test_a_continued_message_ends_at_its_fence(task: Task, toy: Problem) -> None:
    code = "\n    return helper(x)\n\ndef helper(x):\n    return x + x"
    answer = f"{code}\n```\nIt used to return x:\n```python\ndouble(1)\n```"
    assert task.solution(toy, answer, "chat") == WHOLE


def test_a_continued_message_without_a_fence_ends_with_the_function(task: Task, toy: Problem) -> None:
    assert task.solution(toy, "\n    return x + x\n\nThis works.", "chat") == "def double(x):\n    return x + x\n"


def test_a_model_may_start_again_instead_of_continuing(task: Task, toy: Problem) -> None:
    answer = f"\n\nHere is the fixed code:\n\n```python\n{WHOLE}\n```\nDone."
    assert task.solution(toy, answer, "chat") == WHOLE


@pytest.mark.parametrize(
    "answer",
    [
        f"Sure!\n```python\n{WHOLE}\n```\n",
        f"```\n{WHOLE}\n```\nDone.",
        f"```python\n{WHOLE}",  # cut off by the length limit
        f"Run this:\n```bash\npip install double\n```\nThen:\n```python\n{WHOLE}\n```\nUse:\n```python\ndouble(1)\n```",
        WHOLE,
        f"{WHOLE}<|endoftext|>def double(x): pass",
    ],
)
def test_a_whole_answer_is_the_block_that_defines_the_function(task: Task, toy: Problem, answer: str) -> None:
    assert task.solution(toy, answer, "chat-without-prefill") == WHOLE


def test_a_whole_answer_may_be_the_body_alone(task: Task, toy: Problem) -> None:
    answer = "```python\n    return x + x\n```"
    assert task.solution(toy, answer, "chat-without-prefill") == "def double(x):\n    return x + x"


def test_lacking_imports_and_helpers_come_from_the_declaration(task: Task, toy: Problem) -> None:
    declaration = "from typing import List\nimport math\n\n\ndef helper(x):\n    return 2 * x\n\n\ndef double(x):\n"
    problem = dataclasses.replace(toy, declaration=declaration)
    answer = "```python\nimport math\ndef double(x):\n    return helper(x)\n```"
    assert task.solution(problem, answer, "chat-without-prefill") == (
        "from typing import List\ndef helper(x):\n    return 2 * x\n\nimport math\ndef double(x):\n    return helper(x)"
    )


def test_java_gets_its_class_and_loses_main(problems: dict[str, Problem]) -> None:
    task, problem = get_task("humanevalsynthesize-java"), problems["java"]
    name = problem.entry_point
    method = f"```java\npublic int {name}(int a) {{\n    return 1;\n}}\n```"
    solution = task.solution(problem, method, "chat-without-prefill")
    assert solution.endswith(f"class Solution {{\npublic int {name}(int a) {{\n    return 1;\n}}\n}}")
    whole = (
        f"```java\npublic class Solution {{\n    public int {name}(int a) {{ return 1; }}\n}}\n"
        "public class Main {\n    public static void main(String[] a) {}\n}\n```"
    )
    solution = task.solution(problem, whole, "chat-without-prefill")
    assert "\nclass Solution {" in solution
    assert "public class" not in solution


@pytest.mark.parametrize("scenario", ["fixtests", "fixdocs", "synthesize"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_right_answer_gives_the_right_program(scenario: str, language: str, problems: dict[str, Problem]) -> None:
    """However a model wraps the right code, the program has its declaration and body just once."""
    task, problem = get_task(f"humaneval{scenario}-{language}"), problems[language]
    body = problem.canonical_solution.rstrip()
    whole = (problem.prompt + body).strip("\n")
    continued = task.solution(problem, f"\n{body}\n```\n", "chat")
    fenced = task.solution(problem, f"Here:\n\n```{task.language.fence}\n{whole}\n```\n", "chat-without-prefill")
    for solution in (continued, fenced):
        assert solution.count(body.strip()) == 1
        assert task.program(problem, solution).source.count(problem.declaration.strip().split("\n")[-1]) >= 1


def test_generation_may_stop_at_the_closing_fence(task: Task) -> None:
    assert not task.is_complete("\n    return x + x\n", "chat")
    assert not task.is_complete("\n    return x + x\n```", "chat")  # may become the opening of another block
    assert task.is_complete("\n    return x + x\n```\n", "chat")
    assert not task.is_complete("\nSure:\n```python\ndef", "chat")
    assert not task.is_complete("```python\nx\n```\n", "chat-without-prefill")


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("", []),
        ("no code", []),
        ("a `b` ```c``` d", []),
        ("```\na\n```", ["a\n"]),
        ("```python\na\n", ["a\n"]),
        ("```python\na\n```\ntext\n  ```go\nb\n  ```\n", ["a\n", "b\n"]),
        ("```", [""]),
        ("1. Do:\n\n   ```python\n   def f():\n\n       return 1\n   ```\n", ["def f():\n\n    return 1\n"]),
        ("  ```\ndef f():\n    return 1\n  ```\n", ["def f():\n    return 1\n"]),
        ("```\n    return 1\n```\n", ["    return 1\n"]),
    ],
)
def test_fenced_blocks(text: str, blocks: list[str]) -> None:
    assert fenced_blocks(text) == blocks
