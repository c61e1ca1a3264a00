"""The plugin for bigcode-evaluation-harness, against its public interface, and a checkout of it where one is named.

The harness is not on PyPI: `OCTOPACK_BIGCODE_CHECKOUT` names the folder of a checkout.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from stand_ins import StandInSandbox

from octopack_tasks import TASKS, UserError, get_task, load_problems
from octopack_tasks.harnesses import bigcode
from sandboxes import SandboxUnavailable, open_sandbox


class Pool(StandInSandbox):
    def run(self, programs: Any) -> list[Any]:
        return [verdict for _, verdict in self.stream(programs)]


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The part of the harness that a task meets: a base class, a registry, and how `main.py` makes a task."""

    class Task:
        def __init__(self, stop_words: Any = None, requires_execution: bool = True) -> None:
            raise AssertionError("it would load the dataset again")

    package, base, tasks = (types.ModuleType(f"bigcode_eval{name}") for name in ("", ".base", ".tasks"))
    base.Task = Task
    tasks.TASK_REGISTRY = {"humaneval": object, "humanevalfixtests-python": object}
    tasks.ALL_TASKS = sorted(tasks.TASK_REGISTRY)
    package.tasks, package.base = tasks, base

    def make(name: str, prompt: str = "prompt", load_data_path: str | None = None) -> Any:
        parameters = inspect.signature(tasks.TASK_REGISTRY[name]).parameters
        given = {"prompt": prompt, "load_data_path": load_data_path}
        return tasks.TASK_REGISTRY[name](**{key: value for key, value in given.items() if key in parameters})

    tasks.make = make
    for module in (package, base, tasks):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("OCTOPACK_DATASET", "starter")
    monkeypatch.setattr(bigcode, "open_sandbox", lambda **_: Pool(lambda source: "BAD" not in source))
    monkeypatch.chdir(tmp_path)
    bigcode.register()
    return tasks


def test_the_thirty_tasks_are_ours_and_the_others_stay(harness: Any) -> None:
    assert set(harness.ALL_TASKS) == {"humaneval", *TASKS}
    assert harness.TASK_REGISTRY["humaneval"] is object
    takes = {name: set(inspect.signature(harness.TASK_REGISTRY[name]).parameters) for name in TASKS}
    assert takes["humanevalfixtests-go"] == {"prompt"}
    assert takes["humanevalexplainsynthesize-go"] == {"prompt", "load_data_path"}


@pytest.mark.parametrize("prompt", ["instruct", "octocoder", "diff", "diff-carper"])
def test_prompts_stops_and_answers_are_those_of_the_library(harness: Any, prompt: str) -> None:
    theirs, ours = harness.make("humanevalfixtests-js", prompt), get_task("humanevalfixtests-js")
    theirs.stop_words.append("</s>")  # as the harness does with the end token
    for index, problem in enumerate(load_problems("js", "starter")):
        text = theirs.get_prompt(theirs.get_dataset()[index])
        assert text == ours.prompt(problem, prompt).text
        for completion in ("\n" + problem.canonical_solution, "\n" + problem.buggy_solution + "\n\n// more"):
            answer = ours.answer(problem, completion, prompt)
            assert theirs.postprocess_generation(text + completion, index) == answer
            assert theirs.check_fn(completion) == ours.is_complete(completion, prompt)
        cut = theirs.postprocess_generation(text + "\n  return 1 \n</s></s> rest", index)
        assert cut == ours.answer(problem, "\n  return 1 \n<|endoftext|>", prompt)
        assert theirs.check_fn("\n  return 1 \n</s>")


def test_results_have_the_references_shapes(harness: Any) -> None:
    task = harness.make("humanevalfixtests-go")
    documents = task.get_dataset()
    references = [task.get_reference(document) for document in documents]
    generations = [[f"good {index}", f"BAD {index}"] for index in range(len(documents))]
    assert task.process_results(generations, references) == {"pass@1": 0.5}
    logs = json.loads(Path("logs.json").read_text())
    assert logs["0"][0][1]["result"] == "passed"
    assert logs["0"][1][1]["passed"] is False


