"""Checkpoints of BigCode's Megatron-LM (GPT with multi-query or multi-head attention) to and from transformers.

Megatron keeps queries apart from the shared keys and values (`self_attention.query`, `self_attention.key_value`);
transformers' GPTBigCode holds them in one matrix, queries first. With multi-head attention both keep query, key and
value of each head together since Megatron's checkpoint version 2.
"""

from __future__ import annotations

import argparse
import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from octopack_train.errors import TrainingError
from octopack_train.faults import downloads
from octopack_train.run_folder import check_new, new_folder

if TYPE_CHECKING:
    import torch
    from transformers import GPTBigCodeConfig

    Tensors = dict[str, torch.Tensor]

_MODULES = {
    "input_layernorm": "ln_1",
    "post_attention_layernorm": "ln_2",
    "self_attention.dense": "attn.c_proj",
    "mlp.dense_h_to_4h": "mlp.c_fc",
    "mlp.dense_4h_to_h": "mlp.c_proj",
}
"""Megatron's modules of a layer by transformers' names; the attention's inputs need more than a name."""

_LAYER = re.compile(r"layers\.(\d+)\.(.+)\.(weight|bias)")
_RANK = re.compile(r"mp_rank_(\d+)(?:_(\d+))?")
_SPLIT_ROWS = ("query_key_value.weight", "query_key_value.bias", "self_attention.query.weight",
               "self_attention.query.bias", "dense_h_to_4h.weight", "dense_h_to_4h.bias")  # fmt: skip
_SPLIT_COLUMNS = ("self_attention.dense.weight", "dense_4h_to_h.weight")
CHECKPOINT_FILE = "model_optim_rng.pt"


def to_transformers(source: Path, target: Path, *, vocabulary: int | None = None) -> None:
    """Convert a Megatron checkpoint (file, `iter_*` or `release` folder, or the folder above) for transformers.

    Shards of tensor and pipeline parallelism are put together.

    Args:
        source: the checkpoint.
        target: folder to write; must not exist.
        vocabulary: keep so many rows of the embeddings; None keeps Megatron's padded vocabulary (reference).

    Raises:
        TrainingError: no checkpoint there, one of another architecture, or the target exists.
    """
    from transformers import GPTBigCodeForCausalLM

    check_new(target)
    arguments, version, tensors = _read_checkpoint(source)
    try:
        config = _config(arguments, tensors)
    except (KeyError, AttributeError) as error:  # such as positions, which a model with ALiBi has none of
        raise TrainingError(f"{source} is not a GPT of BigCode's Megatron-LM: {error}.") from error
    if vocabulary is not None:
        if not 0 < vocabulary <= config.vocab_size:
            raise TrainingError(f"--vocab-size {vocabulary}: the checkpoint has {config.vocab_size} rows.")
        config.vocab_size = vocabulary
    state = _state_for_transformers(tensors, config, version)
    model = GPTBigCodeForCausalLM(config)  # type: ignore[no-untyped-call]
    model = model.to(next(iter(state.values())).dtype)  # type: ignore[arg-type]
    missing, unexpected = model.load_state_dict(state, strict=False)
    if set(missing) - {"lm_head.weight"} or unexpected:
        raise TrainingError(f"{source} does not fit GPTBigCode: missing {missing}, unexpected {unexpected}.")
    model.tie_weights()
    with new_folder(target) as partial:
        model.save_pretrained(str(partial))


