"""The tasks inside lm-eval: same prompts and scores as the library, every option, every complaint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from octopack_tasks import load_problems
from octopack_tasks.errors import UserError
from octopack_tasks.harnesses.lm_eval import TASK_FOLDER
from octopack_tasks.harnesses.lm_eval.settings import Settings
from octopack_tasks.harnesses.lm_eval.task_files import task_files
from octopack_tasks.recordings import read_recordings
from octopack_tasks.tasks import FURTHER_TASKS, GROUPS, TASKS, get_task

Answer = Callable[[dict[str, Any], int], str]


class ReplayModel(LM):
    """A model that answers each document by a rule: (document, how often it was asked before) -> completion."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer
        self.requests: list[Instance] = []

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        self.requests = requests
        asked: dict[int, int] = {}
        completions = []
        for request in requests:
            asked[id(request)] = asked.get(id(request), -1) + 1
            completions.append(self.answer(request.doc, asked[id(request)]))
        return completions

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        text = "".join(f"<{turn['role']}>{turn['content']}" for turn in chat_history)
        return f"{text}<assistant>" if add_generation_prompt else text

    @property
    def tokenizer_name(self) -> str:
        return "replay"

    def chat_template(self, chat_template: bool | str = False) -> str:
        return "replay"

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        raise AssertionError("no task of ours asks for likelihoods")

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        raise AssertionError("no task of ours asks for likelihoods")


def canonical(doc: dict[str, Any], asked: int) -> str:
    return "\n" + doc["canonical_solution"]


def buggy(doc: dict[str, Any], asked: int) -> str:
    return "\n" + doc["buggy_solution"]


def evaluate(tasks: list[str], answer: Answer, metadata: dict[str, Any] | None = None, **arguments: Any) -> Any:
    metadata = {"dataset": "starter", **(metadata or {})}
    manager = TaskManager(include_defaults=False, include_path=[TASK_FOLDER], metadata=metadata)
    model = ReplayModel(answer)
    results = simple_evaluate(model=model, tasks=tasks, task_manager=manager, bootstrap_iters=0, **arguments)
    assert results is not None
    return results, model


