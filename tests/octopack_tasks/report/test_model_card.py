"""Model cards: hubs' own tools read the metadata, and only what is whole is in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_runs import invented_run

from octopack_tasks.report.model_card import model_card, write_model_card
from octopack_tasks.report.published import find_published

huggingface_hub = pytest.importorskip("huggingface_hub")


def test_the_hub_reads_every_score(tmp_path: Path) -> None:
    run = invented_run(scenarios=["fixtests", "explainsynthesize"])
    (path,) = write_model_card([run], find_published(["octocoder"]), tmp_path)
    assert path.name == "model-card.md"
    card = huggingface_hub.ModelCard.load(path)
    assert card.data.model_name == "my-model"
    assert len(card.data.eval_results) == len(run.results)
    by_name = {(found.dataset_name, found.metric_type): found for found in card.data.eval_results}
    for result in run.results:
        language = {"js": "JavaScript", "cpp": "C++"}.get(result.language, result.language.capitalize())
        benchmark = {"fixtests": "HumanEvalFix", "explainsynthesize": "HumanEvalExplain"}[result.scenario]
        found = by_name[f"{benchmark} ({language})", "pass@1"]
        assert found.metric_value == pytest.approx(100 * result.scores[0].value, abs=0.0051)
        assert (found.dataset_type, found.dataset_config) == ("bigcode/humanevalpack", result.language)
    assert "| OctoCoder † |" in card.content


def test_the_hub_can_write_the_card_again(tmp_path: Path) -> None:
    (path,) = write_model_card([invented_run(scenarios=["fixtests", "synthesize"])], [], tmp_path)
    card = huggingface_hub.ModelCard.load(path)
    again = huggingface_hub.ModelCard(str(card))
    names = {(found.metric_name, found.dataset_config, found.metric_value) for found in again.data.eval_results}
    assert len(names) == 12
    assert {name for name, *_ in names} == {"pass@1 (HumanEvalFix)", "pass@1 (HumanEvalSynthesize)"}


def test_what_is_not_whole_is_not_in_the_metadata() -> None:
    half = invented_run(lacks={"humanevalfixtests-go": ("1 of 32 samples lack a verdict",)})
    data = huggingface_hub.ModelCard(model_card(half)).data
    assert len(data.eval_results) == 5
    assert "Not in the metadata: humanevalfixtests-go (1 of 32 samples lack a verdict)." in model_card(half)
    text = model_card(invented_run(dataset_problems=5, problems=5))
    assert not text.startswith("---")
    assert "a dataset of 5 problems, not the 164 of bigcode/humanevalpack" in text


def test_each_run_has_a_card_of_its_own(tmp_path: Path) -> None:
    written = write_model_card([invented_run("a/b <x>"), invented_run("c")], [], tmp_path)
    assert [path.name for path in written] == ["model-card-a-b-x.md", "model-card-c.md"]
