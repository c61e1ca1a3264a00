"""The metric for Hugging Face evaluate, in a real sandbox where there is one."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pytest

from octopack_tasks.harnesses.hf_evaluate import METRIC, load
from sandboxes import SandboxUnavailable, open_sandbox

evaluate = pytest.importorskip("evaluate")


@pytest.fixture(scope="module")
def metric(tmp_path_factory: pytest.TempPathFactory) -> Any:
    try:
        open_sandbox(languages=["python"]).close()
    except SandboxUnavailable as error:
        pytest.skip(f"no sandbox here: {error}")
    return load("Muennighoff/code_eval_octopack", cache_dir=str(tmp_path_factory.mktemp("metric")))


def test_scores_and_logs_have_the_references_shape(metric: Any) -> None:
    candidates = [["def add(a, b):\n    return a + b", "def add(a, b):\n    return a * b"], ["def one(): return 1"] * 2]
    tests = ["assert add(2, 3) == 5", "\nassert one() == 1"]
    scores, logs = metric.compute(
        references=tests, predictions=candidates, k=[1, 2, 10], language="python", timeout=10, num_workers=2
    )
    assert scores == {"pass@1": 0.75, "pass@2": 1.0}
    assert [[number for number, _ in logs[index]] for index in (0, 1)] == [[0, 1], [0, 1]]
    assert logs[0][0][1]["result"] == "passed"
    assert logs[0][1][1]["passed"] is False
    assert logs[0][1][1]["result"].startswith("failed: ")
    assert (logs[1][1][1]["task_id"], logs[1][1][1]["completion_id"]) == (1, 1)


def test_arguments_as_scripts_of_the_reference_pass_them(metric: Any) -> None:
    with pytest.warns(UserWarning, match="cargo_string is not used"):
        scores, _ = metric.compute(
            references=["assert True"],
            predictions=[["x = 1"]],
            k=1,
            timeout=10,
            num_workers=1,
            cargo_string="[package]",
        )
    assert scores == {"pass@1": 1.0}


def test_a_language_that_is_not_there(metric: Any) -> None:
    with pytest.raises(ValueError, match="unknown language 'cobol'"):
        metric.compute(references=[""], predictions=[[""]], language="cobol")


@pytest.mark.parametrize("k", [0, [1, -1], "10", [1.5], ["1"]])
def test_a_k_that_makes_no_sense_is_said_before_programs_are_run(
    metric: Any, k: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[type(metric).__module__], "open_sandbox", None)
    with pytest.raises(ValueError, match=re.escape(f"whole numbers, 1 or more, not {k!r}")):
        metric.compute(references=["assert True"], predictions=[["x = 1"]], k=k)


def test_a_k_may_be_a_number_of_numpy(metric: Any) -> None:
    scores, _ = metric.compute(references=["assert True"], predictions=[["x = 1"]], k=np.int64(1))
    assert scores == {"pass@1": 1.0}


def test_it_can_be_loaded_by_its_path(metric: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    loaded = evaluate.load(METRIC, cache_dir=str(tmp_path_factory.mktemp("by_path")))
    assert type(loaded).__name__ == type(metric).__name__ == "CodeEvalOctopack"
