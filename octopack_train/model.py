"""The base model, its tokenizer and its adapters, as a recipe asks for them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octopack_train.cpu import register_document_attention
from octopack_train.errors import TrainingError
from octopack_train.faults import downloads
from octopack_train.recipe import LoraSection, Method, ModelSection, Packing, Quantization, Recipe, Strategy

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

NO_GPU_FOR_QUANTIZATION = (
    "model.quantization={0} needs a CUDA GPU, and there is none: set model.quantization=none (with "
    "model.dtype=bfloat16 to save memory), or run on a machine with a GPU."
)


def load_tokenizer(model: ModelSection) -> PreTrainedTokenizerBase:
    """Return the model's tokenizer; padding is the end-of-sequence token where it has none (reference).

    Raises:
        TrainingError: no such model, or a tokenizer without an end-of-sequence token.
    """
    from transformers import AutoTokenizer

    _check_folder(model.name)
    with downloads(f"the tokenizer of {model.name}"):
        tokenizer = AutoTokenizer.from_pretrained(
            model.name, revision=model.revision, trust_remote_code=model.trust_remote_code
        )
    if tokenizer.eos_token_id is None:
        raise TrainingError(f"The tokenizer of {model.name} has no end-of-sequence token: set eos_token in its folder.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    checked: PreTrainedTokenizerBase = tokenizer
    return checked


def load_config(model: ModelSection) -> PretrainedConfig:
    """Return the model's configuration."""
    from transformers import AutoConfig

    _check_folder(model.name)
    with downloads(f"the model {model.name}"):
        config: PretrainedConfig = AutoConfig.from_pretrained(
            model.name, revision=model.revision, trust_remote_code=model.trust_remote_code
        )
    return config


def check_length(recipe: Recipe, config: PretrainedConfig) -> None:
    """Check that rows fit the model's positions.

    Raises:
        TrainingError: `data.length` is longer than the model's context.
    """
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if positions is not None and recipe.data.length > positions:
        raise TrainingError(
            f"data.length={recipe.data.length} is longer than {recipe.model.name}, which has {positions} positions: "
            f"set data.length={positions}."
        )


def check_device(recipe: Recipe) -> None:
    """Check that the machine can do what the recipe asks.

    Raises:
        TrainingError: quantisation without a GPU or without bitsandbytes, more processes than GPUs, sharding without
            DeepSpeed.
    """
    import torch

    gpus = 0 if recipe.launch.cpu else torch.cuda.device_count()
    if recipe.model.quantization is not Quantization.NONE:
        if not gpus:
            raise TrainingError(NO_GPU_FOR_QUANTIZATION.format(recipe.model.quantization.value))
        if find_spec("bitsandbytes") is None:
            raise TrainingError(
                f"model.quantization={recipe.model.quantization.value} needs bitsandbytes: pip install bitsandbytes."
            )
    here = recipe.launch.processes // recipe.launch.machines
    if here > gpus and recipe.launch.strategy is not Strategy.SINGLE and not recipe.launch.cpu:
        raise TrainingError(
            f"launch.processes asks for {here} GPUs on this machine, which has {gpus}: set launch.processes={gpus or 1}"
            f"{'' if gpus else ' and launch.strategy=single'}, and raise train.gradient_accumulation to keep the batch."
        )
    if recipe.launch.strategy in (Strategy.ZERO1, Strategy.ZERO3) and find_spec("deepspeed") is None:
        raise TrainingError(
            f"launch.strategy={recipe.launch.strategy.value} needs DeepSpeed: pip install deepspeed, or set "
            "launch.strategy=fsdp."
        )


def runs_on_cpu(recipe: Recipe) -> bool:
    """Tell whether the recipe is trained without a GPU on this machine."""
    import torch

    return recipe.launch.cpu or not torch.cuda.is_available()


def quantization_config(quantization: Quantization) -> Any:
    """Return the bitsandbytes configuration; today's form of `load_in_8bit=True`."""
    import torch
    from transformers import BitsAndBytesConfig

    if quantization is Quantization.NONE:
        return None
    if quantization is Quantization.INT8:
        return BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )


def load_model(recipe: Recipe) -> PreTrainedModel:
    """Load the base model, quantised where the recipe says so.

    Raises:
        TrainingError: no such model, a broken download, a machine that cannot hold it.
    """
    import torch
    from accelerate import PartialState  # type: ignore[import-untyped]
    from transformers import AutoModelForCausalLM

    model = recipe.model
    options: dict[str, Any] = {"dtype": getattr(torch, model.dtype)}
    if model.attention is not None:
        options["attn_implementation"] = model.attention
    elif runs_on_cpu(recipe) and recipe.method is Method.SFT and recipe.data.packing is Packing.ISOLATED:
        options["attn_implementation"] = register_document_attention()
    if model.quantization is not Quantization.NONE:
        options["quantization_config"] = quantization_config(model.quantization)
        options["device_map"] = {"": PartialState().process_index}
    with downloads(f"the model {model.name}"):
        loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            model.name, revision=model.revision, trust_remote_code=model.trust_remote_code, **options
        )
    if model.quantization is not Quantization.NONE:
        from peft import prepare_model_for_kbit_training

        loaded = prepare_model_for_kbit_training(  # type: ignore[no-untyped-call]
            loaded, use_gradient_checkpointing=recipe.train.gradient_checkpointing
        )
    loaded.config.use_cache = False  # with a cache, packed documents would see each other
    return loaded


def lora_config(lora: LoraSection, model: PreTrainedModel) -> LoraConfig:
    """Return the adapters' configuration, by the names of the modules.

    Names that the model does not have are left out: StarCoder's `q_attn` exists only with cross-attention.

    Raises:
        TrainingError: the model has none of the named modules.
    """
    from peft import LoraConfig

    present = {name.rpartition(".")[2] for name, module in model.named_modules() if hasattr(module, "weight")}
    targets = [target for target in lora.targets if target in present]
    if not targets:
        raise TrainingError(
            f"The model has none of lora.targets={list(lora.targets)}; its layers are called "
            f"{', '.join(sorted(present))}."
        )
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        bias="none",
        task_type="CAUSAL_LM",
        target_modules=targets,
    )


def _check_folder(name: str) -> None:
    if name.startswith((".", "/", "~")) and not Path(name).is_dir():
        raise TrainingError(
            f"There is no model folder {name}. For a small model that runs anywhere: octopack demo prepare-model {name}"
        )
