from collections.abc import Callable
from pathlib import Path

import pytest

from octopack_train.errors import TrainingError
from octopack_train.merge import compare, merge
from octopack_train.recipe import Recipe
from octopack_train.sft import train

torch = pytest.importorskip("torch")
pytest.importorskip("peft")


@pytest.fixture
def adapter(make_recipe: Callable[..., Recipe]) -> Path:
    recipe = make_recipe("train.learning_rate=1e-2", "lora={r: 4, alpha: 8, targets: [c_attn, c_proj]}")
    return train(recipe, report=lambda _: None).path


def test_a_merged_model_has_the_logits_of_base_plus_adapter(adapter: Path, tiny_model: Path, tmp_path: Path):
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert merge(adapter, tmp_path / "merged", dtype="float32") < 1e-5
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        base = AutoModelForCausalLM.from_pretrained(tiny_model)(tokens).logits
        adapted = AutoPeftModelForCausalLM.from_pretrained(adapter / "adapter")(tokens).logits
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")(tokens).logits
    assert torch.allclose(merged, adapted, atol=1e-5)
    assert not torch.allclose(merged, base, atol=1e-3)
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").eos_token == "<|endoftext|>"


def test_an_adapter_that_does_not_survive_merging_writes_nothing(adapter: Path, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    weights = adapter / "adapter" / "adapter_model.safetensors"
    save_file({name: tensor * float("nan") for name, tensor in load_file(weights).items()}, weights)
    with pytest.raises((TrainingError, ValueError)):
        merge(adapter, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_what_cannot_be_merged_is_refused(tmp_path: Path, tiny_model: Path):
    with pytest.raises(TrainingError, match="holds no adapter"):
        merge(tiny_model, tmp_path / "merged")


class TestCompare:
    def save(self, folder: Path, **tensors: object) -> Path:
        from safetensors.torch import save_file

        folder.mkdir()
        save_file(tensors, folder / "model.safetensors")
        return folder

    def test_equal_whatever_the_shards(self, tmp_path: Path):
        one = self.save(tmp_path / "one", a=torch.ones(2), b=torch.zeros(3))
        two = tmp_path / "two"
        two.mkdir()
        torch.save({"a": torch.ones(2)}, two / "pytorch_model-1.bin")
        torch.save({"b": torch.zeros(3)}, two / "pytorch_model-2.bin")
        assert compare(one, two) == []

    def test_every_kind_of_difference_is_named(self, tmp_path: Path):
        one = self.save(tmp_path / "one", a=torch.ones(2), b=torch.ones(2), c=torch.ones(2), d=torch.ones(1))
        two = self.save(
            tmp_path / "two", a=torch.ones(3), b=torch.tensor([1.0, 1.5]), c=torch.ones(2).half(), e=torch.ones(1)
        )
        found = {difference.tensor: difference.reason for difference in compare(one, two)}
        assert found["a"] == "shape (2,) against (3,)"
        assert found["b"] == "largest difference 0.5"
        assert "float16" in found["c"]
        assert "missing" in found["d"]
        assert "missing" in found["e"]
        assert set(found) == set("abcde")

    def test_tolerance_and_not_a_number(self, tmp_path: Path):
        one = self.save(tmp_path / "one", a=torch.ones(2))
        two = self.save(tmp_path / "two", a=torch.ones(2) + 1e-4)
        three = self.save(tmp_path / "three", a=torch.tensor([1.0, float("nan")]))
        assert compare(one, two, tolerance=1e-3) == []
        assert compare(one, three, tolerance=1e-3) != []

    def test_a_tied_output_layer_may_be_left_out(self, tmp_path: Path):
        words = torch.randn(4, 2)
        one = self.save(tmp_path / "one", **{"transformer.wte.weight": words, "lm_head.weight": words.clone()})
        two = self.save(tmp_path / "two", **{"transformer.wte.weight": words})
        assert compare(one, two) == []

    def test_no_weights_at_all(self, tmp_path: Path):
        with pytest.raises(TrainingError, match="holds no weights"):
            compare(tmp_path, tmp_path)

    def test_a_pickle_that_would_run_code_is_refused(self, tmp_path: Path):
        import pickle

        class Evil:
            def __reduce__(self) -> tuple[object, ...]:
                return (Path.touch, (tmp_path / "pwned",))

        folder = tmp_path / "evil"
        folder.mkdir()
        with (folder / "pytorch_model.bin").open("wb") as stream:
            pickle.dump({"a": Evil()}, stream)
        with pytest.raises(TrainingError):
            compare(folder, folder)
        assert not (tmp_path / "pwned").exists()
