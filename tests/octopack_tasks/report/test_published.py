"""Published models are found by the names that people use."""

from __future__ import annotations

import pytest

from octopack_tasks.errors import UserError
from octopack_tasks.report.published import find_published


@pytest.mark.parametrize("name", ["octocoder", "OctoCoder", "bigcode/octocoder", "Octo-Coder"])
def test_any_spelling_is_understood(name: str) -> None:
    (model,) = find_published([name])
    assert model.name == "OctoCoder"
    assert model.scores["humanevalfixtests-python"] == pytest.approx(0.304)
    assert model.scores["humanevalfixdocs-rust"] == pytest.approx(0.321)
    assert model.bug_types["humanevalfixtests-python"]["value misuse"] == pytest.approx(0.347)
    assert str(model.publications["fixtests"].settings) == "prompt octocoder, n=20, temperature 0.2, top_p 0.95"
    assert "table 14" in model.publications["fixdocs"].source


def test_several_names_each_once_in_their_order() -> None:
    assert [model.name for model in find_published(["gpt4,octocoder", "GPT-4"])] == ["GPT-4", "OctoCoder"]


def test_a_table_that_spells_a_model_otherwise_counts_to_it() -> None:
    (model,) = find_published(["starcoder"])
    assert model.scores["humanevalfixdocs-python"] == pytest.approx(0.417)
    assert model.scores["humanevalsynthesize-python"] == pytest.approx(0.336)
    assert "26.5" in model.publications["fixdocs"].notes[0]


def test_groups_of_models() -> None:
    everything = find_published(["all"])
    assert len(everything) == 11
    assert all(model.preset for model in everything)
    ablations = find_published(["ablations"])
    assert len(ablations) == 11
    assert all(len(model.scores) == 3 for model in ablations)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UserError, match="no published scores of 'octocodr'; the nearest name is 'OctoCoder'"):
        find_published(["octocodr"])
    with pytest.raises(UserError, match="nearest name is 'WizardCoder'"):
        find_published(["wizard-code"])
