"""After training: hand the checkpoint to the benchmark and write the model card."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from octopack_train.errors import TrainingError
from octopack_train.merge import merge
from octopack_train.run_folder import RunFolder, write_text


def evaluate(run: RunFolder, task: str, *, options: tuple[str, ...] = ()) -> dict[str, float]:
    """Score a finished run on one task through lm-eval, merging its adapter first, and rewrite the model card.

    Args:
        run: the finished run.
        task: a task of the benchmark, such as `humanevalfixtests-python`.
        options: further options of `lm_eval`, such as `--limit 10`.

    Returns:
        The task's metrics by name.

    Raises:
        TrainingError: the run is not finished, or the evaluation failed.
    """
    results = _run_lm_eval(servable(run), run.path / "eval", task, options)
    metrics = {
        name.partition(",")[0] if name.endswith(",none") else name: value
        for name, value in results.get(task, {}).items()
        if isinstance(value, (int, float)) and "stderr" not in name and name != "sample_len"
    }
    if not metrics:
        raise TrainingError(f"lm_eval reported no metric of {task!r}; its output lies in {run.path / 'eval'}.")
    write_card(run, {**_recorded(run), task: metrics})
    return metrics


def servable(run: RunFolder) -> Path:
    """Return a folder that any engine loads: the trained model, or the adapter merged into its base."""
    if run.final == run.model:
        return run.model
    if not run.merged.is_dir():
        merge(run.adapter, run.merged)
    return run.merged


def write_card(run: RunFolder, scores: Mapping[str, Mapping[str, float]] | None = None) -> None:
    """Write the model card of a run (`README.md`): base, data, recipe, loss and scores."""
    recipe = run.recipe()
    scores = _recorded(run) if scores is None else scores
    manifest = json.loads(run.manifest_file.read_text(encoding="utf-8")) if run.manifest_file.is_file() else {}
    versions = json.loads(run.versions_file.read_text(encoding="utf-8")) if run.versions_file.is_file() else {}
    header = {
        "base_model": recipe.model.name,
        "datasets": [recipe.data.path],
        "library_name": "transformers" if recipe.lora is None else "peft",
        "pipeline_tag": "text-generation",
        "tags": ["code", "octopack", recipe.method.value],
    }
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
    if scores:
        lines += ["| task | metric | value |", "|---|---|---:|"]
        lines += [
            f"| {task} | {metric} | {value:.4f} |"
            for task, metrics in scores.items()
            for metric, value in metrics.items()
        ]
        lines += [""]
    lines += ["## Recipe", "", "```yaml", recipe.to_yaml().strip(), "```", ""]
    lines += ["## Versions", "", *(f"- {name}: {value}" for name, value in versions.items()), ""]
    write_text(run.path / "scores.json", json.dumps(scores, indent=2) + "\n")
    write_text(run.card_file, "\n".join(lines))


def _recorded(run: RunFolder) -> dict[str, Any]:
    file = run.path / "scores.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _losses(run: RunFolder) -> list[float]:
    if not run.metrics_file.is_file():
        return []
    entries = map(json.loads, run.metrics_file.read_text(encoding="utf-8").splitlines())
    return [entry["loss"] for entry in entries if "loss" in entry]


def _run_lm_eval(model: Path, output: Path, task: str, options: tuple[str, ...]) -> dict[str, Any]:
    output.mkdir(parents=True, exist_ok=True)
    before = set(output.rglob("results_*.json"))
    command = [
        *(
            sys.executable,
            "-m",
            "lm_eval",
            "run",
            "--model",
            "hf",
            "--model_args",
            f"pretrained={model},dtype=bfloat16",
        ),
        *("--tasks", task, "--output_path", str(output), *options),
    ]
    status = subprocess.run(command, check=False).returncode
    written = sorted(set(output.rglob("results_*.json")) - before)
    if status or not written:
        raise TrainingError(f"lm_eval ended with status {status} on {task}: see its messages above. Model: {model}.")
    results: dict[str, Any] = json.loads(written[-1].read_text(encoding="utf-8"))["results"]
    return results
