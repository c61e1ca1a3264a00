from collections.abc import Callable
from pathlib import Path

import pytest

from octopack_train.errors import TrainingError
from octopack_train.model import check_device, check_length, load_config, load_model, lora_config, quantization_config
from octopack_train.recipe import LoraSection, ModelSection, Quantization, Recipe

torch = pytest.importorskip("torch")
pytest.importorskip("peft")


def test_eight_bit_loading_asks_for_what_old_load_in_8bit_meant():
    assert quantization_config(Quantization.INT8).load_in_8bit
    assert quantization_config(Quantization.NF4).bnb_4bit_quant_type == "nf4"
    assert quantization_config(Quantization.NONE) is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_an_eight_bit_recipe_without_a_gpu_says_what_to_set(make_recipe: Callable[..., Recipe]):
    recipe = make_recipe("model.quantization=8bit", "lora={r: 2, alpha: 4, targets: [c_attn]}")
    with pytest.raises(TrainingError, match=r"needs a CUDA GPU.*model\.quantization=none"):
        check_device(recipe)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_more_processes_than_gpus_are_refused(make_recipe: Callable[..., Recipe]):
    recipe = make_recipe("launch.cpu=false", "launch.strategy=ddp", "launch.processes=8")
    with pytest.raises(TrainingError, match=r"asks for 8 GPUs.*has 0.*launch\.strategy=single"):
        check_device(recipe)
    check_device(make_recipe("launch.strategy=ddp", "launch.processes=8"))  # on CPUs


def test_deepspeed_that_is_not_installed_is_named(make_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("octopack_train.model.find_spec", lambda _: None)
    with pytest.raises(TrainingError, match="pip install deepspeed"):
        check_device(make_recipe("launch.strategy=zero1"))


def test_rows_longer_than_the_model_are_refused(make_recipe: Callable[..., Recipe]):
    recipe = make_recipe("data.length=257")
    with pytest.raises(TrainingError, match=r"has 256 positions: set data\.length=256"):
        check_length(recipe, load_config(recipe.model))
    check_length(make_recipe("data.length=256"), load_config(recipe.model))


def test_adapters_go_to_the_named_layers_and_nowhere_else(make_recipe: Callable[..., Recipe]):
    from peft import get_peft_model

    model = load_model(make_recipe())
    config = lora_config(LoraSection(r=2, alpha=4, targets=("c_proj", "c_attn", "q_attn")), model)
    assert sorted(config.target_modules) == ["c_attn", "c_proj"]  # no cross-attention, so no q_attn
    adapted = {
        name.split(".lora_A")[0] for name, _ in get_peft_model(model, config).named_parameters() if "lora_A" in name
    }
    ends = {name.partition(".h.0.")[2] for name in adapted if ".h.0." in name}
    assert ends == {"attn.c_attn", "attn.c_proj", "mlp.c_proj"}


def test_no_target_at_all_lists_the_layers(make_recipe: Callable[..., Recipe]):
    with pytest.raises(TrainingError, match=r"none of lora\.targets=\['q_proj'\].*c_attn"):
        lora_config(LoraSection(r=2, alpha=4, targets=("q_proj",)), load_model(make_recipe()))


def test_a_missing_model_folder_names_the_command():
    with pytest.raises(TrainingError, match=r"octopack demo prepare-model \./nowhere"):
        load_config(ModelSection("./nowhere"))


def test_a_weights_file_cut_short_is_named(make_recipe: Callable[..., Recipe], tiny_model: Path, tmp_path: Path):
    import shutil

    copy = tmp_path / "cut"
    shutil.copytree(tiny_model, copy)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(TrainingError, match="cut short"):
        load_model(make_recipe(f"model.name={copy}"))
