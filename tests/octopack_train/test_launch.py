import json
import shlex
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from octopack_train.errors import TrainingError
from octopack_train.launch import accelerate_command, launch, slurm_script
from octopack_train.recipe import Recipe, load_recipe
from octopack_train.run_folder import RunFolder

pytest.importorskip("accelerate")


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("ddp", "--config_file"),
        ("fsdp", "--config_file"),
        ("zero1", "--use_deepspeed"),
        ("zero3", "--zero3_init_flag"),
    ],
)
def test_every_strategy_has_its_options_and_files(strategy: str, expected: str):
    command = accelerate_command(load_recipe("octocoder", [f"launch.strategy={strategy}"]))
    assert expected in command
    assert command[command.index("--num_processes") + 1] == "8"
    assert all(Path(word).is_file() for word in command if word.endswith((".yaml", ".json")))


def test_accelerate_understands_the_configurations():
    from accelerate.commands.config.config_args import load_config_from_file

    folder = resources.files("octopack_train") / "launchers"
    for name, kind in (("ddp", "MULTI_GPU"), ("fsdp", "FSDP")):
        assert load_config_from_file(str(folder / f"{name}.yaml")).distributed_type.value == kind
    for stage in (1, 3):
        assert json.loads((folder / f"zero{stage}.json").read_text())["zero_optimization"]["stage"] == stage


def test_sharding_on_cpus_is_refused():
    with pytest.raises(TrainingError, match="needs GPUs"):
        accelerate_command(load_recipe("octocoder", ["launch.strategy=fsdp", "launch.cpu=true"]))


def test_the_slurm_script_is_sound_and_resumes_with_the_same_command(tmp_path: Path):
    recipe = load_recipe("octocoder", ["launch.machines=2", "launch.processes=16"])
    script = slurm_script(recipe, "octocoder launch.processes=16", time="1:00:00", cpus=32, extra=("--partition=gpu",))
    file = tmp_path / "job.sh"
    file.write_text(script)
    subprocess.run(["bash", "-n", str(file)], check=True)
    assert "#SBATCH --nodes=2" in script
    assert "#SBATCH --gpus-per-node=8" in script
    assert "#SBATCH --partition=gpu" in script
    assert "--num_processes 16 --num_machines 2" in script
    assert "-m octopack_train octocoder launch.processes=16" in script
    assert script.isascii()


def test_the_slurm_script_hands_every_word_on_as_it_is(tmp_path: Path):
    words = ["my recipes/it's mine.yaml", "data.path=a b.jsonl"]
    script = slurm_script(load_recipe("tiny"), shlex.join(words), time="1:00:00", cpus=2)
    for name, program in (
        ("srun", 'shift; exec "$@"'),
        ("scontrol", "echo here"),
        ("python", 'printf "%s\\n" "$@" >> "$SEEN"'),
    ):
        (tmp_path / name).write_text(f"#!/bin/bash\n{program}\n")
        (tmp_path / name).chmod(0o755)
    seen = tmp_path / "seen"
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "SEEN": str(seen),
        "SLURM_NODEID": "3",
        "SLURM_JOB_NODELIST": "x",
    }
    subprocess.run(["bash", "-c", script], env=environment, check=True)
    found = seen.read_text().splitlines()
    assert found[-4:] == ["-m", "octopack_train", *words]
    assert found[found.index("--machine_rank") + 1] == "3"


def test_two_processes_train_together_on_cpus(make_recipe: Callable[..., Recipe]):
    recipe = make_recipe("launch.strategy=ddp", "launch.processes=2", "train.max_steps=2")
    assert launch(recipe) == 0
    run = RunFolder(Path(recipe.output))
    assert run.recipe() == recipe
    assert (run.model / "model.safetensors").is_file()
    losses = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    assert losses[-1]["step"] == 2