def to_megatron(source: str, target: Path, *, padded_to: int = 128) -> None:
    """Convert a GPTBigCode model for Megatron: `target/release/mp_rank_00/model_optim_rng.pt`, ready for `--finetune`.

    Args:
        source: folder or hub name.
        target: folder to write; must not exist.
        padded_to: the vocabulary is padded to a multiple of this (`--make-vocab-size-divisible-by`).

    Raises:
        TrainingError: the model is not a GPTBigCode, or the target exists.
    """
    import torch
    from transformers import AutoConfig, GPTBigCodeForCausalLM

    check_new(target)
    with downloads(f"the model {source}"):
        config = AutoConfig.from_pretrained(source)
        if config.model_type != "gpt_bigcode":
            raise TrainingError(f"{source} is a {config.model_type!r} model; only GPTBigCode can be converted.")
        state = GPTBigCodeForCausalLM.from_pretrained(source, dtype="auto").state_dict()
    transformer = _state_for_megatron(state, config)
    words = state["transformer.wte.weight"]
    rows = -(-len(words) // padded_to) * padded_to
    words = torch.cat([words, words.new_zeros(rows - len(words), words.shape[1])])
    checkpoint = {
        "args": _arguments(config, rows),
        "checkpoint_version": 3.0,
        "iteration": 0,
        "model": {
            "language_model": {
                "embedding": {
                    "word_embeddings": OrderedDict(weight=words),
                    "position_embeddings": OrderedDict(weight=state["transformer.wpe.weight"].clone()),
                },
                "encoder": transformer,
            }
        },
    }
    with new_folder(target) as partial:
        folder = partial / "release" / "mp_rank_00"
        folder.mkdir(parents=True)
        torch.save(checkpoint, folder / CHECKPOINT_FILE)
        (partial / "latest_checkpointed_iteration.txt").write_text("release", encoding="ascii")


def _state_for_transformers(tensors: Tensors, config: GPTBigCodeConfig, version: float) -> Tensors:
    import torch

    state = {
        "transformer.wte.weight": tensors["word_embeddings.weight"][: config.vocab_size],
        "transformer.wpe.weight": tensors["position_embeddings.weight"],
        "transformer.ln_f.weight": tensors["final_layernorm.weight"],
        "transformer.ln_f.bias": tensors["final_layernorm.bias"],
    }
    for name, tensor in tensors.items():
        match = _LAYER.fullmatch(name)
        if match is None:
            continue
        layer, module, kind = match[1], match[2].replace("attention.", "self_attention.", 1), match[3]
        module = module.replace("self_self_", "self_")  # old checkpoints say `attention`, newer ones `self_attention`
        prefix = f"transformer.h.{layer}"
        if module in _MODULES:
            state[f"{prefix}.{_MODULES[module]}.{kind}"] = tensor
        elif module == "self_attention.query_key_value":
            state[f"{prefix}.attn.c_attn.{kind}"] = _grouped(tensor, version, config.n_head, 3)
        elif module == "self_attention.query":
            shared = _grouped(tensors[f"layers.{layer}.self_attention.key_value.{kind}"], version, 1, 2)
            state[f"{prefix}.attn.c_attn.{kind}"] = torch.cat([tensor, shared])
        elif module != "self_attention.key_value":
            raise TrainingError(
                f"Unknown module {module!r} in the checkpoint: it is not a GPT of BigCode's Megatron-LM."
            )
    return state


def _grouped(tensor: torch.Tensor, version: float, heads: int, parts: int) -> torch.Tensor:
    """Bring rows in the order head, part, unit; version 1 checkpoints have head, unit, part."""
    if version >= 2:
        return tensor
    if version != 1:
        raise TrainingError(f"Checkpoint version {version} is too old: only 1.0 and later keep heads together.")
    units = tensor.shape[0] // (heads * parts)
    rest = tensor.shape[1:]
    return tensor.view(heads, units, parts, *rest).transpose(1, 2).reshape(tensor.shape)


def _state_for_megatron(state: Mapping[str, torch.Tensor], config: GPTBigCodeConfig) -> Tensors:
    names = {ours: theirs for theirs, ours in _MODULES.items()}
    transformer: Tensors = OrderedDict()
    for layer in range(config.n_layer):
        for kind in ("weight", "bias"):
            prefix = f"transformer.h.{layer}"
            attention = state[f"{prefix}.attn.c_attn.{kind}"]
            target = f"layers.{layer}.self_attention"
            if config.multi_query:
                transformer[f"{target}.query.{kind}"] = attention[: config.n_embd].clone()
                transformer[f"{target}.key_value.{kind}"] = attention[config.n_embd :].clone()
            else:
                transformer[f"{target}.query_key_value.{kind}"] = attention.clone()
            for ours, theirs in names.items():
                transformer[f"layers.{layer}.{theirs}.{kind}"] = state[f"{prefix}.{ours}.{kind}"].clone()
    transformer["final_layernorm.weight"] = state["transformer.ln_f.weight"].clone()
    transformer["final_layernorm.bias"] = state["transformer.ln_f.bias"].clone()
    return transformer


def _config(arguments: argparse.Namespace, tensors: Tensors) -> GPTBigCodeConfig:
    from transformers import GPTBigCodeConfig

    if getattr(arguments, "bias_gelu_fusion", False):
        activation = "gelu_pytorch_tanh"  # Megatron's fused kernel uses the tanh approximation
    elif getattr(arguments, "openai_gelu", False):
        activation = "gelu_new"
    else:
        activation = "gelu"
    return GPTBigCodeConfig(
        vocab_size=len(tensors["word_embeddings.weight"]),
        n_positions=len(tensors["position_embeddings.weight"]),
        n_embd=arguments.hidden_size,
        n_layer=arguments.num_layers,
        n_head=arguments.num_attention_heads,
        n_inner=arguments.ffn_hidden_size,
        activation_function=activation,
        resid_pdrop=getattr(arguments, "hidden_dropout", 0.1),
        embd_pdrop=getattr(arguments, "hidden_dropout", 0.1),
        attn_pdrop=getattr(arguments, "attention_dropout", 0.1),
        layer_norm_epsilon=getattr(arguments, "layernorm_epsilon", 1e-5),
        initializer_range=getattr(arguments, "init_method_std", 0.02),
        multi_query=getattr(arguments, "attention_head_type", "multihead") == "multiquery",
        bos_token_id=0,  # StarCoder's <|endoftext|>
        eos_token_id=0,
    )


def _arguments(config: GPTBigCodeConfig, padded_vocabulary: int) -> argparse.Namespace:
    return argparse.Namespace(
        num_layers=config.n_layer,
        hidden_size=config.n_embd,
        num_attention_heads=config.n_head,
        ffn_hidden_size=config.n_inner or 4 * config.n_embd,
        kv_channels=config.n_embd // config.n_head,
        max_position_embeddings=config.n_positions,
        seq_length=config.n_positions,
        padded_vocab_size=padded_vocabulary,
        attention_head_type="multiquery" if config.multi_query else "multihead",
        layernorm_epsilon=config.layer_norm_epsilon,
        init_method_std=config.initializer_range,
        hidden_dropout=config.resid_pdrop,
        attention_dropout=config.attn_pdrop,
        bias_gelu_fusion=config.activation_function == "gelu_pytorch_tanh",
        openai_gelu=config.activation_function == "gelu_new",
        tensor_model_parallel_size=1,
        pipeline_model_parallel_size=1,
    )


def _read_checkpoint(source: Path) -> tuple[argparse.Namespace, float, Tensors]:
    files = _shard_files(source)
    shards = {rank: _load(file) for rank, file in files.items()}
    first = next(iter(shards.values()))
    arguments = first.get("args")
    if not isinstance(arguments, argparse.Namespace):
        raise TrainingError(f"{source} holds no training arguments: it is not a checkpoint of Megatron-LM.")
    tensors: Tensors = {}
    layers_before = 0
    for stage in sorted({stage for _, stage in shards}):
        ranks = [_flat(shards[rank, stage], source) for rank in sorted(rank for rank, at in shards if at == stage)]
        merged = {name: _join_ranks(name, [tensors[name] for tensors in ranks]) for name in ranks[0]}
        numbers = {int(match[1]) for name in merged if (match := _LAYER.fullmatch(name))}
        for name, tensor in merged.items():
            match = _LAYER.fullmatch(name)
            if match is not None:
                name = f"layers.{int(match[1]) + layers_before}.{match[2]}.{match[3]}"
            tensors.setdefault(name, tensor)
        layers_before += len(numbers)
    if layers_before != arguments.num_layers:
        raise TrainingError(f"{source} has {layers_before} layers, but was trained with {arguments.num_layers}.")
    return arguments, float(first.get("checkpoint_version", 0.0)), tensors


def _shard_files(source: Path) -> dict[tuple[int, int], Path]:
    """Return the checkpoint's files by (tensor rank, pipeline rank)."""
    if source.is_file():
        return {(0, 0): source}
    folder = source
    pointer = source / "latest_checkpointed_iteration.txt"
    if pointer.is_file():
        latest = pointer.read_text(encoding="ascii").strip()
        folder = source / (latest if latest == "release" else f"iter_{int(latest):07d}")
    found = {}
    for rank in sorted(folder.glob("mp_rank_*")):
        match = _RANK.fullmatch(rank.name)
        files = sorted(rank.glob("*.pt"))
        if match is None or not files:
            continue
        weights = next((file for file in files if file.name != "distrib_optim.pt"), files[0])
        found[int(match[1]), int(match[2] or 0)] = weights
    if not found:
        raise TrainingError(f"{source} is not a checkpoint of Megatron-LM: there is no mp_rank_*/{CHECKPOINT_FILE}.")
    return found


def _flat(checkpoint: Mapping[str, Any], source: Path) -> Tensors:
    try:
        language_model = checkpoint["model"]["language_model"]
        body = language_model.get("encoder", language_model.get("transformer"))
        tensors = dict(body)
        for name, embedding in language_model.get("embedding", {}).items():
            tensors[f"{name}.weight"] = embedding["weight"]
    except (KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{source} is not a checkpoint of Megatron-LM's GPT: {error!r} is missing.") from error
    return tensors


def _join_ranks(name: str, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Put the slices of the tensor-parallel ranks together; everything else is the same on all of them."""
    import torch

    if len(parts) == 1:
        return parts[0]
    if name == "word_embeddings.weight" or name.endswith(_SPLIT_ROWS):
        return torch.cat(list(parts))
    if name.endswith(_SPLIT_COLUMNS):
        return torch.cat(list(parts), dim=1)
    return parts[0]


class _Inert:
    """Stands for an object of a class that is not known here; does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...

    def __call__(self, *_: Any, **__: Any) -> _Inert:
        return self


_KNOWN_CLASSES = frozenset({("argparse", "Namespace"), ("collections", "OrderedDict"), ("builtins", "set")})
_KNOWN_TORCH = frozenset(
    {
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch", "Size"),
        ("torch", "device"),
    }
)


class _InertUnpickler(pickle.Unpickler):
    """Unpickles tensors and plain values only.

    Megatron's checkpoints are pickles that name classes of Megatron; a checkpoint from elsewhere could name anything.
    Whatever is not known becomes an inert object, so nothing foreign is imported or run.
    """

    def find_class(self, module: str, name: str) -> Any:
        storage = module == "torch" and (name.endswith("Storage") or name in _DTYPES)
        if (module, name) in _KNOWN_CLASSES | _KNOWN_TORCH or storage:
            return super().find_class(module, name)
        return _Inert


_DTYPES = frozenset({"float32", "float16", "bfloat16", "float64", "int64", "int32", "uint8", "bool"})


def _load_pickle(stream: Any, **options: Any) -> Any:
    return _InertUnpickler(stream, **options).load()


def _load(file: Path) -> dict[str, Any]:
    import torch

    module = SimpleNamespace(Unpickler=_InertUnpickler, load=_load_pickle, __name__=__name__)
    with downloads(f"the checkpoint {file}"):
        content = torch.load(str(file), map_location="cpu", pickle_module=module, weights_only=False)
    if not isinstance(content, dict):
        raise TrainingError(f"{file} is not a checkpoint of Megatron-LM.")
    return content
