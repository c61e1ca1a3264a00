"""Recipes: a training run as one screen of YAML, checked before anything heavy starts."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml

from octopack_train.errors import TrainingError
from octopack_train.formats import Format, Layout, Role


class Method(str, Enum):
    """How the model is trained."""

    SFT = "sft"
    GRPO = "grpo"


class Loss(str, Enum):
    """Which tokens are learnt."""

    ALL = "all"
    COMPLETION = "completion"


class Packing(str, Enum):
    """How texts become rows of tokens (see `octopack_train.packing`)."""

    CONSTANT_LENGTH = "constant-length"
    WINDOWS = "windows"
    PADDED = "padded"
    ISOLATED = "isolated"


class Quantization(str, Enum):
    """Precision in which a frozen base model is held."""

    NONE = "none"
    INT8 = "8bit"
    NF4 = "4bit"


class Precision(str, Enum):
    """Precision of the arithmetic (autocast)."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


SCHEDULES = (
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
)
"""Learning-rate schedules of transformers that need nothing but the numbers a recipe has."""


class Strategy(str, Enum):
    """How a run is spread over devices; `single` stays in one process."""

    SINGLE = "single"
    DDP = "ddp"
    FSDP = "fsdp"
    ZERO1 = "zero1"
    ZERO3 = "zero3"


class Reporter(str, Enum):
    """Where metrics go besides the console and `metrics.jsonl`."""

    TENSORBOARD = "tensorboard"
    WANDB = "wandb"


@dataclass(frozen=True)
class ModelSection:
    """The base model.

    Attributes:
        name: hub name or local folder.
        revision: branch, tag or commit on the hub.
        dtype: precision of the stored weights: float32, bfloat16 or float16.
        quantization: hold the frozen base in 8 or 4 bits (needs a CUDA GPU, `bitsandbytes` and a `lora` section).
        attention: transformers' attention implementation; null lets it choose.
        trust_remote_code: run Python code that comes with the model.
    """

    name: str
    revision: str | None = None
    dtype: str = "float32"
    quantization: Quantization = Quantization.NONE
    attention: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        _one_of("model.dtype", self.dtype, ("float32", "bfloat16", "float16"))


@dataclass(frozen=True)
class DataSection:
    """The training texts and their layout.

    Attributes:
        path: hub data set, local file or folder (JSON lines, Parquet, CSV), or `synthetic-fixes`.
        name: configuration of a hub data set.
        revision: branch, tag or commit on the hub.
        train_split: split to train on.
        eval_split: split to evaluate on; null: a part of the train split (`eval_fraction`).
        eval_fraction: share (below 1) or number of rows held back when there is no `eval_split`; 0: no evaluation.
        limit: use only so many training rows.
        shuffle: shuffle the training rows with the recipe's seed.
        extra: local JSON file with `input` and `output` that joins the training rows (`--flan_file_path`).
        format: the text layout.
        columns: column names by role, where they differ from the defaults.
        file_name: put the file's base name in front of a commit.
        message_in_target: learn the commit message too.
        loss: learn `all` tokens or the `completion`.
        packing: how texts become rows.
        length: tokens a row.
        buffer_sequences: rows a buffer holds (`constant-length` only).
        drop_last: leave out a last incomplete batch.
        workers: processes for laying out and tokenising.
    """

    path: str
    name: str | None = None
    revision: str | None = None
    train_split: str = "train"
    eval_split: str | None = None
    eval_fraction: float = 0.0
    limit: int | None = None
    shuffle: bool = False
    extra: str | None = None
    format: Format = Format.PROMPT_COMPLETION
    columns: Mapping[Role, str] = field(default_factory=dict)
    file_name: bool = False
    message_in_target: bool = False
    loss: Loss = Loss.ALL
    packing: Packing = Packing.ISOLATED
    length: int = 2048
    buffer_sequences: int = 1000
    drop_last: bool = False
    workers: int = 1

    def __post_init__(self) -> None:
        _at_least("data.length", self.length, 2)
        _at_least("data.buffer_sequences", self.buffer_sequences, 1)
        _at_least("data.workers", self.workers, 1)
        _at_least("data.eval_fraction", self.eval_fraction, 0)
        if self.limit is not None:
            _at_least("data.limit", self.limit, 1)
        if self.packing is Packing.WINDOWS and self.loss is not Loss.ALL:
            raise TrainingError("data.packing=windows learns every token: set data.loss=all, or use packing=isolated.")

    @property
    def layout(self) -> Layout:
        """The text layout of a row."""
        return Layout(self.format, self.columns, self.file_name, self.message_in_target)