def test_samples_from_the_middle_meet_their_own_tests(harness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task = harness.make("humanevalfixtests-rust")
    seen: list[str] = []
    monkeypatch.setattr(bigcode, "open_sandbox", lambda **_: Pool(lambda source: not seen.append(source)))
    documents = task.get_dataset()[4:6]
    task.process_results([["fn a() {}"], ["fn b() {}"]], [task.get_reference(document) for document in documents])
    assert [document["test"] in source for document, source in zip(documents, seen, strict=True)] == [True, True]


def test_descriptions_come_from_the_file_that_the_harness_wrote(harness: Any, tmp_path: Path) -> None:
    file = tmp_path / "generations.json"
    file.write_text(json.dumps([["one", "two"], ["three"]]))
    task = harness.make("humanevalexplainsynthesize-go", "octocoder", str(file))
    prompts = [task.get_prompt(document) for document in task.get_dataset()]
    assert [word in prompt for word, prompt in zip(("one", "two", "three"), prompts, strict=True)] == [True] * 3
    describe = harness.make("humanevalexplaindescribe-go")
    assert not hasattr(describe, "check_fn")
    assert describe.get_reference(describe.get_dataset()[0]) is None
    with pytest.raises(UserError, match="--generation_only"):
        describe.process_results([], [])


def test_descriptions_end_at_a_word_of_the_harness_unless_the_limit_cuts_it(harness: Any) -> None:
    task = harness.make("humanevalexplaindescribe-rust", "octocoder")
    task.stop_words.append("</s>")
    prompt = task.get_prompt(task.get_dataset()[0])
    limit = len(load_problems("rust", "starter")[0].docstring)
    for length, kept in ((limit - 10, ""), (limit - 4, ""), (limit - 2, "</"), (limit, "")):
        text = "a" * length
        assert task.postprocess_generation(f"{prompt} {text}</s></s>", 0) == text + kept


def test_the_default_prompt_of_the_harness_fails_only_where_a_prompt_is_built(harness: Any) -> None:
    task = harness.make("humanevalsynthesize-cpp")
    assert task.get_reference(task.get_dataset()[0], get_solution=True)
    with pytest.raises(UserError, match="unknown prompt format 'prompt'"):
        task.get_prompt(task.get_dataset()[0])


def test_without_the_harness_it_says_where_to_get_it(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "octopack_tasks.harnesses.bigcode", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "bigcode-evaluation-harness cannot be imported" in done.stderr


def test_a_real_checkout_scores_generations(tmp_path: Path) -> None:
    checkout = os.environ.get("OCTOPACK_BIGCODE_CHECKOUT")
    if not checkout:
        pytest.skip("OCTOPACK_BIGCODE_CHECKOUT names no checkout of bigcode-evaluation-harness")
    try:
        open_sandbox(languages=["python"]).close()
    except SandboxUnavailable as error:
        pytest.skip(f"no sandbox here: {error}")
    task = get_task("humanevalfixtests-python")
    bodies = [
        [task.answer(problem, "\n" + text) for text in (problem.canonical_solution, problem.buggy_solution)]
        for problem in load_problems("python", "starter")
    ]
    (tmp_path / "generations.json").write_text(json.dumps(bodies))
    arguments = [
        "--tasks",
        task.name,
        "--n_samples",
        "2",
        "--load_generations_path",
        "generations.json",
        "--allow_code_execution",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "octopack_tasks.harnesses.bigcode", f"{checkout}/main.py", *arguments],
        cwd=tmp_path,
        env={**os.environ, "OCTOPACK_DATASET": "starter"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "evaluation_results.json").read_text())
    assert results[task.name] == {"pass@1": 0.5}
