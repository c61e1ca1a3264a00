"""Supervised fine-tuning: a recipe through TRL's SFTTrainer, into a run folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octopack_train import faults
from octopack_train.cpu import cpu_trainer
from octopack_train.data import Manifest, TokenData, tokenize
from octopack_train.errors import TrainingError
from octopack_train.model import (
    check_device,
    check_length,
    load_config,
    load_model,
    load_tokenizer,
    lora_config,
    runs_on_cpu,
)
from octopack_train.recipe import Packing, Precision, Recipe, Reporter
from octopack_train.run_folder import RunFolder

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback
    from trl.trainer.sft_trainer import SFTTrainer

Report = Callable[[str], None]
"""Receives one line of progress at a time."""


def train(recipe: Recipe, *, fresh: bool = False, report: Report = print) -> RunFolder:
    """Train as the recipe says, from the last whole checkpoint if the folder has one; a finished run is left as it is.

    Args:
        recipe: the run.
        fresh: delete an earlier run in the same folder first.
        report: receives progress lines.

    Returns:
        The run's folder with the final adapter or model.

    Raises:
        TrainingError: recipe, data or machine must change; nothing half-written stands as final.
    """
    from accelerate import PartialState  # type: ignore[import-untyped]

    check_device(recipe)
    check_length(recipe, load_config(recipe.model))
    run = RunFolder(Path(recipe.output))
    run.check(recipe, fresh=fresh)
    if run.is_finished() and not fresh:
        report(f"{run.path} is finished already; --fresh trains again.")
        return run
    state = PartialState(cpu=recipe.launch.cpu)
    with state.main_process_first():  # the others find the tokens cached
        tokenizer = load_tokenizer(recipe.model)
        data = tokenize(recipe, tokenizer)
    with faults.memory(recipe):
        trainer = build_trainer(recipe, data, tokenizer, run, report)
        if state.is_main_process:
            report(_describe(data.manifest))
        with begun(run, recipe, data.manifest, fresh=fresh, report=report) as checkpoint:
            trainer.train(resume_from_checkpoint=checkpoint)
            finish(trainer, tokenizer, recipe, run)
    return run


@contextmanager
def begun(run: RunFolder, recipe: Recipe, manifest: Manifest, *, fresh: bool, report: Report) -> Iterator[str | None]:
    """Begin a run in its folder, once for all of its processes, and give the checkpoint to resume from."""
    from accelerate import PartialState

    state = PartialState(cpu=recipe.launch.cpu)
    with ExitStack() as held:
        with state.main_process_first():
            if state.is_main_process:
                held.enter_context(run.begin(recipe, manifest.to_json(), fresh=fresh))
            checkpoint = run.last_checkpoint(recipe.train.stop_at)
        if checkpoint is not None and state.is_main_process:
            report(f"Resuming from {checkpoint.name}.")
        yield None if checkpoint is None else str(checkpoint)


def build_trainer(recipe: Recipe, data: TokenData, tokenizer: Any, run: RunFolder, report: Report) -> SFTTrainer:
    """Return the trainer, ready to run."""
    from transformers import PrinterCallback
    from trl.trainer.sft_trainer import SFTTrainer

    model = load_model(recipe)
    trainer_class = cpu_trainer() if runs_on_cpu(recipe) else SFTTrainer
    adapters = None if recipe.lora is None else lora_config(recipe.lora, model)
    trainer: SFTTrainer = trainer_class(
        model=model,
        args=sft_config(recipe, run, evaluate=data.evaluation is not None),
        train_dataset=data.train,
        eval_dataset=data.evaluation,
        data_collator=data.collator,
        processing_class=tokenizer,
        peft_config=adapters,
        callbacks=callbacks(recipe, report),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def sft_config(recipe: Recipe, run: RunFolder, *, evaluate: bool) -> Any:
    """Return TRL's configuration."""
    from trl.trainer.sft_config import SFTConfig

    isolated = recipe.data.packing is Packing.ISOLATED
    return on_one_device(
        SFTConfig(
            **trainer_options(recipe, run, evaluate=evaluate),
            # Rows of the other layouts already have their length.
            max_length=recipe.data.length if isolated else None,
            packing=isolated,
            packing_strategy="bfd",
            dataset_num_proc=recipe.data.workers if recipe.data.workers > 1 else None,
        )
    )


def on_one_device(options: Any) -> Any:
    """Keep a process to one GPU: transformers would spread one process over all it sees, and the batch with it."""
    if options.n_gpu > 1:
        options._n_gpu = 1
    return options


