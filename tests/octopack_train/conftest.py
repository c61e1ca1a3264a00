"""A random model small enough to train in seconds, and the real one where it is at hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from octopack_train.recipe import Recipe, build_recipe

POSITIONS = 256


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random two-layer GPTBigCode and a byte-level tokenizer of 400 tokens."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    from octopack_train.synthetic import fix_commits

    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([commit.new_contents for commit in fix_commits(100)], trainer)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>"
    ).save_pretrained(str(folder))
    torch.manual_seed(0)
    config = transformers.GPTBigCodeConfig(
        vocab_size=400, n_positions=POSITIONS, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0
    )
    transformers.GPTBigCodeForCausalLM(config).save_pretrained(str(folder))
    return folder


@pytest.fixture
def make_recipe(tiny_model: Path, tmp_path: Path) -> Callable[..., Recipe]:
    """Build a recipe that trains the tiny model; arguments are `key=value` overrides."""

    def make(*overrides: str) -> Recipe:
        content = f"""
            name: test
            output: {tmp_path / "run"}
            model: {{name: {tiny_model}}}
            data: {{path: synthetic-fixes, limit: 40, format: question-answer, loss: completion, length: 128}}
            train: {{max_steps: 4, batch_size: 2, learning_rate: 1e-3, schedule: constant}}
            launch: {{cpu: true}}
        """
        return build_recipe(yaml.safe_load(content), overrides)

    return make


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct (`octopack demo prepare-model`)."""
    folder = os.environ.get("OCTOPACK_TEST_MODEL")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs OCTOPACK_TEST_MODEL: a folder made by `octopack demo prepare-model`")
    return Path(folder)