@dataclass(frozen=True)
class LoraSection:
    """Low-rank adapters.

    Attributes:
        r: rank.
        alpha: scale; the update is multiplied by alpha / r.
        dropout: dropout in front of the adapters.
        targets: names of the modules that get adapters.
    """

    r: int
    alpha: int
    targets: Sequence[str]
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _at_least("lora.r", self.r, 1)
        if not self.targets:
            raise TrainingError("lora.targets is empty: name the modules that get adapters, such as [c_proj, c_attn].")


@dataclass(frozen=True)
class TrainSection:
    """Optimisation.

    Attributes:
        seed: seed of everything random.
        max_steps: optimiser steps of the schedule; or give `epochs`.
        stop_at: stop after so many steps of that schedule (OctoCoder: step 35 of a 1000-step cosine).
        epochs: passes over the data, when `max_steps` is null.
        batch_size: rows a device and forward pass.
        gradient_accumulation: forward passes an optimiser step.
        learning_rate: peak learning rate.
        schedule: transformers' name of the learning-rate schedule.
        warmup_steps: linear warm-up; below 1 it is a share of the steps.
        weight_decay: AdamW's weight decay.
        beta1: AdamW's first decay rate.
        beta2: AdamW's second decay rate.
        epsilon: AdamW's epsilon.
        max_grad_norm: gradient clipping.
        precision: arithmetic (autocast).
        gradient_checkpointing: recompute activations in the backward pass: less memory, a third more arithmetic.
        liger: use Liger kernels where they are installed and there is a GPU.
        log_every: steps between log lines.
        eval_every: steps between evaluations; null: at the end only.
        save_every: steps between checkpoints.
        keep_checkpoints: how many of the latest checkpoints stay on disk; null keeps all.
        report_to: further places for the metrics.
    """

    max_steps: int | None = None
    stop_at: int | None = None
    epochs: float = 1.0
    seed: int = 0
    batch_size: int = 1
    gradient_accumulation: int = 1
    learning_rate: float = 2e-5
    schedule: str = "cosine"
    warmup_steps: float = 0.0
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    precision: Precision = Precision.FP32
    gradient_checkpointing: bool = False
    liger: bool = False
    log_every: int = 1
    eval_every: int | None = None
    save_every: int = 100
    keep_checkpoints: int | None = 2
    report_to: Sequence[Reporter] = ()

    def __post_init__(self) -> None:
        _one_of("train.schedule", self.schedule, SCHEDULES)
        for name in ("batch_size", "gradient_accumulation", "log_every", "save_every"):
            _at_least(f"train.{name}", getattr(self, name), 1)
        for name in ("max_steps", "stop_at", "eval_every", "keep_checkpoints"):
            if getattr(self, name) is not None:
                _at_least(f"train.{name}", getattr(self, name), 1)
        for name in ("learning_rate", "warmup_steps", "weight_decay", "epochs"):
            _at_least(f"train.{name}", getattr(self, name), 0)
        if self.stop_at is not None and self.max_steps is not None and self.stop_at > self.max_steps:
            raise TrainingError(f"train.stop_at={self.stop_at} lies behind train.max_steps={self.max_steps}.")


@dataclass(frozen=True)
class GrpoSection:
    """Group relative policy optimisation on fix-the-bug problems.

    Attributes:
        languages: languages of the problems.
        generations: completions a prompt (the group).
        prompt_length: longest prompt, in tokens; longer problems are left out.
        completion_length: longest completion, in tokens.
        temperature: sampling temperature.
        beta: weight of the KL term; 0 needs no reference model.
        iterations: optimisation passes over each batch of completions.
        sandbox: backend of `sandboxes` that runs the programs; null lets it choose.
        vllm: generate with vLLM where it is installed.
    """

    languages: Sequence[str] = ("python",)
    generations: int = 8
    prompt_length: int = 1024
    completion_length: int = 512
    temperature: float = 1.0
    beta: float = 0.0
    iterations: int = 1
    sandbox: str | None = None
    vllm: bool = False

    def __post_init__(self) -> None:
        _at_least("grpo.generations", self.generations, 2)
        _at_least("grpo.completion_length", self.completion_length, 1)


