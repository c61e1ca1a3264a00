from pathlib import Path

import pytest
import yaml

from octopack_train.errors import TrainingError
from octopack_train.recipe import Loss, Packing, Quantization, build_recipe, builtin_recipes, load_recipe


@pytest.mark.parametrize("name", builtin_recipes())
def test_every_builtin_recipe_loads_and_survives_a_round_trip(name: str):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert build_recipe(yaml.safe_load(recipe.to_yaml())) == recipe


def test_every_recipe_has_its_fast_variant():
    names = builtin_recipes()
    for name in ("octocoder", "octogeex", "santacoder-commits", "santacoder-line-diff"):
        assert f"{name}-fast" in names


def test_octocoder_has_the_numbers_of_the_paper():
    recipe = load_recipe("octocoder")
    assert recipe.rows_per_step == 32
    assert recipe.steps == 35
    assert recipe.steps * recipe.rows_per_step * recipe.data.length == 2_293_760
    assert recipe.train.max_steps == 1000
    assert (recipe.train.learning_rate, recipe.train.schedule) == (5e-4, "cosine")
    assert recipe.model.quantization is Quantization.INT8
    assert recipe.lora is not None
    assert tuple(recipe.lora.targets) == ("c_proj", "c_attn", "q_attn")
    assert (recipe.data.packing, recipe.data.loss) == (Packing.CONSTANT_LENGTH, Loss.ALL)


def test_fast_variants_isolate_documents_and_learn_the_completion():
    for name in builtin_recipes():
        if name.endswith("-fast"):
            assert load_recipe(name).data.packing is Packing.ISOLATED
            assert load_recipe(name).data.loss is Loss.COMPLETION


def test_overrides_take_dotted_and_unique_bare_keys():
    recipe = load_recipe("octocoder", ["train.learning_rate=1e-4", "seed=3", "data.columns.prompt=question"])
    assert (recipe.train.learning_rate, recipe.train.seed) == (1e-4, 3)
    assert list(recipe.data.columns.values()) == ["question", "completion"]
    assert load_recipe("octocoder", ["lora=null", "model.quantization=none"]).lora is None


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/me")
    recipe = load_recipe("tiny", ["output=~/runs/x", "data.path=~/rows.jsonl", "model.name=~/model"])
    assert (recipe.output, recipe.data.path) == ("/home/me/runs/x", "/home/me/rows.jsonl")
    assert recipe.model.name == "/home/me/model"


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("learnin_rate=1", "Unknown key 'learnin_rate'. Did you mean learning_rate?"),
        ("train.learnin_rate=1", "Unknown key train.learnin_rate. Did you mean train.learning_rate?"),
        ("data.learning_rate=1", "Unknown key data.learning_rate. Did you mean train.learning_rate?"),
        ("model.quantisation=none", "Did you mean model.quantization?"),
        ("revision=x", "several sections: write one of model.revision, data.revision"),
        ("train.max_steps=many", "train.max_steps: expected a whole number, got 'many'"),
        ("train.batch_size=0", "train.batch_size=0 is too small"),
        ("train.learning_rate=.nan", "too small"),
        ("train.gradient_checkpointing=maybe", "expected true or false"),
        ("data.packing=isolate", "Did you mean isolated?"),
        ("train.schedule=cosin", "Did you mean cosine?"),
        ("data.packing=windows data.loss=completion", "not one of"),
        ("model.dtype=bf16", "not one of float32, bfloat16, float16"),
        ("lora.targets=c_attn", "is a list"),
        ("lora=null", "frozen base model"),
        ("train=3", "a section with keys of its own"),
        ("train.stop_at=2000", "behind train.max_steps=1000"),
        ("train.max_steps=null", "endless stream: set train.max_steps"),
        ("launch.machines=3", "a multiple of launch.machines=3"),
        ("launch.strategy=single", "needs launch.strategy"),
        ("nonsense", "Expected key=value"),
        ("method=grpo", "needs a grpo section"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(override: str, complaint: str):
    with pytest.raises(TrainingError) as caught:
        load_recipe("octocoder", [override])
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(TrainingError, match=r"Did you mean octocoder\?"):
        load_recipe("octocodr")


def test_a_recipe_extends_another_file_beside_it(tmp_path: Path):
    (tmp_path / "base.yaml").write_text("extends: octocoder\nname: base\n")
    (tmp_path / "child.yaml").write_text("extends: base.yaml\ntrain: {seed: 7}\n")
    recipe = load_recipe(str(tmp_path / "child.yaml"))
    assert (recipe.name, recipe.train.seed, recipe.train.max_steps) == ("base", 7, 1000)


def test_recipes_that_extend_each_other_are_refused(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(TrainingError, match="circle"):
        load_recipe(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize(
    ("text", "complaint"), [("- a\n", "not a recipe"), ("a: [", "not valid YAML"), ("name: x", "lacks")]
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str, complaint: str):
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    with pytest.raises(TrainingError, match=complaint):
        load_recipe(str(file))
