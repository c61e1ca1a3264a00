"""The vLLM backend with a real model, in one start of the engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from octopack_tasks import get_task, load_problems
from octopack_tasks.generation import Finish, Request, Watch
from octopack_tasks.runs import Run
from sandboxes import SandboxUnavailable, open_sandbox

pytest.importorskip("vllm")

SCRIPT = """
import json, sys
from octopack_tasks import evaluate
from octopack_tasks.generation import Stop, open_backend
from octopack_tasks.plans import Plan, TaskPlan

if __name__ == "__main__":
    model, folder = sys.argv[1:]
    with open_backend("vllm", model, options={"max_model_len": 2048, "max_num_seqs": 8}) as backend:
        result = evaluate("humanevalfixtests-python", backend, dataset="starter", limit=3, n_samples=2,
                          max_new_tokens=64, out=folder + "/run")
        plan = TaskPlan("humanevalsynthesize-cpp", n_samples=2, max_new_tokens=120)
        (work,) = Plan((plan,), "starter", limit=3).load()
        rows = []
        for stop in (Stop.PAPER, Stop.NEVER):
            requests = [work.request(problem, range(2), stop) for problem in work.problems]
            for each in backend.generate(iter(requests)):
                prompt = backend.prompt_tokens(each.request)
                rows.append([stop.value, each.request.problem.task_id, each.sample, each.text, each.tokens,
                             each.finish.value, prompt])
        rows.append(["context", backend.context_length])
    json.dump(rows, open(folder + "/rows.json", "w"))
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the script wrote."""
    model = os.environ.get("OCTOPACK_TEST_MODEL")
    if not model:
        pytest.skip("OCTOPACK_TEST_MODEL names no folder of a small model")
    try:
        open_sandbox(languages=["python"]).close()
    except SandboxUnavailable as error:
        pytest.skip(f"no sandbox here: {error}")
    folder = tmp_path_factory.mktemp("vllm")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, model, folder],
        env={"VLLM_CPU_KVCACHE_SPACE": "1", **os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.mark.model
def test_a_run_is_generated_and_judged(outcome: Path) -> None:
    run = Run(outcome / "run")
    samples = run.samples("humanevalfixtests-python")
    assert sorted((sample.task_id, sample.sample) for sample in samples) == [
        (problem.task_id, number) for problem in load_problems("python", "starter")[:3] for number in range(2)
    ]
    assert {len(run.judgements("humanevalfixtests-python", "paper"))} == {6}
    assert run.manifest["loaded_model"]["context_length"] == 2048
    for sample in samples:
        assert sample.completion is not None
        assert 0 < (sample.tokens or 0) <= 64
        # The completion follows the prompt, whose last newline was stripped: a model goes on with it.
        if sample.finish is Finish.COMPLETE:
            assert get_task("humanevalfixtests-python").is_complete(sample.completion)


@pytest.mark.model
def test_ending_early_costs_fewer_tokens_and_changes_no_solution(outcome: Path) -> None:
    rows: list[Any] = json.loads((outcome / "rows.json").read_text())
    assert rows.pop() == ["context", 2048]
    task = get_task("humanevalsynthesize-cpp")
    problems = load_problems("cpp", "starter")
    tokens: dict[str, int] = defaultdict(int)
    for stop, task_id, sample, text, count, finish, _ in rows:
        tokens[stop] += count
        assert count <= 120
        problem = problems.get(task_id)
        request = Request(task.name, problem, task.prompt(problem), (sample,))
        watch = Watch(request.is_complete)
        pieces = [text[index : index + 3] for index in range(0, len(text), 3)]
        ended = any(watch.add(piece) for piece in pieces)
        assert task.solution(problem, watch.text) == task.solution(problem, text)
        if stop == "paper":
            assert ended == (finish == "complete")
        else:
            assert finish in ("length", "end")
    assert len(rows) == 12
    assert tokens["paper"] < tokens["never"]
