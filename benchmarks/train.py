"""Training speed: the fast recipe against a plain Trainer loop with the reference's constant-length data set.

Same model, adapters, texts, row length, batch and optimiser; variants take turns in one process, and each reports the
median over its steps. Tokens are those that pass through the model (rows are full or nearly so, padding is not
counted). On a CPU the clock is CPU time, which other work on the machine hardly changes; on a GPU it is wall time.

- `reference`: transformers' Trainer on constant-length rows, bfloat16 autocast and gradient checkpointing, which the
  reference's script always has on; loss on every token, over the whole vocabulary at once.
- `plain fp32`, `plain bf16`: the same loop without checkpointing, without and with autocast.
- `fast`: what the `*-fast` recipes do: bfloat16 base weights, isolated packing, loss on the completion, the loss in
  chunks.

Usage: python benchmarks/train.py --model .cache/smollm2 [--length N] [--batch N] [--steps N] [--rounds N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

TARGETS = "[q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]"
GOAL = 1.5


@dataclass
class Variant:
    """One way to train, and the speed of its steps in tokens a second."""

    name: str
    trainer: Any
    speeds: list[float] = field(default_factory=list)


def recipe(arguments: argparse.Namespace, *overrides: str) -> Any:
    """The `tiny` recipe with the benchmark's sizes."""
    from octopack_train.recipe import load_recipe

    return load_recipe(
        "tiny",
        [
            f"model.name={arguments.model}",
            f"data.length={arguments.length}",
            "data.limit=1000",
            f"train.batch_size={arguments.batch}",
            "train.gradient_accumulation=1",
            f"train.max_steps={arguments.steps}",
            f"lora.targets={TARGETS}",
            "train.save_every=1000000",
            f"launch.cpu={str(arguments.cpu).lower()}",
            *overrides,
        ],
    )


def fast(arguments: argparse.Namespace, folder: Path) -> Any:
    """Our trainer."""
    from octopack_train.data import tokenize
    from octopack_train.model import load_tokenizer
    from octopack_train.run_folder import RunFolder
    from octopack_train.sft import build_trainer

    chosen = recipe(arguments)
    tokenizer = load_tokenizer(chosen.model)
    return build_trainer(chosen, tokenize(chosen, tokenizer), tokenizer, RunFolder(folder), lambda _: None)


def plain(arguments: argparse.Namespace, folder: Path, *, autocast: bool, checkpointing: bool) -> Any:
    """A plain Trainer on the reference's rows."""
    from datasets import Dataset
    from peft import get_peft_model
    from transformers import PrinterCallback, Trainer, TrainingArguments

    from octopack_train.data import load_examples
    from octopack_train.formats import Example
    from octopack_train.model import load_model, load_tokenizer, lora_config
    from octopack_train.packing import constant_length
    from octopack_train.run_folder import RunFolder
    from octopack_train.sft import trainer_options

    chosen = recipe(
        arguments,
        "model.dtype=float32",
        f"train.precision={'bf16' if autocast else 'fp32'}",
        f"train.gradient_checkpointing={str(checkpointing).lower()}",
    )
    tokenizer = load_tokenizer(chosen.model)
    rows, _ = load_examples(chosen.data, chosen.train.seed)
    examples = [Example(row["prompt"], row["completion"]) for row in rows]
    blocks = constant_length(
        lambda: examples, tokenizer, length=arguments.length, buffer_characters=1e6, seed=0, endless=True
    )
    needed = arguments.steps * arguments.batch
    data = Dataset.from_list([vars(block) for block in islice(blocks, needed)])
    base = load_model(chosen)
    model: Any = get_peft_model(base, lora_config(chosen.lora, base))
    if checkpointing:
        model.enable_input_require_grads()
    trainer = Trainer(
        model=model,
        args=TrainingArguments(**trainer_options(chosen, RunFolder(folder), evaluate=False)),
        train_dataset=data,
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def measured(variant: Variant, clock: Callable[[], float]) -> None:
    """Train a few steps and note the speed of each but the first."""
    from transformers import TrainerCallback

    inner = variant.trainer.training_step
    seen = {"tokens": 0}

    def training_step(model: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        seen["tokens"] += inputs["input_ids"].numel()
        return inner(model, inputs, *rest, **options)

    class Clock(TrainerCallback):
        """Takes the time of a step, optimiser included."""

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seen["tokens"] = 0
            self.start = clock()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step > 1:
                variant.speeds.append(seen["tokens"] / (clock() - self.start))

    callback = Clock()
    variant.trainer.training_step = training_step
    variant.trainer.add_callback(callback)
    variant.trainer.train()
    variant.trainer.remove_callback(callback)
    variant.trainer.training_step = inner


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=".cache/smollm2", help="folder of a model")
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=4, help="steps a round; the first is not counted")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu", action="store_true", help="stay on the CPU")
    arguments = parser.parse_args()

    import datasets
    import torch

    datasets.disable_progress_bars()
    arguments.cpu = arguments.cpu or not torch.cuda.is_available()

    def gpu_clock() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    clock = time.process_time if arguments.cpu else gpu_clock
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        variants = [
            Variant("reference", plain(arguments, folder / "a", autocast=True, checkpointing=True)),
            Variant("plain fp32", plain(arguments, folder / "b", autocast=False, checkpointing=False)),
            Variant("plain bf16", plain(arguments, folder / "c", autocast=True, checkpointing=False)),
            Variant("fast", fast(arguments, folder / "d")),
        ]
        for _ in range(arguments.rounds):
            for variant in variants:
                measured(variant, clock)
    ours = statistics.median(variants[-1].speeds)
    unit = "tokens a CPU second" if arguments.cpu else "tokens/s"
    print(
        f"{arguments.model}, rows of {arguments.length} tokens, batch {arguments.batch}, LoRA r=16 on all linear layers"
    )
    print(f"{'':12}{unit:>20}{'fast is':>12}")
    for variant in variants:
        speed = statistics.median(variant.speeds)
        ratio = f"{ours / speed:.2f}x" if variant.name != "fast" else ""
        print(f"{variant.name:12}{speed:20.0f}{ratio:>12}")
    reached = ours / statistics.median(variants[0].speeds)
    print(f"goal {GOAL}x against the reference's loop: {'reached' if reached >= GOAL else 'missed'}")


if __name__ == "__main__":
    main()