@dataclass(frozen=True)
class LaunchSection:
    """Devices.

    Attributes:
        strategy: how the run is spread.
        processes: processes in all (one a GPU).
        machines: machines.
        cpu: stay on the CPU even where there is a GPU.
    """

    strategy: Strategy = Strategy.SINGLE
    processes: int = 1
    machines: int = 1
    cpu: bool = False

    def __post_init__(self) -> None:
        _at_least("launch.processes", self.processes, 1)
        _at_least("launch.machines", self.machines, 1)
        if self.strategy is Strategy.SINGLE and self.processes > 1:
            raise TrainingError(f"launch.processes={self.processes} needs launch.strategy=ddp, fsdp, zero1 or zero3.")
        if self.processes % self.machines:
            raise TrainingError(
                f"launch.processes={self.processes} is the number of processes in all and must be a multiple of "
                f"launch.machines={self.machines}."
            )


@dataclass(frozen=True)
class Recipe:
    """A whole training run."""

    name: str
    model: ModelSection
    data: DataSection
    output: str
    method: Method = Method.SFT
    train: TrainSection = field(default_factory=TrainSection)
    lora: LoraSection | None = None
    grpo: GrpoSection | None = None
    launch: LaunchSection = field(default_factory=LaunchSection)

    def __post_init__(self) -> None:
        if self.method is Method.GRPO and self.grpo is None:
            raise TrainingError("method: grpo needs a grpo section.")
        if self.model.quantization is not Quantization.NONE and self.lora is None:
            raise TrainingError(
                f"model.quantization={self.model.quantization.value} holds a frozen base model: add a lora section, "
                "or set model.quantization=none."
            )
        if self.method is Method.SFT and self.data.packing is Packing.CONSTANT_LENGTH and self.train.max_steps is None:
            raise TrainingError("data.packing=constant-length is an endless stream: set train.max_steps.")

    @property
    def steps(self) -> int | None:
        """Optimiser steps that are run; None: as many as `train.epochs` need."""
        return self.train.stop_at or self.train.max_steps

    @property
    def rows_per_step(self) -> int:
        """Rows in one optimiser step over all devices."""
        return self.train.batch_size * self.train.gradient_accumulation * self.launch.processes

    def to_yaml(self) -> str:
        """Return the recipe as YAML that `load_recipe` reads back, defaults included."""
        return yaml.safe_dump(_plain(self), sort_keys=False, allow_unicode=True)