def trainer_options(recipe: Recipe, run: RunFolder, *, evaluate: bool) -> dict[str, Any]:
    """Return the options which every trainer of transformers understands, by today's names."""
    train = recipe.train
    on_gpu = not runs_on_cpu(recipe)
    return {
        "output_dir": str(run.checkpoints),
        "max_steps": train.max_steps or -1,
        "num_train_epochs": train.epochs,
        "per_device_train_batch_size": train.batch_size,
        "per_device_eval_batch_size": train.batch_size,
        "gradient_accumulation_steps": train.gradient_accumulation,
        "learning_rate": train.learning_rate,
        "lr_scheduler_type": train.schedule,
        "warmup_steps": train.warmup_steps if 0 < train.warmup_steps < 1 else int(train.warmup_steps),
        "weight_decay": train.weight_decay,
        "adam_beta1": train.beta1,
        "adam_beta2": train.beta2,
        "adam_epsilon": train.epsilon,
        "max_grad_norm": train.max_grad_norm,
        "bf16": train.precision is Precision.BF16,
        "fp16": train.precision is Precision.FP16,
        "gradient_checkpointing": train.gradient_checkpointing,
        "use_liger_kernel": train.liger and on_gpu and find_spec("liger_kernel") is not None,
        "seed": train.seed,
        "dataloader_drop_last": recipe.data.drop_last,
        "dataloader_pin_memory": on_gpu,
        "logging_steps": train.log_every,
        "logging_first_step": True,
        "eval_strategy": "steps" if evaluate and train.eval_every else "no",
        "eval_steps": train.eval_every,
        "save_strategy": "steps",
        "save_steps": train.save_every,
        "save_total_limit": train.keep_checkpoints,
        "report_to": _reporters(recipe),
        "run_name": recipe.name,
        "use_cpu": recipe.launch.cpu,
        "disable_tqdm": True,
        "ddp_find_unused_parameters": False,
    }


def finish(trainer: Trainer, tokenizer: Any, recipe: Recipe, run: RunFolder) -> None:
    """Evaluate once more, save the final weights beside the checkpoints, and write metrics and plot."""
    if trainer.eval_dataset is not None:
        trainer.evaluate()
    target = run.model if recipe.lora is None else run.adapter
    partial = target.with_name(f"{target.name}.partial")
    if trainer.is_world_process_zero():
        shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed here
    trainer.save_model(str(partial))
    if trainer.is_world_process_zero():
        tokenizer.save_pretrained(str(partial))
        for leftover in ("training_args.bin", "README.md"):  # a pickle, and a card that knows less than ours
            (partial / leftover).unlink(missing_ok=True)
        run.write_metrics(trainer.state.log_history)
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)  # last: where the weights are, everything is


def callbacks(recipe: Recipe, report: Report) -> list[TrainerCallback]:
    """Return the callbacks of every run: one progress line a log entry, and the early stop of `train.stop_at`."""
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

    class Progress(TrainerCallback):
        """Reports step, loss and learning rate."""

        def on_log(
            self,
            args: TrainingArguments,
            state: TrainerState,
            control: TrainerControl,
            logs: dict[str, Any] | None = None,
            **kwargs: Any,
        ) -> None:
            if state.is_world_process_zero and logs:
                steps = recipe.steps or state.max_steps
                shown = [f"{label} {float(logs[key]):{form}}" for key, label, form in _SHOWN if key in logs]
                if shown:
                    report(f"step {state.global_step}/{steps}  {'  '.join(shown)}")

    class StopAt(TrainerCallback):
        """Ends the run inside its schedule, with a checkpoint."""

        def on_step_end(
            self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
        ) -> None:
            if recipe.train.stop_at is not None and state.global_step >= recipe.train.stop_at:
                control.should_training_stop = True
                control.should_save = True

    return [Progress(), StopAt()]


_SHOWN = (
    ("loss", "loss", ".4f"),
    ("eval_loss", "evaluation loss", ".4f"),
    ("reward", "reward", ".3f"),
    ("learning_rate", "learning rate", ".2e"),
    ("mean_token_accuracy", "token accuracy", ".3f"),
)


def _reporters(recipe: Recipe) -> list[str]:
    wanted = []
    for reporter in recipe.train.report_to:
        if find_spec(reporter.value) is None:
            extra = "tensorboard" if reporter is Reporter.TENSORBOARD else "wandb"
            raise TrainingError(
                f"train.report_to={reporter.value} needs its package: pip install {extra}, or train.report_to=[]."
            )
        wanted.append(reporter.value)
    return wanted


def _describe(manifest: Manifest) -> str:
    text = f"{manifest.train_rows} texts from {manifest.source}"
    if manifest.tokens is None:
        return f"{text}, as an endless stream of rows of constant length."
    text += f": {manifest.tokens:,} tokens, {manifest.learnt_tokens:,} of them with loss"
    if manifest.truncated:
        text += f"; {manifest.truncated} longer than data.length lose their end"
    if manifest.left_out:
        text += f"; {manifest.left_out} with no room for a completion are left out"
    return f"{text}."
