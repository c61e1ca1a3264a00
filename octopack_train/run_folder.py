"""The folder of a training run: recipe, data manifest, versions, checkpoints, final weights, metrics and loss curve."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from octopack_train.errors import TrainingError
from octopack_train.faults import writing
from octopack_train.recipe import Recipe, build_recipe

_PACKAGES = (
    "octopack", "torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "safetensors",
    "bitsandbytes", "deepspeed", "liger-kernel", "vllm",
)  # fmt: skip
_FREE_TO_CHANGE = frozenset({"output", "launch", "train.keep_checkpoints"})
"""What a resumed run may change of its recipe: where it runs and what it keeps, not what it computes."""


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run.

    Attributes:
        path: the folder (`output` of the recipe).
    """

    path: Path

    @property
    def recipe_file(self) -> Path:
        """The recipe as run."""
        return self.path / "recipe.yaml"

    @property
    def manifest_file(self) -> Path:
        """What the run was trained on."""
        return self.path / "data.json"

    @property
    def versions_file(self) -> Path:
        """Versions of the packages that matter, Python, and the devices."""
        return self.path / "versions.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of the trainer's checkpoints."""
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        """Final adapter and tokenizer, of a run with a `lora` section."""
        return self.path / "adapter"

    @property
    def model(self) -> Path:
        """Final weights and tokenizer, of a run without adapters."""
        return self.path / "model"

    @property
    def merged(self) -> Path:
        """The adapter merged into its base."""
        return self.path / "merged"

    @property
    def metrics_file(self) -> Path:
        """One JSON object a log line."""
        return self.path / "metrics.jsonl"

    @property
    def plot_file(self) -> Path:
        """The loss curve."""
        return self.path / "loss.png"

    @property
    def card_file(self) -> Path:
        """The model card."""
        return self.path / "README.md"

    @property
    def evaluations(self) -> Path:
        """Runs of `octopack evaluate` on the final weights, by task."""
        return self.path / "eval"

    @property
    def scores_file(self) -> Path:
        """Scores that stand in the model card."""
        return self.path / "scores.json"

    @property
    def final(self) -> Path:
        """Adapter or model, whichever the finished run has.

        Raises:
            TrainingError: the run has neither: it did not finish.
        """
        for folder in (self.adapter, self.model):
            if folder.is_dir():
                return folder
        raise TrainingError(f"{self.path} holds no finished training run: there is neither adapter/ nor model/ in it.")

    def recipe(self) -> Recipe:
        """Return the recipe as run.

        Raises:
            TrainingError: the folder is not one of a training run.
        """
        import yaml

        if not self.recipe_file.is_file():
            raise TrainingError(f"{self.path} is not the folder of a training run: it has no recipe.yaml.")
        return build_recipe(yaml.safe_load(self.recipe_file.read_text(encoding="utf-8")))

    def check(self, recipe: Recipe, *, fresh: bool) -> None:
        """Check that the recipe may run in this folder.

        Raises:
            TrainingError: the folder belongs to another recipe, is not empty and not one of a run, or cannot be
                written.
        """
        if taken := next((path for path in (self.path, *self.path.parents) if path.is_file()), None):
            raise TrainingError(f"output={self.path}: {taken} is a file: choose another output.")
        above = next(path for path in (self.path, *self.path.absolute().parents) if path.exists())
        if not os.access(above, os.W_OK):
            raise TrainingError(
                f"output={self.path}: there is no permission to write in {above}: choose another output."
            )
        if self.recipe_file.exists() and not fresh:
            changed = _differences(self.recipe(), recipe)
            if changed:
                raise TrainingError(
                    f"{self.path} belongs to a run with other settings ({', '.join(changed)}): "
                    "choose another output=..., or start over with --fresh."
                )
        elif self.path.is_dir() and any(self.path.iterdir()) and not self.recipe_file.exists():
            raise TrainingError(f"{self.path} is not empty and not a training run: choose another output=...")

    @contextmanager
    def begin(self, recipe: Recipe, manifest: str, *, fresh: bool) -> Iterator[None]:
        """Write recipe, data manifest and versions; until the end of the context no other process can do so.

        Args:
            recipe: the recipe, which `check` has accepted.
            manifest: the data manifest as JSON.
            fresh: delete an earlier run first.

        Raises:
            TrainingError: another process trains in the folder, or the data is not what its checkpoints have learnt.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with _locked(self.path):
            if fresh and self.recipe_file.exists():
                _remove_run(self)
            elif self.last_checkpoint() is not None:
                self._check_data(json.loads(manifest)["files"])
            write_text(self.recipe_file, recipe.to_yaml())
            write_text(self.manifest_file, manifest)
            write_text(self.versions_file, json.dumps(versions(), indent=2) + "\n")
            yield

    def _check_data(self, files: Mapping[str, str]) -> None:
        if not self.manifest_file.is_file():
            return
        before = json.loads(self.manifest_file.read_text(encoding="utf-8"))["files"]
        changed = [name for name in sorted(before.keys() | files) if before.get(name) != files.get(name)]
        if changed:
            raise TrainingError(
                f"{', '.join(changed[:5])} changed since the checkpoints in {self.path} were written: put the old data "
                "back, choose another output=..., or start over with --fresh."
            )

    def is_finished(self) -> bool:
        """Tell whether the final weights are there."""
        return self.adapter.is_dir() or self.model.is_dir()

    def last_checkpoint(self, stop_at: int | None = None) -> Path | None:
        """Return the latest checkpoint to resume from: one that was written to its end, with steps left to do.

        The trainer writes `trainer_state.json` last, so a checkpoint without a readable one was cut short by a kill.
        From a checkpoint at its last step the trainer would do one step too many: a run that was killed while its final
        weights were written repeats its last steps instead.

        Args:
            stop_at: step at which the run ends, if that is before the end of its schedule.
        """
        if not self.checkpoints.is_dir():
            return None
        found = sorted(self.checkpoints.glob("checkpoint-*"), key=lambda folder: int(folder.name.rpartition("-")[2]))
        for folder in reversed(found):
            try:
                state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if state["global_step"] < (stop_at or state["max_steps"]):
                return folder
        return None

    def write_metrics(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write `metrics.jsonl` and, where matplotlib is installed, the loss curve."""
        write_text(self.metrics_file, "".join(json.dumps(dict(entry)) + "\n" for entry in history))
        if find_spec("matplotlib") is not None:
            plot_loss(history, self.plot_file)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; a process that ends, however it ends, lets go of it.

    Raises:
        TrainingError: another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the second is what CIFS says
        os.close(descriptor)
        raise TrainingError(f"Another process trains in {folder}: wait for it, or choose another output=...") from None
    except OSError:
        pass  # some network file systems have no locks
    try:
        yield
    finally:
        os.close(descriptor)