def test_the_files_are_the_registry() -> None:
    """Where this fails: `python -m octopack_tasks.harnesses.lm_eval.task_files` writes them anew."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in TASK_FOLDER.glob("*.yaml")}
    assert texts == task_files()
    files = {name.removesuffix(".yaml"): yaml.safe_load(text) for name, text in texts.items()}
    assert set(files) == set(TASKS) | set(FURTHER_TASKS) | set(GROUPS)
    for name in TASKS | FURTHER_TASKS:
        assert files[name] == {"include": "_task", "task": name}

    def leaves(name: str) -> list[str]:
        return [leaf for child in files[name]["task"] for leaf in leaves(child)] if name in GROUPS else [name]

    for name, members in GROUPS.items():
        assert sorted(leaves(name)) == sorted(members), name


def test_canonical_solutions_pass_and_buggy_ones_fail() -> None:
    results, _ = evaluate(["humanevalfix-python"], canonical, limit=3)
    for task in ("humanevalfixtests-python", "humanevalfixdocs-python"):
        assert results["results"][task]["pass@1,paper"] == 1.0
    assert results["groups"]["humanevalfix-python"]["pass@1,paper"] == 1.0
    results, _ = evaluate(["humanevalfixtests-python"], buggy, limit=3)
    assert results["results"]["humanevalfixtests-python"]["pass@1,paper"] == 0.0


def test_pass_at_k_for_every_k_up_to_the_samples_drawn() -> None:
    def half(doc: dict[str, Any], asked: int) -> str:
        return canonical(doc, asked) if asked % 2 else buggy(doc, asked)

    results, model = evaluate(
        ["humanevalsynthesize-python"], half, {"n_samples": 4}, limit=3, gen_kwargs={"do_sample": True}
    )
    row = results["results"]["humanevalsynthesize-python"]
    assert [row[f"pass@{k},paper"] for k in (1, 2, 3, 4)] == pytest.approx([1 / 2, 5 / 6, 1, 1])
    assert "pass@5,paper" not in row
    assert len(model.requests) == 12
    results, _ = evaluate(["humanevalsynthesize-python"], half, {"n_samples": 4, "k": [1, 4]}, limit=3)
    row = results["results"]["humanevalsynthesize-python"]
    assert sorted(key for key in row if key.startswith("pass@") and "stderr" not in key) == [
        "pass@1,paper",
        "pass@4,paper",
    ]


def test_prompts_are_the_librarys_and_reach_the_model_unchanged() -> None:
    task = get_task("humanevalfixtests-js")
    problems = load_problems("js", "starter")
    _, model = evaluate([task.name], buggy, {"prompt": "octocoder"}, limit=3)
    assert [request.args[0] for request in model.requests] == [
        task.prompt(problem, "octocoder").text for problem in problems[:3]
    ]
    assert model.requests[0].args[1]["until"] == list(task.stop_words("octocoder"))
    assert model.requests[0].args[1]["temperature"] == 0.2


def test_logged_samples_hold_solution_program_verdict_and_stderr() -> None:
    results, _ = evaluate(["humanevalfixtests-python"], buggy, limit=1, log_samples=True)
    (sample,) = results["samples"]["humanevalfixtests-python"]
    (record,) = map(json.loads, sample["filtered_resps"][0])
    assert record["verdict"] == "failed"
    assert record["passed"] is False
    assert record["solution"].strip() in record["program"]
    assert "AssertionError" in record["stderr"] + record["detail"]


def test_both_readings_stand_side_by_side() -> None:
    def begun_anew(doc: dict[str, Any], asked: int) -> str:
        # The first problem is answered, the second in a fenced block, the third not at all.
        code = doc["declaration"] + doc["canonical_solution"]
        return ("\n" + doc["canonical_solution"], f"\nSure!\n```python\n{code}\n```", "\nI don't know.")[doc["index"]]

    task = get_task("humanevalfixtests-python")
    results, model = evaluate([task.name], begun_anew, {"reading": "both"}, limit=3, log_samples=True)
    row = results["results"][task.name]
    assert (row["pass@1,paper"], row["pass@1,corrected"]) == pytest.approx((1 / 3, 2 / 3))
    assert model.requests[0].args[1]["until"] == list(task.stop_words(whole=True)) == ["<|endoftext|>"]
    record = results["configs"][task.name]["metadata"]["octopack"]
    assert record["reading"] == ["paper", "corrected"]
    assert record["no_answer"] == {"paper": 2, "corrected": 1}
    samples = {sample["filter"]: sample for sample in results["samples"][task.name] if sample["doc"]["index"] == 2}
    (answer,) = map(json.loads, samples["corrected"]["filtered_resps"][0])
    assert (answer["has_answer"], answer["passed"]) == (False, False)


def test_one_reading_is_the_default() -> None:
    results, _ = evaluate(["humanevalfixtests-python"], canonical, {"reading": "corrected"}, limit=1)
    row = results["results"]["humanevalfixtests-python"]
    assert row["pass@1,corrected"] == 1.0
    assert "pass@1,paper" not in row


def test_results_say_how_to_repeat_them() -> None:
    results, _ = evaluate(["humanevalfixtests-python"], canonical, limit=1)
    record = results["configs"]["humanevalfixtests-python"]["metadata"]["octopack"]
    assert record["dataset_sha256"] == load_problems("python", "starter").sha256
    assert record["dataset_rows"] == len(load_problems("python", "starter"))
    assert record["prompt"] == "instruct"
    assert record["sandbox"]["backend"] in ("docker", "bubblewrap")
    assert record["sandbox"]["toolchains"]["python"]
    assert record["octopack_version"]
    assert record["lm_eval_version"]
    json.dumps(record)


def test_chat_template_with_prefill() -> None:
    results, model = evaluate(["humanevalfixtests-python"], canonical, limit=2, apply_chat_template=True)
    prompt = get_task("humanevalfixtests-python").prompt(load_problems("python", "starter")[0], "chat")
    assert model.requests[0].args[0] == f"<user>{prompt.text}<assistant>{prompt.prefill}"
    assert results["results"]["humanevalfixtests-python"]["pass@1,paper"] == 1.0


def test_describe_then_synthesize(tmp_path: Path) -> None:
    def describe(doc: dict[str, Any], asked: int) -> str:
        return f"Description {asked}."

    results, _ = evaluate(
        ["humanevalexplaindescribe-python"],
        describe,
        {"n_samples": 2},
        log_samples=True,
        gen_kwargs={"do_sample": True},
    )
    samples = tmp_path / "samples_humanevalexplaindescribe-python_2026-01-01T00-00-00.jsonl"
    with samples.open("w") as file:
        for sample in results["samples"]["humanevalexplaindescribe-python"]:
            file.write(json.dumps(sample, default=str) + "\n")
    results, model = evaluate(
        ["humanevalexplainsynthesize-python"], canonical, {"descriptions": str(tmp_path)}, limit=4
    )
    assert ["Description 0." in model.requests[0].args[0], "Description 1." in model.requests[1].args[0]] == [
        True,
        True,
    ]
    assert results["results"]["humanevalexplainsynthesize-python"]["pass@1,paper"] == 1.0
    reference_shape = tmp_path / "generations.json"
    reference_shape.write_text(json.dumps([["as the reference"] for _ in load_problems("python", "starter")]))
    _, model = evaluate(
        ["humanevalexplainsynthesize-python"], canonical, {"load_data_path": str(reference_shape)}, limit=1
    )
    assert "as the reference" in model.requests[0].args[0]


def test_predict_only_runs_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOPACK_SANDBOX", "docker")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    results, _ = evaluate(["humanevalfixtests-python"], canonical, limit=1, predict_only=True, log_samples=True)
    (sample,) = results["samples"]["humanevalfixtests-python"]
    assert json.loads(sample["filtered_resps"][0][0])["solution"]


def test_no_sandbox_is_an_error_and_keeps_the_completions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from octopack_tasks.harnesses.lm_eval import task as plugin

    def broken(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("the daemon went away")

    monkeypatch.chdir(tmp_path)
    real_build = plugin.HumanEvalPackTask.build_all_requests

    def build_then_break(self: Any, **arguments: Any) -> None:
        real_build(self, **arguments)
        monkeypatch.setattr(plugin, "open_for", broken)

    monkeypatch.setattr(plugin.HumanEvalPackTask, "build_all_requests", build_then_break)
    with pytest.raises(RuntimeError, match=r"nothing is lost.*octopack score .*unscored_.*\.jsonl --dataset starter"):
        evaluate(["humanevalfixtests-python"], canonical, {"prompt": "octocoder"}, limit=2)
    (file,) = tmp_path.glob("unscored_humanevalfixtests-python_*.jsonl")
    (recording,) = read_recordings([file], "starter")
    assert recording.prompt == "octocoder"
    assert [sample.task_id for sample in recording.samples] == [
        problem.task_id for problem in load_problems("python", "starter")[:2]
    ]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"prompt": "octocodr"}, "unknown prompt format 'octocodr'"),
        ({"prompt": "continue"}, "does not suit"),
        ({"n_samples": 0}, "n_samples=0"),
        ({"n_samples": "many"}, "n_samples='many'"),
        ({"n_samples": 2, "k": [1, 10]}, "n_samples=10"),
        ({"dataset": "./nowhere"}, "nowhere"),
        ({"verdict_cache": "maybe"}, "verdict_cache"),
        ({"reading": "other"}, "paper, corrected, both"),
    ],
)
def test_bad_options_name_the_value_and_the_mend(metadata: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        evaluate(["humanevalfixtests-python"], canonical, metadata)


@pytest.mark.parametrize(
    ("prompt", "template", "message"),
    [("octocoder", True, "a second time"), ("chat", False, "--apply_chat_template")],
)
def test_a_question_is_wrapped_exactly_once(prompt: str, template: bool, message: str) -> None:
    with pytest.raises(UserError, match=message):
        evaluate(["humanevalfixtests-python"], canonical, {"prompt": prompt}, apply_chat_template=template)


def test_synthesis_without_descriptions_says_how_to_get_them() -> None:
    with pytest.raises(UserError, match="humanevalexplaindescribe-go"):
        evaluate(["humanevalexplainsynthesize-go"], canonical)


def test_settings_leave_the_models_arguments_alone() -> None:
    assert Settings.from_metadata({"pretrained": "m", "dtype": "auto"}) == Settings()
