"""The plugin for Inspect, with its mock model and a stand-in for the sandbox."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from stand_ins import StandInSandbox

from octopack_tasks import TASKS, UserError, evaluate, get_task, load_problems

anyio = pytest.importorskip("anyio")
inspect_ai = pytest.importorskip("inspect_ai")
plugin = pytest.importorskip("octopack_tasks.harnesses.inspect")


class Pool(StandInSandbox):
    def run(self, programs: Any) -> list[Any]:
        return [verdict for _, verdict in self.stream(programs)]

    def close(self) -> None:
        pass


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    found = Pool()
    monkeypatch.setattr(plugin, "open_sandbox", lambda *_, **__: found)
    plugin._opened.cache_clear()
    yield found
    plugin._opened.cache_clear()


def model_that_says(texts: list[str]) -> Any:
    from inspect_ai.model import ModelOutput, get_model

    outputs = [ModelOutput.from_content("mockllm/model", text) for text in texts]
    model = get_model("mockllm/model", custom_outputs=outputs)

    async def count(text: str) -> int:
        return len(text)

    model.api.count_text_tokens = count  # its own way of counting asks the network
    return model


def run(task: Any, texts: list[str], folder: Path) -> Any:
    (log,) = inspect_ai.eval(
        task, model=model_that_says(texts), log_dir=str(folder), display="none", max_connections=1, max_samples=1
    )
    assert log.status == "success", log.error
    return log


def test_all_tasks_are_found_by_the_entry_point() -> None:
    from importlib.metadata import entry_points

    (entry_point,) = [point for point in entry_points(group="inspect_ai") if point.name == "octopack_tasks"]
    found = entry_point.load().ALL_TASKS
    assert set(found) == set(TASKS)
    from inspect_ai.util import registry_info

    names = {registry_info(function).name for function in found.values()}
    assert names == {f"octopack_tasks/{name}" for name in TASKS}


def test_scores_are_those_of_the_library(tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    problems = load_problems("python", "starter")
    task = get_task("humanevalfixtests-python")
    texts = {
        problem.task_id: [
            f"Here it is.\n```python\n{problem.declaration}{body}```\nIt works. {number}"
            for number, body in enumerate([problem.canonical_solution, problem.buggy_solution])
        ]
        for problem in problems
    }
    made = plugin.ALL_TASKS[task.name](dataset="starter", n_samples=2, k=[1, 2])
    # Inspect asks epoch by epoch.
    log = run(made, [texts[problem.task_id][epoch] for epoch in range(2) for problem in problems], tmp_path)
    ours = {score.reducer: score.metrics["accuracy"].value for score in log.results.scores}

    monkeypatch.setattr("octopack_tasks.evaluation.open_sandbox", lambda *_, **__: pool)
    result = evaluate(task, texts, prompt="chat-without-prefill", dataset="starter", ks=[1, 2])[task.name]
    assert ours == {"pass_at_1": pytest.approx(result.pass_at(1)), "pass_at_2": pytest.approx(result.pass_at(2))}
    score = log.samples[0].scores["passes_tests"]
    assert score.answer.startswith("def ")
    assert score.metadata["sandbox"]["backend"] == "stand-in"
    assert log.samples[0].input[0].text == task.prompt(problems[0], "chat-without-prefill").text


def test_descriptions_are_kept_as_answers(tmp_path: Path, pool: Pool) -> None:
    made = plugin.ALL_TASKS["humanevalexplaindescribe-go"](dataset="starter")
    count = len(load_problems("go", "starter"))
    log = run(made, ["It adds things up."] * count, tmp_path)
    assert {sample.scores["describes"].answer for sample in log.samples} == {"It adds things up."}
    assert pool.judged == 0


def test_who_cancels_does_not_wait_for_programs(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    from inspect_ai.model import ModelName, ModelOutput
    from inspect_ai.scorer import Target
    from inspect_ai.solver import TaskState

    ended = threading.Event()
    monkeypatch.setattr(pool, "run", lambda _: ended.wait(timeout=10))
    (score,) = plugin.ALL_TASKS["humanevalfixtests-python"](dataset="starter").scorer
    output = ModelOutput.from_content("mockllm/model", "It adds.")
    state = TaskState(ModelName("mockllm/model"), "1", 1, "", [], output=output, metadata={"index": 0})

    async def cancelled() -> bool:
        with anyio.move_on_after(0.1) as scope:
            await score(state, Target(""))
        return scope.cancelled_caught

    try:
        assert anyio.run(cancelled)
    finally:
        ended.set()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": "nonsense"}, "unknown prompt format"),
        ({"n_samples": 2, "k": 3}, "1 <= k <= n_samples"),
        ({"n_samples": 2, "k": 0}, "1 <= k <= n_samples"),
        ({"n_samples": "some"}, "must be whole numbers, not None and 'some'"),
        ({"k": "abc"}, "must be whole numbers, not 'abc' and 1"),
        ({"dataset": "./nowhere"}, "no folder"),
    ],
)
def test_arguments_that_make_no_sense(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plugin.ALL_TASKS["humanevalfixtests-python"](**{"dataset": "starter", **arguments})