def plot_loss(history: Sequence[Mapping[str, Any]], target: Path) -> None:
    """Draw training and evaluation loss over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for key, label in (("loss", "training"), ("eval_loss", "evaluation")):
        points = [(entry["step"], entry[key]) for entry in history if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, marker="o" if key == "eval_loss" else None)
    axes.set(xlabel="step", ylabel="loss per token (nats)")
    axes.legend()
    axes.grid(alpha=0.3)
    partial = target.with_suffix(".partial.png")
    figure.savefig(partial, dpi=120)
    partial.replace(target)


def versions() -> dict[str, Any]:
    """Return what a reader needs to repeat the run: package versions, Python and devices."""
    import torch

    found: dict[str, Any] = {"python": platform.python_version(), "machine": platform.machine()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    found["devices"] = [torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())] or ["cpu"]
    return found


def write_text(target: Path, text: str) -> None:
    """Write a file so that a kill leaves the old one or the new one, never half of it."""
    partial = target.with_name(f"{target.name}.partial")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(target)


def check_new(target: Path) -> None:
    """Check that a folder is not there yet.

    Raises:
        TrainingError: it is.
    """
    if target.exists():
        raise TrainingError(f"{target} exists: choose another folder, or delete it first.")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a folder to write into, which becomes `target` when it is complete; after an error nothing is left of it.

    Raises:
        TrainingError: the target exists, or cannot be written.
    """
    check_new(target)
    partial = target.with_name(f"{target.name}.partial")
    try:
        with writing(target):
            shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
            partial.mkdir(parents=True)
            yield partial
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _differences(old: Recipe, new: Recipe) -> list[str]:
    import yaml

    before, after = yaml.safe_load(old.to_yaml()), yaml.safe_load(new.to_yaml())
    changed = []
    for section in before:
        if section in _FREE_TO_CHANGE or before[section] == after[section]:
            continue
        if isinstance(before[section], dict) and isinstance(after[section], dict):
            keys = [key for key in before[section] if before[section][key] != after[section][key]]
            changed += [name for key in keys if (name := f"{section}.{key}") not in _FREE_TO_CHANGE]
        else:
            changed.append(section)
    return changed


def _remove_run(run: RunFolder) -> None:
    """Delete what an earlier run wrote, and nothing else."""
    unfinished = run.path.glob("*.partial")
    for folder in (run.checkpoints, run.adapter, run.model, run.merged, run.evaluations, *unfinished):
        shutil.rmtree(folder, ignore_errors=True)
    files = (run.recipe_file, run.manifest_file, run.versions_file, run.metrics_file, run.plot_file, run.scores_file)
    for file in (*files, run.card_file):
        file.unlink(missing_ok=True)
