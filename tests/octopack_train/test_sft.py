import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from octopack_train.errors import TrainingError
from octopack_train.recipe import Recipe, load_recipe
from octopack_train.run_folder import RunFolder
from octopack_train.sft import callbacks, on_one_device, train, trainer_options

torch = pytest.importorskip("torch")
pytest.importorskip("trl")


def silent(_: str) -> None:
    pass


def losses(run: RunFolder) -> list[float]:
    entries = map(json.loads, run.metrics_file.read_text().splitlines())
    return [entry["loss"] for entry in entries if "loss" in entry]


def test_a_run_learns_and_leaves_everything_behind(make_recipe: Callable[..., Recipe]):
    lines: list[str] = []
    recipe = make_recipe(
        "train.max_steps=30", "train.learning_rate=1e-2", "train.save_every=15", "data.eval_fraction=8"
    )
    run = train(recipe, report=lines.append)
    found = losses(run)
    assert found[-1] < found[0] - 1
    assert any("step 30/30" in line for line in lines)
    assert run.recipe() == recipe
    assert json.loads(run.manifest_file.read_text())["train_rows"] == 32
    assert json.loads(run.versions_file.read_text())["torch"] == torch.__version__
    assert (run.final / "model.safetensors").is_file()
    assert (run.final / "tokenizer.json").is_file()
    assert not list(run.final.glob("*.bin"))  # no pickles among what is handed on
    if run.plot_file.is_file():
        assert run.plot_file.read_bytes().startswith(b"\x89PNG")
    assert "eval_loss" in run.metrics_file.read_text()


@pytest.mark.parametrize("packing", ["constant-length", "windows", "padded", "isolated"])
def test_every_packing_trains_adapters(make_recipe: Callable[..., Recipe], packing: str):
    recipe = make_recipe(
        f"data.packing={packing}", "data.loss=all", "train.max_steps=2", "lora={r: 2, alpha: 4, targets: [c_attn]}"
    )
    run = train(recipe, report=silent)
    assert len(losses(run)) == 2
    assert (run.adapter / "adapter_model.safetensors").is_file()


def test_the_rate_at_step_35_of_a_1000_step_cosine_is_still_at_its_peak(make_recipe: Callable[..., Recipe]):
    octocoder = load_recipe("octocoder").train
    recipe = make_recipe(
        f"train.max_steps={octocoder.max_steps}", f"train.stop_at={octocoder.stop_at}", "train.batch_size=1",
        f"train.schedule={octocoder.schedule}", f"train.warmup_steps={octocoder.warmup_steps}",
        f"train.learning_rate={octocoder.learning_rate}", "data.length=32", "data.loss=all",
        "data.packing=constant-length",
    )  # fmt: skip
    run = train(recipe, report=silent)
    rates = [json.loads(line).get("learning_rate") for line in run.metrics_file.read_text().splitlines()]
    assert len(losses(run)) == 35
    assert (run.checkpoints / "checkpoint-35" / "trainer_state.json").is_file()
    # Rate of the 35th update: 34 steps done, 5 of them warm-up.
    assert rates[34] == pytest.approx(octocoder.learning_rate, rel=0.01)
    assert rates[34] < octocoder.learning_rate


def test_documents_that_are_packed_together_do_not_see_each_other(make_recipe: Callable[..., Recipe], tmp_path: Path):
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    from octopack_train.model import load_model

    documents = [[5, 6, 7, 8], [9, 10, 11], [12, 13, 14, 15, 16]]
    tokens = [token for document in documents for token in document]
    row = {"input_ids": tokens, "labels": tokens, "seq_lengths": [4, 3, 5]}
    batch = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)([row])
    model = load_model(make_recipe()).eval()
    with torch.no_grad():
        # No use_cache argument: load_model itself must have turned the cache off, or documents leak into each other.
        packed = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"]).logits[0]
        alone = torch.cat([model(input_ids=torch.tensor([ids])).logits[0] for ids in documents])
    assert torch.allclose(packed, alone, atol=1e-5)


def test_options_keep_their_meaning_under_their_new_names(make_recipe: Callable[..., Recipe], tmp_path: Path):
    recipe = make_recipe("train.warmup_steps=0.1", "train.eval_every=5", "train.gradient_checkpointing=true")
    options = trainer_options(recipe, RunFolder(tmp_path), evaluate=True)
    assert options["eval_strategy"] == "steps"
    assert options["warmup_steps"] == 0.1
    assert options["gradient_checkpointing"] is True
    assert options["report_to"] == []


