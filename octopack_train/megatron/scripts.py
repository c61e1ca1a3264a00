"""Launch scripts for BigCode's Megatron-LM, rendered from a recipe."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from octopack_train.errors import TrainingError
from octopack_train.recipe import did_you_mean

_KEYS = ("name", "program", "nodes", "gpus_per_node", "data", "arguments")
_FROM_BASE = ("reset-progress", "no-load-rng", "no-load-optim", "finetune")
"""Options of a first run from released weights; a resumed run drops the two `no-load` ones (reference)."""


@dataclass(frozen=True)
class MegatronRecipe:
    """A run of Megatron-LM.

    Attributes:
        name: the job's name.
        program: the script of Megatron-LM.
        nodes: machines.
        gpus_per_node: GPUs a machine.
        data: `path` (one indexed data set) or `weights` (files of `prepare` with inputs and targets).
        arguments: options of the program by name; true for those without a value.
    """

    name: str
    program: str
    nodes: int
    gpus_per_node: int
    data: str
    arguments: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.data not in ("path", "weights"):
            raise TrainingError(f"data: {self.data!r} is neither path nor weights.")
        number = self._number
        tensor, pipeline = number("tensor-model-parallel-size", 1), number("pipeline-model-parallel-size", 1)
        gpus = self.nodes * self.gpus_per_node
        if gpus % (tensor * pipeline):
            raise TrainingError(f"{gpus} GPUs cannot be cut into groups of {tensor} x {pipeline} for one model.")
        rows = number("micro-batch-size", 1) * (gpus // (tensor * pipeline))
        for dividend, divisor, meaning in (
            (number("global-batch-size", rows), rows, "micro-batch-size x copies of the model"),
            (number("num-layers", pipeline), pipeline, "pipeline-model-parallel-size"),
            (number("num-attention-heads", tensor), tensor, "tensor-model-parallel-size"),
            (number("hidden-size", 1), number("num-attention-heads", 1), "num-attention-heads"),
        ):
            if dividend % divisor:
                raise TrainingError(f"{dividend} is not a multiple of {meaning} = {divisor}: Megatron would refuse it.")

    def _number(self, key: str, default: int) -> int:
        value = self.arguments.get(key, default)
        if not isinstance(value, int) or value < 1:
            raise TrainingError(f"arguments.{key}: expected a positive whole number, got {value!r}.")
        return value


def builtin_recipes() -> list[str]:
    """Return the names of the Megatron recipes in this package."""
    folder = resources.files("octopack_train") / "megatron" / "recipes"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_recipe(source: str, overrides: Sequence[str] = ()) -> MegatronRecipe:
    """Read a recipe by name or path and apply `key=value` overrides; keys of `arguments` need no prefix.

    Raises:
        TrainingError: no such recipe, unknown keys, sizes that do not fit each other.
    """
    builtin = resources.files("octopack_train") / "megatron" / "recipes" / f"{source.removesuffix('.yaml')}.yaml"
    if Path(source).is_file():
        content = yaml.safe_load(Path(source).read_text(encoding="utf-8"))
    elif "/" not in source and builtin.is_file():
        content = yaml.safe_load(builtin.read_text(encoding="utf-8"))
    else:
        names = builtin_recipes()
        raise TrainingError(
            f"No Megatron recipe {source!r}: neither a file nor one of {', '.join(names)}."
            + did_you_mean(source, names)
        )
    if not isinstance(content, dict) or not isinstance(content.get("arguments"), dict):
        raise TrainingError(f"{source} is not a Megatron recipe: it has no arguments section.")
    arguments = content["arguments"]
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise TrainingError(f"Expected key=value, got {override!r}; for example lr=1e-4.")
        key = key.removeprefix("arguments.")
        if key in _KEYS:
            content[key] = yaml.safe_load(text)
        elif key.replace("_", "-") in arguments:
            arguments[key.replace("_", "-")] = yaml.safe_load(text)
        else:
            raise TrainingError(f"Unknown key {key!r}.{did_you_mean(key, [*_KEYS, *arguments])}")
    for key in content:
        if key not in _KEYS:
            raise TrainingError(f"Unknown key {key!r}.{did_you_mean(key, _KEYS)}")
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise TrainingError(f"The recipe lacks {', '.join(missing)}.")
    return MegatronRecipe(**content)


def render(
    recipe: MegatronRecipe,
    *,
    data: str,
    tokenizer_file: str,
    checkpoints: str,
    valid: str | None = None,
    from_base: bool = False,
    partition: str | None = None,
    time: str = "20:00:00",
) -> str:
    """Return a Slurm batch script.

    Args:
        recipe: the run.
        data: prefix of the indexed data set, or file of training weights.
        tokenizer_file: `tokenizer.json` of the model.
        checkpoints: folder to save to and load from.
        valid: file of validation weights (`data: weights`).
        from_base: the folder holds released weights: first run, without optimiser state.
        partition: Slurm partition.
        time: time limit.

    Raises:
        TrainingError: a recipe with inputs and targets, but no file of validation weights.
    """
    quoted = shlex.quote
    arguments = dict(recipe.arguments)
    if from_base:
        arguments.update(dict.fromkeys(_FROM_BASE, True))
    if recipe.data == "weights":
        if valid is None:
            raise TrainingError(f"{recipe.name} needs the file of validation weights that prepare wrote: give --valid.")
        sources = f"--train-weighted-split-paths-path {quoted(data)} --valid-weighted-split-paths-path {quoted(valid)}"
    else:
        sources = f"--data-path {quoted(data)}"
    options = " \\\n    ".join(_option(name, value) for name, value in arguments.items() if value is not False)
    return f"""#!/bin/bash
#SBATCH --job-name={recipe.name}
#SBATCH --nodes={recipe.nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={recipe.gpus_per_node}
#SBATCH --time={time}
#SBATCH --output=%x-%j.log
{f"#SBATCH --partition={partition}" if partition else "# add: #SBATCH --partition=..."}
# Run in a checkout of BigCode's Megatron-LM.
set -euo pipefail

export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_PORT=${{MASTER_PORT:-6001}}
export CHECKPOINTS={quoted(checkpoints)}

srun --wait=60 --kill-on-bad-exit=1 python -u -m torch.distributed.run \\
    --nproc_per_node {recipe.gpus_per_node} --nnodes {recipe.nodes} \\
    --rdzv_backend c10d --rdzv_endpoint "$MASTER_ADDR:$MASTER_PORT" --max_restarts 0 \\
    {recipe.program} \\
    {options} \\
    --tokenizer-file {quoted(tokenizer_file)} \\
    --save "$CHECKPOINTS" --load "$CHECKPOINTS" \\
    --tensorboard-dir "$CHECKPOINTS/tensorboard" \\
    {sources}
"""


def _option(name: str, value: Any) -> str:
    return f"--{name}" if value is True else f"--{name} {shlex.quote(str(value))}"
