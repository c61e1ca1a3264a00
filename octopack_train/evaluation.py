"""After training: hand the checkpoint to the benchmark and write the model card."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from octopack_tasks.problems import STARTER_PACK
from octopack_tasks.report.model_card import model_index
from octopack_tasks.report.published import PROBLEMS
from octopack_tasks.tasks import get_task
from octopack_train.errors import TrainingError
from octopack_train.merge import merge
from octopack_train.run_folder import RunFolder, write_text
from octopack_train.synthetic import DATA_SET

_BUILT_IN_DATA = (DATA_SET, STARTER_PACK)


def evaluate(run: RunFolder, task: str, *, options: tuple[str, ...] = ()) -> dict[str, float]:
    """Hand a finished run to `octopack evaluate`, merging its adapter first, and rewrite the model card.

    Args:
        run: the finished run.
        task: a task of the benchmark, such as `humanevalfixtests-python`.
        options: further options of `octopack evaluate`, such as `--limit 10`.

    Returns:
        The task's scores by name, such as `pass@1`.

    Raises:
        TrainingError: the run is not finished, or the evaluation failed.
        UserError: there is no such task.
    """
    get_task(task)  # a mistyped name is told before the merge, which takes its time
    result = _run_evaluate(servable(run), run.evaluations / task, task, options).get(task, {})
    scores = {name: score["value"] for name, score in result.get("scores", {}).items()}
    if not scores:
        raise TrainingError(f"octopack evaluate gave no score for {task!r}; its run lies in {run.evaluations}.")
    recorded = {**_recorded(run), task: {"problems": result["problems"], "scores": scores}}
    write_text(run.scores_file, json.dumps(recorded, indent=2) + "\n")
    write_card(run)
    return scores


def servable(run: RunFolder) -> Path:
    """Return a folder that any engine loads: the trained model, or the adapter merged into its base."""
    if run.final == run.model:
        return run.model
    if not run.merged.is_dir():
        merge(run.adapter, run.merged)
    return run.merged


def write_card(run: RunFolder) -> None:
    """Write the model card of a run (`README.md`): base, data, recipe, loss and scores."""
    recipe = run.recipe()
    manifest = json.loads(run.manifest_file.read_text(encoding="utf-8")) if run.manifest_file.is_file() else {}
    versions = json.loads(run.versions_file.read_text(encoding="utf-8")) if run.versions_file.is_file() else {}
    # Hubs refuse a card that names a folder of this machine as base model or data set.
    header: dict[str, Any] = {"base_model": recipe.model.name} if _is_on_hub(recipe.model.name) else {}
    header |= {"datasets": [recipe.data.path]} if _is_on_hub(recipe.data.path) else {}
    header |= {
        "library_name": "transformers" if recipe.lora is None else "peft",
        "pipeline_tag": "text-generation",
        "tags": ["code", "octopack", recipe.method.value],
    }
    recorded = _recorded(run)
    # Hubs show these without any notes, so only results of the whole benchmark are told.
    whole = {task: result["scores"] for task, result in recorded.items() if result["problems"] == PROBLEMS}
    header |= model_index(recipe.name, whole)
    import yaml

    lines = ["---", yaml.safe_dump(header, sort_keys=False).strip(), "---", "", f"# {recipe.name}", ""]
    lines += [
        f"`{recipe.model.name}` trained on `{recipe.data.path}` with the OctoPack recipe `{recipe.name}` "
        f"({recipe.method.value.upper()}{', low-rank adapters' if recipe.lora else ', all weights'}).",
        "",
    ]
    if manifest:
        tokens = manifest.get("tokens")
        counted = (
            "an endless stream" if tokens is None else f"{tokens:,} tokens, {manifest['learnt_tokens']:,} with loss"
        )
        lines += [f"Data: {manifest['train_rows']:,} texts ({counted}); fingerprint `{manifest['fingerprint']}`.", ""]
    losses = _losses(run)
    if losses:
        lines += [f"Training loss: {losses[0]:.4f} at the start, {losses[-1]:.4f} at the end.", ""]
    if run.plot_file.is_file():
        lines += [f"![Loss]({run.plot_file.name})", ""]
    if recorded:
        lines += ["| task | problems | metric | value |", "|---|---:|---|---:|"]
        lines += [
            f"| {task} | {result['problems']} | {metric} | {value:.4f} |"
            for task, result in recorded.items()
            for metric, value in result["scores"].items()
        ]
        lines += [""]
    lines += ["## Recipe", "", "```yaml", recipe.to_yaml().strip(), "```", ""]
    lines += ["## Versions", "", *(f"- {name}: {value}" for name, value in versions.items()), ""]
    write_text(run.card_file, "\n".join(lines))


def _is_on_hub(name: str) -> bool:
    return name not in _BUILT_IN_DATA and not name.startswith((".", "/")) and not Path(name).exists()


def _recorded(run: RunFolder) -> dict[str, Any]:
    return json.loads(run.scores_file.read_text(encoding="utf-8")) if run.scores_file.is_file() else {}


def _losses(run: RunFolder) -> list[float]:
    if not run.metrics_file.is_file():
        return []
    entries = map(json.loads, run.metrics_file.read_text(encoding="utf-8").splitlines())
    return [entry["loss"] for entry in entries if "loss" in entry]


def _run_evaluate(model: Path, output: Path, task: str, options: tuple[str, ...]) -> dict[str, Any]:
    # A process of its own: the trainer's memory is free again when it ends, and every option keeps its meaning.
    command = [
        *(sys.executable, "-c", "from octopack_tasks.cli import main; main()", "evaluate"),
        *("--tasks", task, "--model", str(model), "--out", str(output), *options),
    ]
    if "--backend" not in options:
        command += ["--backend", "vllm" if find_spec("vllm") and _has_gpu() else "transformers"]
    status = subprocess.run(command, check=False).returncode
    file = output / "results.json"
    if status or not file.is_file():
        raise TrainingError(
            f"octopack evaluate ended with status {status} on {task}: see its message above. The trained model is kept "
            f"in {model}."
        )
    results: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["results"]
    return results


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
