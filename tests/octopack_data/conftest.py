"""Tokenizers that several tests need."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("orjson", reason="the data tools need the extra `data`")
pytest.importorskip("tokenizers", reason="the data tools need the extra `data`")

from commit_rows import BASE


@pytest.fixture(scope="session")
def tokenizer_json() -> str:
    """A small byte-level BPE tokenizer, trained here: GPT-2's structure without anyone's vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", "<file_sep>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [Path(__file__).read_text(encoding="utf-8"), BASE["old_contents"], "naïve café ünïcödé 数 123 456"]
    tokenizer.train_from_iterator(texts, trainer)
    return str(tokenizer.to_str())


@pytest.fixture(scope="session")
def digits_apart_json(tokenizer_json: str) -> str:
    """The same with every digit a piece of its own, as StarCoder has it."""
    description = json.loads(tokenizer_json)
    description["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": True}, description["pre_tokenizer"]],
    }
    return json.dumps(description)


@pytest.fixture(scope="session")
def recorded_tokenizer_json() -> str:
    """SmolLM2's tokenizer, with which the recorded facts were counted."""
    folder = os.environ.get("OCTOPACK_TEST_MODEL", "")
    path = Path(folder) / "tokenizer.json"
    if not folder or not path.is_file():
        pytest.skip("needs OCTOPACK_TEST_MODEL, a folder with SmolLM2-135M-Instruct's tokenizer.json")
    return path.read_text(encoding="utf-8")
