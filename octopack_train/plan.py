"""The dry run: what a recipe will cost in tokens, steps, memory and time, before anything is loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octopack_train.data import tokenize
from octopack_train.errors import TrainingError
from octopack_train.model import check_length, load_config, load_tokenizer, lora_config
from octopack_train.recipe import Method, Packing, Quantization, Recipe, Strategy
from octopack_train.synthetic import DATA_SET

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


@dataclass(frozen=True)
class Hardware:
    """One device.

    Attributes:
        flops: peak dense 16-bit arithmetic, operations a second (vendor's data sheet).
        memory: bytes.
        utilisation: share of the peak that training reaches.
    """

    flops: float
    memory: float
    utilisation: float = 0.4


GIB = 2**30
HARDWARE = {
    "a100-40gb": Hardware(312e12, 40 * GIB),
    "a100-80gb": Hardware(312e12, 80 * GIB),
    "h100-80gb": Hardware(989e12, 80 * GIB),
    "h200-141gb": Hardware(989e12, 141 * GIB),
    "l4-24gb": Hardware(121e12, 24 * GIB),
    "rtx4090-24gb": Hardware(165e12, 24 * GIB),
    "v100-32gb": Hardware(125e12, 32 * GIB),
    # Measured: a 135M model trains at about 0.1 TFLOP/s a core with AVX-512 bfloat16 arithmetic.
    "cpu": Hardware(0.1e12, 16 * GIB, utilisation=1.0),
}
"""Devices for the time estimate; `cpu` is one core."""

_SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    # The published configurations, so that a dry run needs no network.
    "bigcode/starcoder": (
        "gpt_bigcode",
        {"n_layer": 40, "n_embd": 6144, "n_head": 48, "n_inner": 24576, "n_positions": 8192, "vocab_size": 49152},
    ),
    "bigcode/gpt_bigcode-santacoder": (
        "gpt_bigcode",
        {"n_layer": 24, "n_embd": 2048, "n_head": 16, "n_inner": 8192, "n_positions": 2048, "vocab_size": 49280},
    ),
    # CodeGeeX2 has code of its own; this has its sizes in Llama's form.
    "THUDM/codegeex2-6b": (
        "llama",
        {
            "num_hidden_layers": 28, "hidden_size": 4096, "intermediate_size": 13696, "num_attention_heads": 32,
            "num_key_value_heads": 2, "vocab_size": 65024, "max_position_embeddings": 8192,
        },
    ),
}  # fmt: skip

_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
_QUANTIZED_BYTES = {Quantization.INT8: 1.0, Quantization.NF4: 0.55}


@dataclass(frozen=True)
class Plan:
    """What a run will cost.

    Attributes:
        parameters: parameters of the model, adapters included.
        trainable: parameters that are trained.
        steps: optimiser steps.
        rows_per_step: rows of tokens a step over all devices.
        tokens: tokens that pass through the model.
        memory: estimated bytes a device.
        seconds: estimated time.
        note: what the estimate had to assume.
    """

    parameters: int
    trainable: int
    steps: int
    rows_per_step: int
    tokens: int
    memory: float
    seconds: float
    note: str


def hardware(name: str) -> Hardware:
    """Return a device of the table by name.

    Raises:
        TrainingError: no such device.
    """
    if name not in HARDWARE:
        raise TrainingError(f"--hardware {name!r} is not one of {', '.join(HARDWARE)}.")
    return HARDWARE[name]


def plan(recipe: Recipe, device: Hardware) -> Plan:
    """Estimate the cost of a recipe; reads the data where it is at hand, never the weights.

    Raises:
        TrainingError: the recipe cannot run: sequence longer than the model, columns missing, unknown model.
    """
    config = _config(recipe)
    check_length(recipe, config)
    model = _empty_model(config)
    base = sum(parameter.numel() for parameter in model.parameters())
    trainable = base if recipe.lora is None else _adapter_parameters(recipe, model)
    steps, tokens, note = _steps_and_tokens(recipe)
    layers = _first(config, "num_hidden_layers", "n_layer")
    hidden = _first(config, "hidden_size", "n_embd")
    length = recipe.data.length
    passes = 3 if recipe.train.gradient_checkpointing else 2  # forward, gradients of activations, recomputation
    attention = passes * 2 * layers * hidden * length  # causal: half of 4 x layers x hidden x length a pass
    flops = tokens * (2 * passes * base + 2 * trainable + attention)
    return Plan(
        parameters=base + (0 if recipe.lora is None else trainable),
        trainable=trainable,
        steps=steps,
        rows_per_step=recipe.rows_per_step,
        tokens=tokens,
        memory=_memory(recipe, base, trainable, layers, hidden),
        seconds=flops / (device.flops * device.utilisation * recipe.launch.processes),
        note=note,
    )


def _memory(recipe: Recipe, base: int, trainable: int, layers: int, hidden: int) -> float:
    stored = _QUANTIZED_BYTES.get(recipe.model.quantization, _BYTES[recipe.model.dtype])
    weights = base * stored
    gradients = trainable * 4.0
    optimiser = trainable * 8.0  # two float32 moments
    shards = recipe.launch.processes
    if recipe.launch.strategy in (Strategy.FSDP, Strategy.ZERO3):
        weights, gradients, optimiser = weights / shards, gradients / shards, optimiser / shards
    elif recipe.launch.strategy is Strategy.ZERO1:
        optimiser /= shards
    # Korthikanti et al. 2022, table 2: 34 bytes a token, layer and hidden unit in 16 bits (the quadratic part of the
    # attention is never stored by today's kernels); with recomputation 2, and one layer in full.
    width = 2.0 if recipe.train.precision.value == "fp32" and recipe.model.dtype == "float32" else 1.0
    tokens = recipe.train.batch_size * recipe.data.length
    full_layers, kept_layers = (1, layers) if recipe.train.gradient_checkpointing else (layers, 0)
    activations = tokens * hidden * (34 * full_layers + 2 * kept_layers) * width
    return weights + gradients + optimiser + activations


def _steps_and_tokens(recipe: Recipe) -> tuple[int, int, str]:
    """Count the data that lies on this machine; take rows as full where only steps are known."""
    data = recipe.data
    if recipe.grpo is not None and recipe.method is Method.GRPO:
        if recipe.steps is None:
            raise TrainingError("The dry run of method grpo needs train.max_steps.")
        row = recipe.grpo.prompt_length + recipe.grpo.completion_length
        return recipe.steps, recipe.steps * recipe.rows_per_step * row, "at most; sampling and tests come on top"
    local = Path(recipe.model.name).is_dir() and (data.path == DATA_SET or Path(data.path).exists())
    if recipe.steps is not None and not local:
        return recipe.steps, recipe.steps * recipe.rows_per_step * data.length, "data not read; rows taken as full"
    manifest = tokenize(recipe, load_tokenizer(recipe.model)).manifest
    if manifest.tokens is None or manifest.token_rows is None:
        assert recipe.steps is not None  # an endless stream: the recipe demands max_steps
        tokens = recipe.steps * recipe.rows_per_step * data.length
        return recipe.steps, tokens, f"{manifest.train_rows} texts, as an endless stream of full rows"
    fixed_rows = data.packing is not Packing.ISOLATED
    rows = manifest.token_rows if fixed_rows else math.ceil(manifest.tokens / data.length)
    per_row = data.length if fixed_rows else manifest.tokens / rows
    steps = recipe.steps or math.ceil(rows * recipe.train.epochs / recipe.rows_per_step)
    note = f"{manifest.train_rows} texts, {manifest.tokens:,} tokens, {manifest.learnt_tokens:,} with loss"
    return steps, int(steps * recipe.rows_per_step * per_row), note


def _config(recipe: Recipe) -> PretrainedConfig:
    from transformers import AutoConfig

    if recipe.model.name not in _SHAPES:
        return load_config(recipe.model)
    model_type, sizes = _SHAPES[recipe.model.name]
    config: PretrainedConfig = AutoConfig.for_model(model_type, bos_token_id=0, eos_token_id=0, **sizes)
    return config


def _empty_model(config: PretrainedConfig) -> PreTrainedModel:
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    model.tie_weights()
    return model


def _adapter_parameters(recipe: Recipe, model: PreTrainedModel) -> int:
    assert recipe.lora is not None
    targets = set(lora_config(recipe.lora, model).target_modules or ())
    shapes = [
        module.weight.shape
        for name, module in model.named_modules()
        if name.rpartition(".")[2] in targets and getattr(getattr(module, "weight", None), "ndim", 0) == 2
    ]
    return sum(recipe.lora.r * (rows + columns) for rows, columns in shapes)


def _first(config: PretrainedConfig, *names: str) -> int:
    for name in names:
        if getattr(config, name, None):
            return int(getattr(config, name))
    raise TrainingError(f"The model's configuration has none of {', '.join(names)}.")
