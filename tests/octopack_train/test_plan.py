from collections.abc import Callable

import pytest

from octopack_train.errors import TrainingError
from octopack_train.plan import GIB, HARDWARE, hardware, plan
from octopack_train.recipe import Recipe, load_recipe

pytest.importorskip("torch")
pytest.importorskip("peft")


def test_octocoder_without_network_or_weights():
    cost = plan(load_recipe("octocoder"), HARDWARE["a100-80gb"])
    assert cost.tokens == 2_293_760  # the paper's 2.2M
    assert cost.parameters - cost.trainable == 15_517_456_384  # StarCoder
    assert cost.trainable == 35_553_280
    assert 15 * GIB < cost.memory < 40 * GIB
    assert 60 < cost.seconds < 3600


def test_santacoderpack_sized_steps():
    assert plan(load_recipe("santacoder-line-diff"), HARDWARE["a100-80gb"]).tokens == 250_000 * 64 * 2000


def test_less_memory_with_shards_and_fewer_bits():
    whole = plan(load_recipe("octogeex", ["launch.strategy=ddp"]), HARDWARE["a100-80gb"]).memory
    shards = plan(load_recipe("octogeex"), HARDWARE["a100-80gb"]).memory
    assert shards < whole / 4
    bits = {
        kind: plan(load_recipe("octocoder", [f"model.quantization={kind}"]), HARDWARE["a100-80gb"]).memory
        for kind in ("none", "8bit", "4bit")
    }
    assert bits["4bit"] < bits["8bit"] < bits["none"]


def test_local_data_is_counted(make_recipe: Callable[..., Recipe]):
    cost = plan(make_recipe("train.max_steps=null", "train.epochs=2"), HARDWARE["cpu"])
    assert "40 texts" in cost.note
    assert cost.steps >= 2
    assert cost.parameters == cost.trainable


def test_the_plan_refuses_what_the_run_would(make_recipe: Callable[..., Recipe]):
    with pytest.raises(TrainingError, match="256 positions"):
        plan(make_recipe("data.length=300"), HARDWARE["cpu"])
    with pytest.raises(TrainingError, match="not one of a100-40gb"):
        hardware("abacus")
