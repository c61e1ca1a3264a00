import argparse
import pickle
from pathlib import Path
from typing import Any

import pytest

from octopack_train.errors import TrainingError
from octopack_train.megatron.convert import CHECKPOINT_FILE, to_megatron, to_transformers
from octopack_train.merge import compare

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(params=[True, False], ids=["multi-query", "multi-head"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    torch.manual_seed(1)
    config = transformers.GPTBigCodeConfig(
        vocab_size=300, n_positions=64, n_embd=48, n_layer=4, n_head=4, n_inner=96, multi_query=request.param,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = transformers.GPTBigCodeForCausalLM(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(tmp_path / "model")
    return model


def logits(model: Any) -> Any:
    with torch.no_grad():
        return model(torch.arange(120).reshape(2, 60)).logits


def loaded(folder: Path) -> Any:
    return transformers.GPTBigCodeForCausalLM.from_pretrained(folder).eval()


def test_a_round_trip_gives_equal_logits_and_tensors(model: Any, tmp_path: Path):
    to_megatron(str(tmp_path / "model"), tmp_path / "megatron")
    to_transformers(tmp_path / "megatron", tmp_path / "back", vocabulary=300)
    assert torch.equal(logits(loaded(tmp_path / "back")), logits(model))
    assert compare(tmp_path / "model", tmp_path / "back") == []


def test_the_padded_vocabulary_stays_unless_cut(model: Any, tmp_path: Path):
    to_megatron(str(tmp_path / "model"), tmp_path / "megatron")
    to_transformers(tmp_path / "megatron", tmp_path / "back")
    assert loaded(tmp_path / "back").config.vocab_size == 384  # the next multiple of 128
    assert torch.equal(logits(loaded(tmp_path / "back"))[..., :300], logits(model))


def test_the_release_folder_is_what_megatron_expects(model: Any, tmp_path: Path):
    to_megatron(str(tmp_path / "model"), tmp_path / "megatron")
    assert (tmp_path / "megatron" / "latest_checkpointed_iteration.txt").read_text() == "release"
    content = torch.load(tmp_path / "megatron" / "release" / "mp_rank_00" / CHECKPOINT_FILE, weights_only=False)
    layers = content["model"]["language_model"]["encoder"]
    if model.config.multi_query:
        assert layers["layers.0.self_attention.query.weight"].shape == (48, 48)
        assert layers["layers.0.self_attention.key_value.weight"].shape == (24, 48)
    else:
        assert layers["layers.0.self_attention.query_key_value.weight"].shape == (144, 48)
    assert content["args"].num_layers == 4


def split(whole: Path, target: Path, tensor_ranks: int, stages: int) -> None:
    """Cut a checkpoint as Megatron's parallel training would have saved it."""
    content = torch.load(whole / "release" / "mp_rank_00" / CHECKPOINT_FILE, weights_only=False)
    body = content["model"]["language_model"]["encoder"]
    embedding = content["model"]["language_model"]["embedding"]
    rows = ("query_key_value.", "self_attention.query.", "dense_h_to_4h.")
    layers = content["args"].num_layers // stages
    for rank in range(tensor_ranks):

        def part(name: str, tensor: Any, rank: int = rank) -> Any:
            if any(word in name for word in rows):
                return tensor.chunk(tensor_ranks)[rank]
            if name.endswith(("self_attention.dense.weight", "dense_4h_to_h.weight")):
                return tensor.chunk(tensor_ranks, dim=1)[rank]
            return tensor

        for stage in range(stages):
            encoder = {}
            for name, tensor in body.items():
                words = name.split(".")
                if words[0] == "layers":
                    if int(words[1]) // layers != stage:
                        continue
                    encoder[".".join(["layers", str(int(words[1]) % layers), *words[2:]])] = part(name, tensor)
                elif stage == stages - 1:
                    encoder[name] = tensor
            model: dict[str, Any] = {"encoder": encoder}
            if stage == 0:
                words_part = embedding["word_embeddings"]["weight"].chunk(tensor_ranks)[rank]
                model["embedding"] = {**embedding, "word_embeddings": {"weight": words_part}}
            folder = target / "iter_0000250" / (f"mp_rank_{rank:02d}" + (f"_{stage:03d}" if stages > 1 else ""))
            folder.mkdir(parents=True)
            torch.save({**content, "model": {"language_model": model}}, folder / CHECKPOINT_FILE)
    (target / "latest_checkpointed_iteration.txt").write_text("250")


@pytest.mark.parametrize(("tensor_ranks", "stages"), [(2, 1), (1, 2), (2, 2)])
def test_shards_of_parallel_training_are_put_together(model: Any, tmp_path: Path, tensor_ranks: int, stages: int):
    to_megatron(str(tmp_path / "model"), tmp_path / "megatron")
    split(tmp_path / "megatron", tmp_path / "shards", tensor_ranks, stages)
    to_transformers(tmp_path / "shards", tmp_path / "back", vocabulary=300)
    assert torch.equal(logits(loaded(tmp_path / "back")), logits(model))


def test_a_missing_shard_is_noticed(model: Any, tmp_path: Path):
    import shutil

    to_megatron(str(tmp_path / "model"), tmp_path / "megatron")
    split(tmp_path / "megatron", tmp_path / "shards", 1, 2)
    shutil.rmtree(tmp_path / "shards" / "iter_0000250" / "mp_rank_00_001")
    with pytest.raises(TrainingError, match="2 layers, but was trained with 4"):
        to_transformers(tmp_path / "shards", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_classes_of_megatron_are_not_needed_and_foreign_code_does_not_run(model: Any, tmp_path: Path):
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "pwned",))

    to_megatron(str(tmp_path / "model"), tmp_path / "megatron")
    file = tmp_path / "megatron" / "release" / "mp_rank_00" / CHECKPOINT_FILE
    content = torch.load(file, weights_only=False)
    content["args"].position_embedding_type = Evil()
    content["rng_state"] = [Evil()]
    torch.save(content, file)
    to_transformers(tmp_path / "megatron", tmp_path / "back", vocabulary=300)
    assert not (tmp_path / "pwned").exists()
    assert torch.equal(logits(loaded(tmp_path / "back")), logits(model))


@pytest.mark.parametrize("content", [{"a": 1}, [1], {"args": argparse.Namespace(num_layers=1), "model": {}}])
def test_what_is_no_checkpoint_of_megatron_is_refused(tmp_path: Path, content: Any):
    file = tmp_path / "model.pt"
    torch.save(content, file)
    with pytest.raises(TrainingError, match="checkpoint of Megatron"):
        to_transformers(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_without_learnt_positions_is_refused(model: Any, tmp_path: Path):
    to_megatron(str(tmp_path / "model"), tmp_path / "megatron")
    file = tmp_path / "megatron" / "release" / "mp_rank_00" / CHECKPOINT_FILE
    content = torch.load(file, weights_only=False)
    del content["model"]["language_model"]["embedding"]["position_embeddings"]
    torch.save(content, file)
    with pytest.raises(TrainingError, match=r"not a GPT of BigCode's Megatron-LM: 'position_embeddings\.weight'"):
        to_transformers(tmp_path / "megatron", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_and_missing_files_are_refused(tmp_path: Path):
    (tmp_path / "cut.pt").write_bytes(pickle.dumps({"a": 1})[:5])
    with pytest.raises(TrainingError):
        to_transformers(tmp_path / "cut.pt", tmp_path / "out")
    with pytest.raises(TrainingError, match="mp_rank"):
        to_transformers(tmp_path, tmp_path / "out")


def test_other_architectures_are_refused(tmp_path: Path):
    transformers.GPT2Config(n_embd=8, n_layer=1, n_head=1).save_pretrained(tmp_path / "gpt2")
    with pytest.raises(TrainingError, match="only GPTBigCode"):
        to_megatron(str(tmp_path / "gpt2"), tmp_path / "out")
