import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from octopack_train.cli import train_app
from octopack_train.errors import TrainingError
from octopack_train.megatron.cli import megatron_app
from octopack_train.recipe import Recipe, builtin_recipes

OCTOPACK = (sys.executable, "-c", "from octopack_tasks.cli import main; main()", "train")


def invoke(*words: str) -> str:
    result = CliRunner().invoke(train_app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_recipes_are_listed_with_what_they_are():
    output = invoke("recipes")
    assert all(name in output for name in builtin_recipes())
    assert "StarCoder with low-rank adapters" in output
    assert "bigcode/starcoder (LoRA) on ArmelR/guanaco-commits; 35 steps of 32 rows; 8 GPU(s)" in output
    told = [line for line in output.splitlines() if line.startswith("    ")]
    assert all(len(line) < 120 and not line.endswith(",") for line in told)


def test_the_help_leads_to_the_options_of_a_run():
    assert "octopack train tiny --help" in invoke("--help")
    assert "--fresh" in invoke("tiny", "--help")


def test_show_fills_everything_in():
    assert "learning_rate: 0.0001" in invoke("show", "octocoder", "learning_rate=1e-4")


def test_a_dry_run_prints_the_cost_and_writes_nothing(make_recipe: Callable[..., Recipe], tmp_path: Path):
    pytest.importorskip("peft")
    file = tmp_path / "recipe.yaml"
    file.write_text(make_recipe().to_yaml())
    output = invoke(str(file), "--dry-run", "--hardware", "cpu")
    assert all(label in output for label in ("parameters", "steps", "tokens", "memory", "time"))
    assert not (tmp_path / "run").exists()


def test_a_recipe_is_trained_and_its_card_written(make_recipe: Callable[..., Recipe], tmp_path: Path):
    pytest.importorskip("trl")
    file = tmp_path / "recipe.yaml"
    file.write_text(make_recipe().to_yaml())
    output = invoke(str(file), "train.max_steps=2")
    assert "step 2/2" in output
    card = (tmp_path / "run" / "README.md").read_text()
    assert "# test" in card
    assert "Training loss:" in card
    assert "max_steps: 2" in card


def test_check_says_what_differs_and_ends_with_status_1(tiny_model: Path, tmp_path: Path):
    import shutil

    from safetensors.torch import load_file, save_file

    assert "equal" in invoke("check", str(tiny_model), str(tiny_model))
    shutil.copytree(tiny_model, tmp_path / "other")
    weights = load_file(tmp_path / "other" / "model.safetensors")
    weights["transformer.ln_f.weight"] += 1
    save_file(weights, tmp_path / "other" / "model.safetensors")
    result = CliRunner().invoke(train_app, ["check", str(tiny_model), str(tmp_path / "other")])
    assert result.exit_code == 1
    assert "transformer.ln_f.weight: largest difference 1" in result.output


def test_merge_and_check_refuse_what_is_not_there(tmp_path: Path):
    runner = CliRunner()
    for words in (["check", "nowhere", "nowhere"], ["merge", str(tmp_path), str(tmp_path / "x")]):
        assert isinstance(runner.invoke(train_app, words).exception, TrainingError)


def test_slurm_prints_a_script():
    told = invoke("slurm", "octocoder", "--machines", "2", "--gpus", "8")
    assert "--num_processes 16" in told
    assert "a step has 64 rows on 16 GPUs; in the recipe it has 32" in told
    assert "Note" not in invoke("slurm", "octocoder", "--machines", "1", "--gpus", "8")


def test_megatron_prepare_and_script(smollm2: Path, tmp_path: Path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"inputs": f"in {at}", "targets": f"out {at}"}) + "\n" for at in range(5)))
    words = ["prepare", str(rows), "--output", str(tmp_path / "data"), "--tokenizer", str(smollm2)]
    result = CliRunner().invoke(megatron_app, words, catch_exceptions=False)
    assert "5 rows" in result.output
    result = CliRunner().invoke(
        megatron_app,
        ["script", "starcoderbase", "--data", "a", "--valid", "b", "--tokenizer-file", "t", "--checkpoints", "c"],
        catch_exceptions=False,
    )
    assert "finetune_mtf.py" in result.output


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("octocodr",), "Did you mean octocoder?"),
        (("octocoder", "train.learnin_rate=1"), "Did you mean train.learning_rate?"),
        (("tiny", "model.name=./nowhere"), "octopack demo prepare-model"),
        (("tiny", "--eval", "humanevalfixtest-python"), "unknown task 'humanevalfixtest-python'"),
        (("tiny", "--eval", "humanevalfixtests-python", "--eval-options", "--limit '4"), "No closing quotation"),
        (("evaluate", "runs/tiny", "humanevalfixtest-python"), "unknown task 'humanevalfixtest-python'"),
        (("octocoder", "--dry-run", "--hardware", "abacus"), "is not one of"),
    ],
)
def test_user_errors_are_one_line_and_status_2(words: tuple[str, ...], complaint: str, tmp_path: Path):
    done = subprocess.run([*OCTOPACK, *words], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
