"""What a report accepts as a run, and what it makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import write_run

from octopack_tasks.errors import UserError
from octopack_tasks.problems import load_problems
from octopack_tasks.report.inputs import Origin, ReportRun, Score, Settings, parameters_in
from octopack_tasks.report.loading import MIXED_NOTE, load_runs
from octopack_tasks.results import outcomes_of
from octopack_tasks.runs import Run

PYTHON = "humanevalfixtests-python"
GO = "humanevalfixtests-go"


def test_a_run_of_octopack(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [PYTHON, GO], model="owner/some-model-15B", n_samples=3)
    [run] = load_runs([folder])
    assert (run.label, run.parameters, run.origin, run.is_whole) == ("some-model-15B", 15e9, Origin.OCTOPACK, True)
    assert run.readings == ("paper",)
    result = run.result(PYTHON)
    assert result is not None
    assert result.settings == Settings("instruct", 3, 0.2, 0.95, 0, 2048)
    assert (result.problems, result.dataset_problems, result.dataset_sha256) == (
        10,
        10,
        load_problems("python", "starter").sha256,
    )
    passed = sum(judgement.verdict.passed for judgement in Run(folder).judgements(PYTHON, "paper"))
    score = result.pass_at(1)
    assert score is not None
    assert score.value == pytest.approx(passed / 30)
    assert score.low is not None
    assert score.low <= score.value <= (score.high or 0)
    assert sum(tally.correct for tally in result.tallies.values()) == passed == result.outcomes["passed"]
    assert [each.k for each in result.curve()] == [1, 2, 3]
    assert [each.k for each in result.curve([1, 3, 10])] == [1, 3]
    assert sum(bug.problems for bug in result.bug_types.values()) == 10
    assert run.result("humanevalsynthesize-go") is None


def test_the_samples_of_a_run_are_read_when_asked_for(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [PYTHON], n_samples=2)
    [run] = load_runs([folder])
    assert run.details is not None
    problems = run.details.problems(PYTHON)
    assert "check(" in run.details.prompt(PYTHON, problems[0])
    assert len(list(run.details.samples(PYTHON))) == 20
    judgements = run.details.judgements(PYTHON, "paper")
    result = run.result(PYTHON)
    assert result is not None
    assert outcomes_of(judgements) == result.outcomes


def test_half_a_run_says_what_it_lacks(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [PYTHON, GO], n_samples=2, judge_share=0.5)
    [run] = load_runs([folder])
    assert not run.is_whole
    assert run.lacks == (
        f"{PYTHON}: 10 of 20 samples lack a verdict",
        f"{GO}: 10 of 20 samples lack a verdict",
    )
    result = run.result(GO)
    assert result is not None
    assert (result.problems, result.dataset_problems, result.is_whole) == (5, 10, False)


def test_a_limited_run_is_not_whole_either(tmp_path: Path) -> None:
    [run] = load_runs([write_run(tmp_path / "run", [PYTHON], limit=4)])
    assert run.lacks == (f"{PYTHON}: 4 of 10 problems were asked",)


def test_an_empty_run_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [PYTHON], judge_share=0)
    with pytest.raises(UserError, match=r"empty run.*octopack score"):
        load_runs([folder])


def test_runs_of_different_datasets(tmp_path: Path, toy_folder: Path) -> None:
    first = write_run(tmp_path / "first", [PYTHON])
    second = write_run(tmp_path / "second", [PYTHON], dataset=str(toy_folder), model="made/other")
    with pytest.raises(UserError, match=r"different datasets.*--allow-mixed"):
        load_runs([first, second])
    mixed = load_runs([first, second], allow_mixed=True)
    assert all(run.notes[-1].startswith(MIXED_NOTE) for run in mixed)
    third = write_run(tmp_path / "third", [GO], model="made/go")  # another language is no other dataset
    assert all(not run.notes for run in load_runs([first, third]))


def test_a_dataset_that_has_moved(tmp_path: Path, toy_folder: Path) -> None:
    folder = write_run(tmp_path / "run", [PYTHON], dataset=str(toy_folder))
    moved = toy_folder.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="--dataset"):
        load_runs([folder])
    [run] = load_runs([folder], dataset=str(moved))
    assert run.is_whole
    with pytest.raises(UserError, match="has changed"):
        load_runs([folder], dataset="starter")


def test_labels(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", [PYTHON], model="made/same")
    second = write_run(tmp_path / "second", [PYTHON], model="made/same")
    assert [run.label for run in load_runs([first, second])] == ["same (first)", "same (second)"]
    assert [run.label for run in load_runs([first, first])] == ["same (first)", "same (first) #2"]
    assert [run.label for run in load_runs([f"mine={first}", second])] == ["mine", "same"]


REFERENCE: dict[str, Any] = {
    PYTHON: {"pass@1": 0.3048, "pass@10": 0.41},
    "config": {
        "model": "bigcode/octocoder",
        "prompt": "octocoder",
        "n_samples": 20,
        "do_sample": True,
        "temperature": 0.2,
        "top_p": 0.95,
        "max_length_generation": 2048,
        "limit": None,
    },
}


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_result_files_of_the_reference(tmp_path: Path) -> None:
    write_json(tmp_path / "evaluation_fix_python.json", REFERENCE)
    greedy = {GO: {"pass@1": 0.25}, "config": {**REFERENCE["config"], "do_sample": False, "limit": 20}}
    write_json(tmp_path / "evaluation_fix_go.json", greedy)
    [run] = load_runs([tmp_path])
    assert (run.label, run.origin, run.details) == ("octocoder", Origin.BIGCODE, None)
    python, go = run.result(PYTHON), run.result(GO)
    assert python is not None
    assert go is not None
    assert python.scores == (Score(1, 0.3048), Score(10, 0.41))
    assert python.settings == Settings("octocoder", 20, 0.2, 0.95, None, 2048)
    assert (python.settings.is_greedy, go.settings.is_greedy) == (False, True)
    assert run.lacks == (f"{GO}: only 20 problems were asked",)


def lm_eval_results(folder: Path, *, log: bool, passed: tuple[bool, ...] = (True, False)) -> Path:
    """Results as lm-eval writes them, of the first problems of the starter pack."""
    name = "results_2026-01-01T00-00-00.000001.json"
    problems = load_problems("python", "starter")
    record = {
        "prompt": "octocoder",
        "n_samples": 2,
        "dataset_sha256": problems.sha256,
        "dataset_rows": len(problems),
    }
    score = sum(passed) / len(passed)
    content = {
        "results": {PYTHON: {"alias": PYTHON, "pass@1,paper": score, "pass@1_stderr,paper": 0.1}},
        "configs": {
            PYTHON: {
                "generation_kwargs": {"do_sample": True, "temperature": 0.8, "top_p": 0.9},
                "metadata": {"octopack": record},
            }
        },
        "n-samples": {PYTHON: {"original": 10, "effective": len(passed)}},
        "config": {"model": "hf", "model_num_parameters": 134515008},
        "model_name": "owner/small",
        "date": 1.0,
    }
    if log:
        lines = [
            {
                "doc": problem.to_row(),
                "filter": "paper",
                "arguments": {"gen_args_0": {"arg_0": f"Question about {problem.task_id}"}},
                "resps": [["one", "two"]],
                "filtered_resps": [[logged(is_passed), logged(is_passed)]],
            }
            for problem, is_passed in zip(problems, passed, strict=False)
        ]
        samples = folder / f"samples_{PYTHON}_2026-01-01T00-00-00.000001.jsonl"
        samples.parent.mkdir(parents=True, exist_ok=True)
        samples.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return write_json(folder / name, content)


def logged(is_passed: bool) -> str:
    return json.dumps(
        {
            "solution": "def f(): pass",
            "has_answer": True,
            "program": "def f(): pass\nf()",
            "passed": is_passed,
            "verdict": "passed" if is_passed else "failed",
            "reference_passed": is_passed,
            "suspicious": [],
            "detail": "",
            "stderr": "" if is_passed else "AssertionError",
            "run_seconds": 0.1,
        }
    )


def only(runs: tuple[ReportRun, ...]) -> ReportRun:
    [run] = runs
    return run


def test_results_of_lm_eval_without_samples(tmp_path: Path) -> None:
    file = lm_eval_results(tmp_path / "small", log=False)
    for path in (tmp_path, tmp_path / "small", file):
        run = only(load_runs([path]))
        result = run.result(PYTHON)
        assert result is not None
        assert (run.label, run.parameters, run.origin, run.details) == ("small", 134515008, Origin.LM_EVAL, None)
        assert result.scores == (Score(1, 0.5, 0.1, pytest.approx(0.304, abs=1e-3), pytest.approx(0.696, abs=1e-3)),)
        assert result.settings == Settings("octocoder", 2, 0.8, 0.9)
        assert result.lacks == ("2 of 10 problems were asked",)


def test_results_of_lm_eval_with_samples(tmp_path: Path) -> None:
    lm_eval_results(tmp_path, log=True, passed=(True,) * 4 + (False,) * 6)
    run = only(load_runs([tmp_path]))
    result = run.result(PYTHON)
    assert result is not None
    assert run.is_whole
    assert result.outcomes == {"failed": 12, "passed": 8}
    assert [score.value for score in result.curve()] == pytest.approx([0.4, 0.4])
    assert sum(bug.problems for bug in result.bug_types.values()) == 10
    assert run.details is not None
    problem = run.details.problems(PYTHON)[3]
    assert run.details.prompt(PYTHON, problem) == f"Question about {problem.task_id}"
    assert [sample.completion for sample in run.details.samples(PYTHON)][:2] == ["one", "two"]


def test_the_newest_result_of_lm_eval_counts(tmp_path: Path) -> None:
    file = lm_eval_results(tmp_path, log=False)
    newer = json.loads(file.read_text())
    newer["date"] = 2.0
    newer["results"][PYTHON]["pass@1,paper"] = 0.75
    write_json(tmp_path / "results_2026-01-02T00-00-00.000001.json", newer)
    result = only(load_runs([tmp_path])).result(PYTHON)
    assert result is not None
    assert result.scores[0].value == 0.75


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "could not read"),
        ("[]", "holds no results"),
        (json.dumps({"humaneval": {"pass@1": 0.3}, "config": {}}), "no result of our tasks"),
        (json.dumps({PYTHON: {"pass@1": 30.4}, "config": {}}), "no pass@k between 0 and 1"),
        (json.dumps({PYTHON: "oops", "config": {}}), "no pass@k"),
        (json.dumps({"results": {PYTHON: []}, "configs": {}}), "is damaged"),
        (json.dumps({"results": {PYTHON: {"bypass,none": 0}}, "configs": {}}), "empty run"),
        (json.dumps({"results": {"mmlu": {"acc,none": 0.5}}, "configs": {}}), "no result of our tasks"),
    ],
)
def test_files_that_hold_no_results(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "evaluation_results.json"
    file.write_text(content)
    with pytest.raises(UserError, match=complaint) as raised:
        load_runs([file])
    assert "UserError" not in str(raised.value)


def test_paths_that_are_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file or folder"):
        load_runs([tmp_path / "nowhere"])
    with pytest.raises(UserError, match="neither a run folder"):
        load_runs([tmp_path])
    write_run(tmp_path / "runs" / "shard-0-of-2", [PYTHON])
    with pytest.raises(UserError, match="octopack merge"):
        load_runs([tmp_path / "runs"])
    with pytest.raises(UserError, match="at least one"):
        load_runs([])
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "manifest.json").write_text('{"format": 1, "settings": {}}')
    with pytest.raises(UserError, match="is damaged"):
        load_runs([tmp_path / "torn"])


def test_parameters_in_a_name() -> None:
    names = {"octocoder-15.5B": 15.5e9, "llama_7b_instruct": 7e9, "SmolLM2-135M": 135e6, "gpt-4": None, "7bit": None}
    assert {name: parameters_in(name) for name in names} == names
