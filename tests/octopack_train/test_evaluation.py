import json
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from octopack_train import evaluation
from octopack_train.errors import TrainingError
from octopack_train.evaluation import evaluate, servable, write_card
from octopack_train.recipe import Recipe, load_recipe
from octopack_train.run_folder import RunFolder
from octopack_train.sft import train

pytest.importorskip("trl")


@pytest.fixture
def run(make_recipe: Callable[..., Recipe]) -> RunFolder:
    recipe = make_recipe("train.max_steps=1", "lora={r: 2, alpha: 4, targets: [c_attn]}")
    return train(recipe, report=lambda _: None)


def test_the_merged_model_is_handed_to_octopack_evaluate_and_its_score_goes_into_the_card(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    commands = []

    class Done:
        returncode = 0

    def run_command(command: list[str], check: bool) -> Done:
        commands.append(command)
        out = Path(command[command.index("--out") + 1])
        out.mkdir(parents=True)
        scores = {"humanevalfixtests-python": {"problems": 4, "scores": {"pass@1": {"value": 0.25}}}}
        (out / "results.json").write_text(json.dumps({"results": scores}))
        return Done()

    monkeypatch.setattr(evaluation.subprocess, "run", run_command)
    assert evaluate(run, "humanevalfixtests-python", options=("--limit", "4")) == {"pass@1": 0.25}
    (command,) = commands
    assert command[command.index("--model") + 1] == str(run.merged)
    assert (run.merged / "model.safetensors").is_file()
    assert command[command.index("--limit") + 1] == "4"
    assert "| humanevalfixtests-python | 4 | pass@1 | 0.2500 |" in run.card_file.read_text()
    assert "model-index" not in run.card_file.read_text()  # hubs would take a part for the benchmark
    write_card(run)  # a later card keeps the score
    assert "0.2500" in run.card_file.read_text()
    recorded = {"humanevalfixtests-python": {"problems": 164, "scores": {"pass@1": 0.304}}}
    run.scores_file.write_text(json.dumps(recorded))
    write_card(run)
    (score,) = ModelCard.load(run.card_file).data.eval_results
    assert (score.dataset_name, score.metric_type, score.metric_value) == ("HumanEvalFix (Python)", "pass@1", 30.4)
    train(run.recipe(), fresh=True, report=lambda _: None)  # another training: the old score is not its own
    write_card(run)
    assert "0.2500" not in run.card_file.read_text()
    assert not run.evaluations.exists()


def test_a_card_names_only_what_is_on_the_hub(run: RunFolder, make_recipe: Callable[..., Recipe], tmp_path: Path):
    write_card(run)  # of a folder with the model, on data that is made up
    assert not {"base_model", "datasets"} & set(ModelCard.load(run.card_file).data.to_dict())
    recipe = load_recipe("octocoder", [f"output={run.path}"])
    run.recipe_file.write_text(recipe.to_yaml())
    write_card(run)
    data = ModelCard.load(run.card_file).data.to_dict()
    assert (data["base_model"], data["datasets"]) == ("bigcode/starcoder", ["ArmelR/guanaco-commits"])


def test_an_evaluation_that_fails_keeps_the_model_and_says_where(run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    class Failed:
        returncode = 2

    monkeypatch.setattr(evaluation.subprocess, "run", lambda *_, **__: Failed())
    with pytest.raises(TrainingError, match=r"status 2.*merged"):
        evaluate(run, "humanevalfixtests-python")
    assert servable(run).is_dir()


def test_an_unfinished_run_cannot_be_scored(tmp_path: Path):
    with pytest.raises(TrainingError, match="no finished training run"):
        evaluate(RunFolder(tmp_path), "humanevalfixtests-python")
