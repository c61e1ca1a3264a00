"""Spreading a run over devices: `accelerate launch` commands and Slurm scripts, rendered from a recipe."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path
from string import Template

from octopack_train.errors import TrainingError
from octopack_train.recipe import Recipe, Strategy


def is_launched() -> bool:
    """Tell whether this process is one of a launched group."""
    return "LOCAL_RANK" in os.environ


def launch(recipe: Recipe, *, fresh: bool = False) -> int:
    """Run the recipe under `accelerate launch` and return the exit status."""
    with tempfile.TemporaryDirectory(prefix="octopack-train-") as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(recipe.to_yaml(), encoding="utf-8")
        command = [sys.executable, "-m", *accelerate_command(recipe), "-m", "octopack_train", str(file)]
        return subprocess.run([*command, *(["--fresh"] if fresh else [])], check=False).returncode


def accelerate_command(recipe: Recipe) -> list[str]:
    """Return `accelerate.commands.launch` with the options for the recipe, without the program to run."""
    spread = recipe.launch
    folder = resources.files("octopack_train") / "launchers"
    command = ["accelerate.commands.launch"]
    if spread.cpu:
        if spread.strategy not in (Strategy.SINGLE, Strategy.DDP):
            raise TrainingError(f"launch.strategy={spread.strategy.value} needs GPUs: set launch.strategy=ddp on CPUs.")
        command += ["--cpu", "--mixed_precision", "no"]
    elif spread.strategy in (Strategy.ZERO1, Strategy.ZERO3):
        config = folder / f"{spread.strategy.value}.json"
        command += ["--use_deepspeed", "--deepspeed_config_file", str(config)]
        if spread.strategy is Strategy.ZERO3:
            command += ["--zero3_init_flag", "true"]
    elif spread.strategy in (Strategy.DDP, Strategy.FSDP) and spread.processes > 1:
        command += ["--config_file", str(folder / f"{spread.strategy.value}.yaml")]
    return [*command, "--num_processes", str(spread.processes), "--num_machines", str(spread.machines)]


def slurm_script(recipe: Recipe, recipe_file: str, *, time: str, cpus: int, extra: tuple[str, ...] = ()) -> str:
    """Return a Slurm batch script for the recipe.

    Args:
        recipe: the run; `launch` says over how many machines and GPUs.
        recipe_file: path of the recipe as the machines see it.
        time: time limit.
        cpus: CPU cores a machine.
        extra: further `#SBATCH` options, such as `--partition=gpu`.
    """
    template = (resources.files("octopack_train") / "launchers" / "slurm.sh").read_text(encoding="utf-8")
    return Template(template).substitute(
        name=recipe.name,
        machines=recipe.launch.machines,
        gpus=recipe.launch.processes // recipe.launch.machines,
        cpus=cpus,
        time=time,
        extra="".join(f"#SBATCH {option}\n" for option in extra),
        command=f"python -m {shlex.join(accelerate_command(recipe))}",
        recipe=recipe_file,
    )
