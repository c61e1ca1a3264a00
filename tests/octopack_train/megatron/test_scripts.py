import subprocess
from pathlib import Path

import pytest

from octopack_train.errors import TrainingError
from octopack_train.megatron.scripts import builtin_recipes, load_recipe, render


def rendered(name: str, *overrides: str, **options: object) -> str:
    values = {
        "data": "data/my data",
        "valid": "valid.txt",
        "tokenizer_file": "t.json",
        "checkpoints": "runs/x",
        **options,
    }
    return render(load_recipe(name, overrides), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", builtin_recipes())
def test_every_script_is_sound_bash(name: str, tmp_path: Path):
    file = tmp_path / "job.sh"
    file.write_text(rendered(name, from_base=True, partition="gpu"))
    subprocess.run(["bash", "-n", str(file)], check=True)


def test_santacoderpack_sees_131_billion_tokens():
    arguments = load_recipe("santacoderpack").arguments
    tokens = arguments["train-iters"] * arguments["global-batch-size"] * arguments["seq-length"]
    assert round(tokens / 1e9) == 131


def test_the_script_carries_the_numbers_and_the_data():
    script = rendered("starcoderbase", "lr=0.0001", from_base=True)
    for words in (
        "--tensor-model-parallel-size 4", "--lr 0.0001", "--loss-on-targets-only", "--no-load-optim",
        "--train-weighted-split-paths-path 'data/my data'", "--valid-weighted-split-paths-path valid.txt",
    ):  # fmt: skip
        assert words in script
    assert "--no-load-optim" not in rendered("starcoderbase")
    assert "--data-path 'data/my data'" in rendered("santacoderpack")


def test_options_set_to_false_disappear():
    assert "--bf16" not in rendered("starcoderbase", "bf16=false")


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["learning-rate=1"], "Unknown key 'learning-rate'"),
        (["num-layer=2"], "Did you mean num-layers?"),
        (["global-batch-size=130"], "not a multiple of micro-batch-size"),
        (["num-layers=42"], "not a multiple of pipeline"),
        (["num-attention-heads=50"], "not a multiple of tensor"),
        (["nodes=1", "gpus_per_node=6"], "cannot be cut"),
        (["hidden-size=zero"], "positive whole number"),
        (["data=tape"], "neither path nor weights"),
        (["nonsense"], "Expected key=value"),
    ],
)
def test_what_megatron_would_refuse_is_refused_here(overrides: list[str], complaint: str):
    with pytest.raises(TrainingError) as caught:
        load_recipe("starcoderbase", overrides)
    assert complaint in str(caught.value)


def test_unknown_recipes_and_missing_weights():
    with pytest.raises(TrainingError, match="No Megatron recipe"):
        load_recipe("starcoder2")
    with pytest.raises(TrainingError, match="--valid"):
        rendered("starcoderbase", valid=None)