def builtin_recipes() -> list[str]:
    """Return the names of the recipes in this package."""
    folder = resources.files("octopack_train") / "recipes"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_recipe(source: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by name or path and apply `key=value` overrides.

    A key is dotted (`train.learning_rate`) or, where only one section has it, bare (`learning_rate`). A recipe can name
    another one in `extends` and then holds only the differences.

    Raises:
        TrainingError: no such recipe, unknown keys, values of the wrong type.
    """
    return build_recipe(_read(source), overrides)


def build_recipe(content: Mapping[str, Any], overrides: Sequence[str] = ()) -> Recipe:
    """Check a recipe's content, apply `key=value` overrides, and return the recipe."""
    merged = _merge({}, content)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise TrainingError(f"Expected key=value, got {override!r}; for example train.learning_rate=1e-4.")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        *sections, leaf = _full_key(key)
        target = merged
        for section in sections:
            if not isinstance(target.get(section), dict):
                target[section] = {}
            target = target[section]
        target[leaf] = value
    recipe = _build(Recipe, merged, "")
    assert isinstance(recipe, Recipe)
    return recipe


def did_you_mean(word: str, known: Sequence[str], prefix: str = "") -> str:
    """Return a suggestion for a mistyped word, or nothing."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" Did you mean {prefix}{near[0]}?" if near else ""


def _read(source: str, folder: Path = Path(), children: tuple[str, ...] = ()) -> dict[str, Any]:
    path = folder / source
    builtin = resources.files("octopack_train") / "recipes" / f"{source.removesuffix('.yaml')}.yaml"
    if path.is_file():
        text, where = path.read_text(encoding="utf-8"), str(path)
    elif "/" not in source and builtin.is_file():
        text, where = builtin.read_text(encoding="utf-8"), source
    else:
        names = builtin_recipes()
        raise TrainingError(
            f"No recipe {source!r}: neither a file nor one of {', '.join(names)}."
            + did_you_mean(source.removesuffix(".yaml"), names)
        )
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TrainingError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise TrainingError(f"{where} is not a recipe: expected keys such as model, data and train.")
    parent = content.pop("extends", None)
    if parent is None:
        return content
    if parent in children:
        raise TrainingError(f"Recipes extend each other in a circle: {' -> '.join((*children, parent))}.")
    return _merge(_read(str(parent), path.parent, (*children, str(parent))), content)


def _merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = _merge(old if isinstance(old, dict) else {}, value) if isinstance(value, dict) else value
    return merged


def _sections() -> dict[str, dict[str, Any]]:
    """Return the fields of every section, by the section's name."""
    found = {}
    for name, hint in typing.get_type_hints(Recipe).items():
        section = _without_none(hint)
        if dataclasses.is_dataclass(section):
            found[name] = typing.get_type_hints(section)
    return found


def _full_key(key: str) -> list[str]:
    parts = key.split(".")
    sections = _sections()
    if len(parts) > 1 or key in typing.get_type_hints(Recipe):
        return parts
    owners = [section for section, fields in sections.items() if key in fields]
    if len(owners) == 1:
        return [owners[0], key]
    if owners:
        choices = ", ".join(f"{owner}.{key}" for owner in owners)
        raise TrainingError(f"Key {key!r} is in several sections: write one of {choices}.")
    known = [*typing.get_type_hints(Recipe), *(name for fields in sections.values() for name in fields)]
    raise TrainingError(f"Unknown key {key!r}.{did_you_mean(key, known)}")


_Section = TypeVar("_Section")


def _build(cls: type[_Section], content: Mapping[str, Any], prefix: str) -> _Section:
    hints = typing.get_type_hints(cls)
    for key in content:
        if key not in hints:
            elsewhere = [f"{name}.{key}" for name, fields in _sections().items() if key in fields]
            near = did_you_mean(str(key), [*hints, *elsewhere], prefix)
            raise TrainingError(
                f"Unknown key {prefix}{key}." + (f" Did you mean {elsewhere[0]}?" if elsewhere else near)
            )
    missing = [
        f.name
        for f in dataclasses.fields(cls)  # type: ignore[arg-type]
        if f.name not in content and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise TrainingError(f"The recipe lacks {', '.join(prefix + name for name in missing)}.")
    return cls(**{key: _convert(hints[key], value, prefix + key) for key, value in content.items()})


def _convert(hint: Any, value: Any, key: str) -> Any:
    inner = _without_none(hint)
    if value is None:
        if inner is hint:
            raise TrainingError(f"{key} needs a value.")
        return None
    if dataclasses.is_dataclass(inner) and isinstance(inner, type):
        if not isinstance(value, Mapping):
            raise TrainingError(f"{key} is a section with keys of its own, not {value!r}.")
        return _build(inner, value, f"{key}.")
    origin = typing.get_origin(inner)
    arguments = typing.get_args(inner)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise TrainingError(f"{key} is a mapping, not {value!r}.")
        return {_convert(arguments[0], k, key): _convert(arguments[1], v, f"{key}.{k}") for k, v in value.items()}
    if origin is not None and issubclass(origin, Sequence):
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise TrainingError(f"{key} is a list, not {value!r}; write [a, b].")
        return tuple(_convert(arguments[0], item, key) for item in value)
    return _scalar(inner, value, key)


def _scalar(kind: Any, value: Any, key: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        choices = [member.value for member in kind]
        if value not in choices:
            # YAML reads an unquoted `none` as text but `8bit` and others as they are; anything else is a mistake.
            raise TrainingError(
                f"{key}: {value!r} is not one of {', '.join(choices)}.{did_you_mean(str(value), choices)}"
            )
        return kind(value)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is float and not isinstance(value, bool):
        try:  # YAML 1.1 reads 5e-4 as text
            return float(value)
        except (TypeError, ValueError):
            pass
    if kind is str and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        text = str(value)
        # No shell replaces the ~ of `output=~/runs`, or one in a file.
        return str(Path(text).expanduser()) if text.startswith("~/") else text
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    raise TrainingError(f"{key}: expected {names[kind]}, got {value!r}.")


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (hint,) = (argument for argument in typing.get_args(hint) if argument is not type(None))
    return hint


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _at_least(key: str, value: float, least: float) -> None:
    if not value >= least:  # also catches not-a-number
        raise TrainingError(f"{key}={value} is too small: at least {least}.")


def _one_of(key: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise TrainingError(f"{key}: {value!r} is not one of {', '.join(choices)}.{did_you_mean(value, choices)}")