def test_a_process_stays_on_one_gpu():
    from types import SimpleNamespace

    assert on_one_device(SimpleNamespace(n_gpu=8, _n_gpu=8))._n_gpu == 1
    assert on_one_device(SimpleNamespace(n_gpu=0, _n_gpu=0))._n_gpu == 0


def test_an_unknown_reporter_package_is_named(make_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("octopack_train.sft.find_spec", lambda _: None)
    with pytest.raises(TrainingError, match="pip install wandb"):
        trainer_options(make_recipe("train.report_to=[wandb]"), RunFolder(Path("x")), evaluate=False)


def test_another_recipe_does_not_run_over_a_run(make_recipe: Callable[..., Recipe]):
    run = train(make_recipe("train.max_steps=1"), report=silent)
    before = run.final.stat().st_mtime_ns
    with pytest.raises(TrainingError, match=r"other settings \(train.max_steps, train.seed\)"):
        train(make_recipe("train.max_steps=2", "train.seed=1"), report=silent)
    assert run.final.stat().st_mtime_ns == before
    train(make_recipe("train.max_steps=2", "train.seed=1"), fresh=True, report=silent)
    assert len(losses(run)) == 2


def test_a_folder_that_is_not_a_run_is_left_alone(make_recipe: Callable[..., Recipe], tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(TrainingError, match="not empty and not a training run"):
        train(make_recipe(), fresh=True, report=silent)
    assert [entry.name for entry in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_a_user_error_leaves_no_folder_behind(make_recipe: Callable[..., Recipe], tmp_path: Path):
    with pytest.raises(TrainingError, match="targets"):
        train(make_recipe("lora={r: 2, alpha: 4, targets: [nothing]}"), report=silent)
    assert not (tmp_path / "run").exists()


def test_out_of_memory_while_training(make_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch):
    from trl.trainer.sft_trainer import SFTTrainer

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(SFTTrainer, "training_step", fail)
    with pytest.raises(TrainingError, match=r"Out of memory: try train\.gradient_checkpointing=true"):
        train(make_recipe(), report=silent)


def test_progress_is_shown_against_the_steps_that_will_run(make_recipe: Callable[..., Recipe]):
    from transformers import TrainerControl, TrainerState

    lines: list[str] = []
    progress, _ = callbacks(make_recipe("train.max_steps=1000", "train.stop_at=35"), lines.append)
    progress.on_log(None, TrainerState(global_step=3, max_steps=1000), TrainerControl(), logs={"loss": 1.5})
    assert lines == ["step 3/35  loss 1.5000"]


def test_a_killed_run_resumes_on_the_same_loss_curve(make_recipe: Callable[..., Recipe], tmp_path: Path):
    options = ("train.max_steps=40", "train.save_every=4", "lora={r: 4, alpha: 8, targets: [c_attn], dropout: 0.1}")
    whole = make_recipe(*options, f"output={tmp_path / 'whole'}")
    killed = make_recipe(*options, f"output={tmp_path / 'killed'}")
    file = tmp_path / "recipe.yaml"
    file.write_text(killed.to_yaml())
    process = subprocess.Popen([sys.executable, "-m", "octopack_train", str(file)], stdout=subprocess.DEVNULL)
    run = RunFolder(tmp_path / "killed")
    deadline = time.monotonic() + 300  # a busy machine imports slowly
    while run.last_checkpoint() is None and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run.last_checkpoint() is not None
    # A checkpoint that the kill cut short must not be taken.
    broken = run.checkpoints / "checkpoint-39"
    broken.mkdir()
    (broken / "trainer_state.json").write_text('{"global_step": 39, "log_hist')
    lines: list[str] = []
    train(killed, report=lines.append)
    assert any(line.startswith("Resuming from checkpoint-") for line in lines)
    # Two processes may differ in the last bits of a sum (threads); other data or another state differs by 1e-3.
    assert losses(run) == pytest.approx(losses(train(whole, report=silent)), rel=1e-5)
    assert len(losses(run)) == 40


@pytest.mark.parametrize("packing", ["constant-length", "isolated"])
def test_a_run_resumes_in_the_middle_of_its_data(make_recipe: Callable[..., Recipe], packing: str):
    import shutil

    recipe = make_recipe(f"data.packing={packing}", "data.loss=all", "train.max_steps=6", "train.save_every=2")
    run = train(recipe, report=silent)
    whole = losses(run)
    shutil.rmtree(run.checkpoints / "checkpoint-6")
    shutil.rmtree(run.model)
    run.metrics_file.unlink()
    lines: list[str] = []
    train(recipe, report=lines.append)
    assert "Resuming from checkpoint-4." in lines
    assert losses(run) == pytest.approx(whole, rel=1e-5)


def test_a_finished_run_is_left_as_it_is(make_recipe: Callable[..., Recipe]):
    recipe = make_recipe("train.max_steps=2", "train.save_every=1")
    run = train(recipe, report=silent)
    whole = losses(run)
    lines: list[str] = []
    train(recipe, report=lines.append)
    assert lines == [f"{run.path} is finished already; --fresh trains again."]
    # Killed while the final weights were written: the checkpoint of the last step must not give a third one.
    run.model.rename(run.path / "model.partial")
    (run.path / "model.partial" / "model-00002-of-00002.safetensors").write_text("of the killed run")
    train(recipe, report=silent)
    assert losses(run) == pytest.approx(whole, rel=1e-5)
    assert [file.name for file in run.model.glob("*.safetensors")] == ["model.safetensors"]


@pytest.mark.model
def test_the_tiny_recipe_trains_the_real_small_model(smollm2: Path, tmp_path: Path):
    run = train(
        load_recipe(
            "tiny", [f"model.name={smollm2}", "data.limit=16", "data.length=256", f"output={tmp_path / 'run'}"]
        ),
        report=silent,
    )
    found = losses(run)
    assert found[-1] < found[0]
    assert (run.adapter / "adapter_model.safetensors").is_file()


class TestOnCpus:
    """The attention and the loss that take the place of GPU kernels are the same mathematics."""

    def batch(self) -> dict[str, Any]:
        from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

        tokens = list(range(5, 25))
        labels = [token if token % 3 else -100 for token in tokens]
        row = {"input_ids": tokens, "labels": labels, "seq_lengths": [9, 1, 10]}
        return DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)([row])

    def test_document_attention_equals_the_mask_of_transformers(self, make_recipe: Callable[..., Recipe]):
        from octopack_train.model import load_model

        batch = {name: value for name, value in self.batch().items() if name != "labels"}
        logits = []
        for attention in ("null", "sdpa"):
            model = load_model(make_recipe(f"model.attention={attention}")).eval()
            with torch.no_grad():
                logits.append(model(**batch).logits)
        assert torch.allclose(*logits, atol=1e-5)

    @pytest.mark.parametrize("count", [None, 40])
    def test_the_loss_and_its_gradients_equal_those_over_all_logits(
        self, make_recipe: Callable[..., Recipe], count: int | None
    ):
        from octopack_train.cpu import learnt_tokens_loss
        from octopack_train.model import load_model

        batch = self.batch()
        model = load_model(make_recipe()).eval()
        weight = model.transformer.h[0].attn.c_attn.weight

        ours = learnt_tokens_loss(model, batch, count)
        ours.backward()
        gradient = weight.grad.clone()
        weight.grad = None

        targets = batch["labels"][:, 1:]
        logits = model(**{name: value for name, value in batch.items() if name != "labels"}).logits[:, :-1]
        learnt = targets != -100
        total = torch.nn.functional.cross_entropy(logits[learnt], targets[learnt], reduction="sum")
        theirs = total / (count or learnt.sum())
        theirs.backward()
        assert torch.allclose(ours, theirs, atol=1e-6)
        assert torch.allclose(gradient, weight.grad, atol=1e-6)

    def test_a_batch_without_loss_gives_zero(self, make_recipe: Callable[..., Recipe]):
        from octopack_train.cpu import learnt_tokens_loss
        from octopack_train.model import load_model

        batch = {**self.batch(), "labels": torch.full((1, 20), -100)}
        loss = learnt_tokens_loss(load_model(make_recipe()), batch, None)
        loss.backward()
        assert loss == 0
