"""Merging adapters into their base, and comparing checkpoints tensor by tensor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from octopack_train.errors import TrainingError
from octopack_train.faults import downloads
from octopack_train.run_folder import check_new, new_folder

if TYPE_CHECKING:
    import torch

LOGITS_TOLERANCE = 1e-3
"""Largest difference of logits in float32 after a merge; rounding gives about 1e-6 on small models."""

_CHECKED_TOKENS = 32


def merge(adapter: Path, target: Path, *, base: str | None = None, dtype: str = "bfloat16") -> float:
    """Merge an adapter into its base model, check the result, and write it to `target`.

    The merge is done and checked in float32 on random tokens; only then is it rounded to `dtype` and written. The
    folder appears under its name when it is complete.

    Args:
        adapter: folder of the adapter, or of a training run.
        target: folder to write; must not exist.
        base: base model, if not the one named in the adapter.
        dtype: precision of the written weights.

    Returns:
        The largest difference between the logits with the adapter and after the merge.

    Raises:
        TrainingError: no adapter there, the target exists, the base cannot be loaded, or the logits differ.
    """
    import torch
    from peft import PeftConfig, PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if (adapter / "adapter" / "adapter_config.json").is_file():
        adapter = adapter / "adapter"
    if not (adapter / "adapter_config.json").is_file():
        raise TrainingError(f"{adapter} holds no adapter: there is no adapter_config.json in it.")
    check_new(target)
    with downloads(f"the adapter {adapter}"):
        name = base or PeftConfig.from_pretrained(str(adapter)).base_model_name_or_path
    if name is None:
        raise TrainingError(f"{adapter} does not name its base model: give --base.")
    with downloads(f"the base model {name}"):
        loaded = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    with downloads(f"the adapter {adapter}"):
        model = PeftModel.from_pretrained(loaded, str(adapter)).eval()
    before = _logits(model)
    merged = model.merge_and_unload(safe_merge=True)
    difference = float((before - _logits(merged)).abs().max())
    if not difference <= LOGITS_TOLERANCE:
        raise TrainingError(
            f"The merged model's logits differ by {difference:.2g} (allowed: {LOGITS_TOLERANCE:g}); "
            "nothing was written."
        )
    merged.config.use_cache = True  # off while training
    source = str(adapter) if (adapter / "tokenizer_config.json").is_file() else name
    tokenizer = AutoTokenizer.from_pretrained(source)
    with new_folder(target) as partial:
        merged.to(getattr(torch, dtype)).save_pretrained(str(partial))
        tokenizer.save_pretrained(str(partial))
    return difference


def _logits(model: torch.nn.Module) -> torch.Tensor:
    import torch

    vocabulary = int(model.get_input_embeddings().weight.shape[0])  # type: ignore[operator]
    tokens = torch.randint(vocabulary, (1, _CHECKED_TOKENS), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=tokens, use_cache=False).logits.float()
    return logits


@dataclass(frozen=True)
class Difference:
    """One way in which two checkpoints differ.

    Attributes:
        tensor: the tensor's name.
        reason: what differs.
    """

    tensor: str
    reason: str


def compare(first: Path, second: Path, *, tolerance: float = 0.0) -> list[Difference]:
    """Compare two checkpoints tensor by tensor, one tensor in memory at a time.

    Shards may be cut differently; a tensor that is stored only once because it is tied (output and input embeddings) is
    looked up under its other name.

    Args:
        first: folder with safetensors or PyTorch files, or one such file.
        second: the same.
        tolerance: largest absolute difference that counts as equal.

    Raises:
        TrainingError: a folder without weights, or a damaged file.
    """
    left, right = _tensor_files(first), _tensor_files(second)
    differences = []
    for name in sorted(left.keys() | right.keys()):
        if name not in left or name not in right:
            there, where = (left, second) if name in left else (right, first)
            if not _is_tied_copy(name, there):
                differences.append(Difference(name, f"missing in {where}"))
            continue
        one, other = _read(left[name], name), _read(right[name], name)
        if one.shape != other.shape:
            differences.append(Difference(name, f"shape {tuple(one.shape)} against {tuple(other.shape)}"))
        elif tolerance == 0 and one.dtype != other.dtype:
            differences.append(Difference(name, f"{one.dtype} against {other.dtype}"))
        else:
            distance = float((one.double() - other.double()).abs().max()) if one.numel() else 0.0
            if not distance <= tolerance:
                differences.append(Difference(name, f"largest difference {distance:.3g}"))
    return differences


_TIED = {"lm_head.weight": ("transformer.wte.weight", "model.embed_tokens.weight")}


def _is_tied_copy(name: str, files: dict[str, Path]) -> bool:
    import torch

    for other in _TIED.get(name, ()):
        if other in files:
            return torch.equal(_read(files[name], name), _read(files[other], other))
    return False


def _tensor_files(source: Path) -> dict[str, Path]:
    from safetensors import safe_open

    if source.is_file():
        files = [source]
    else:
        files = sorted(source.glob("*.safetensors")) or sorted(source.glob("*.bin")) or sorted(source.glob("*.pt"))
    if not files:
        raise TrainingError(f"{source} holds no weights: neither *.safetensors nor *.bin.")
    found: dict[str, Path] = {}
    for file in files:
        with downloads(f"the checkpoint {file}"):
            if file.suffix == ".safetensors":
                with safe_open(str(file), framework="pt") as tensors:
                    found.update(dict.fromkeys(tensors.keys(), file))
            else:
                found.update(dict.fromkeys(_load_pickle(file), file))
    return found


def _read(file: Path, name: str) -> torch.Tensor:
    from safetensors import safe_open

    if file.suffix == ".safetensors":
        with safe_open(str(file), framework="pt") as tensors:
            tensor: torch.Tensor = tensors.get_tensor(name)
            return tensor
    return _load_pickle(file)[name]


def _load_pickle(file: Path) -> dict[str, torch.Tensor]:
    import torch

    # weights_only: a checkpoint from elsewhere must not run code; mmap: shards can be larger than memory.
    tensors: dict[str, torch.Tensor] = torch.load(str(file), map_location="cpu", weights_only=True, mmap=True)
    return tensors
