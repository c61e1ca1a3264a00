"""Presets and published scores: well formed, every value with its source, and true to what was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import octopack_tasks
from octopack_tasks import FORMATS, LANGUAGES, TASKS, get_task
from octopack_tasks.scenarios import SCENARIOS

RESOURCES = Path(octopack_tasks.__file__).parent / "resources"
PRESETS = {file.stem: file for file in sorted((RESOURCES / "presets").glob("*.yaml"))}

PAPER_MODELS = {
    "octocoder",
    "octogeex",
    "starcoder",
    "starchat-beta",
    "wizardcoder",
    "codegeex2",
    "bloomz",
    "instructcodet5p",
    "diff-codegen",
    "gpt-4",
}

BUG_TYPES = {
    "missing logic",
    "excess logic",
    "value misuse",
    "operator misuse",
    "variable misuse",
    "function misuse",
}

LOCAL_MODEL: dict[str, type] = {"id": str, "architecture": str, "precision": str, "trust_remote_code": bool}
LOCAL_SAMPLING: dict[str, type] = {"do_sample": bool, "temperature": float, "top_p": float, "top_k": int, "seed": int}
LOCAL_TASK: dict[str, type] = {"prompt": str, "n_samples": int, "batch_size": int, "max_length": int}
HOSTED_MODEL: dict[str, type] = {"id": str, "architecture": str}
HOSTED_SAMPLING: dict[str, type] = {"temperature": float, "top_p": float}
HOSTED_TASK: dict[str, type] = {"prompt": str, "n_samples": int}
MODEL_EXTRAS: dict[str, type] = {"devices": int, "max_memory_per_device": str}


def read_preset(name: str) -> dict[str, Any]:
    preset: dict[str, Any] = yaml.safe_load(PRESETS[name].read_text(encoding="utf-8"))
    return preset


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RESOURCES / "published_scores.json").read_text(encoding="utf-8"))
    return document


def check_block(block: dict[str, Any], types: dict[str, type], extras: dict[str, type] | None = None) -> None:
    """Exactly the known values, each of its type, each with a source or the reason why it is inferred."""
    known = {**types, **(extras or {})}
    values = {key: value for key, value in block.items() if key not in ("source", "inferred")}
    assert set(types) <= set(values) <= set(known)
    assert {key: type(value) for key, value in values.items()} == {key: known[key] for key in values}
    inferred = block.get("inferred", {})
    assert set(inferred) <= set(values)
    for reason in (*inferred.values(), block.get("source", "nowhere")):
        assert isinstance(reason, str)
        assert reason.strip()
    assert "source" in block or set(inferred) == set(values), "a value without a source"


def test_every_model_of_the_paper_has_a_preset() -> None:
    assert set(PRESETS) == PAPER_MODELS | {"starcoder-commit"}


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_complete_and_sourced(name: str) -> None:
    preset = read_preset(name)
    assert {"title", "scores", "model", "sampling", "tasks"} <= set(preset)
    assert set(preset) <= {"title", "scores", "model", "sampling", "tasks", "notes"}
    assert all(isinstance(note, str) for note in preset.get("notes", []))
    hosted = preset["model"]["architecture"] == "api"
    check_block(preset["model"], HOSTED_MODEL if hosted else LOCAL_MODEL, MODEL_EXTRAS)
    check_block(preset["sampling"], HOSTED_SAMPLING if hosted else LOCAL_SAMPLING)
    assert preset["tasks"]
    for task in preset["tasks"].values():
        check_block(task, HOSTED_TASK if hosted else LOCAL_TASK)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_suits_its_tasks(name: str) -> None:
    preset = read_preset(name)
    assert set(preset["tasks"]) <= set(SCENARIOS)
    for scenario, settings in preset["tasks"].items():
        assert settings["prompt"] in FORMATS
        for language in LANGUAGES:
            get_task(f"humaneval{scenario}-{language}").check_format(settings["prompt"])
        assert 1 <= settings["n_samples"] <= 20
    if preset["model"]["architecture"] == "encoder-decoder":
        assert {settings["prompt"] for settings in preset["tasks"].values()} == {"instructcodet5p"}
    if "explainsynthesize" in preset["tasks"]:
        assert preset["tasks"]["explainsynthesize"]["n_samples"] == 1
        assert "explaindescribe" in preset["tasks"]


@pytest.mark.parametrize("name", PRESETS)
def test_preset_agrees_with_the_sampling_of_its_scores(name: str, published: dict[str, Any]) -> None:
    preset = read_preset(name)
    found = 0
    for table in published["tables"]:
        for row in table["rows"]:
            if row.get("preset") != name or table["scenario"] not in preset["tasks"]:
                continue
            found += 1
            sampling = published["samplings"][row["sampling"]]
            # The samples of explainsynthesize are those of the descriptions, one function for each.
            scenario = "explaindescribe" if table["scenario"] == "explainsynthesize" else table["scenario"]
            assert sampling["n_samples"] == preset["tasks"][scenario]["n_samples"]
            assert sampling["temperature"] == preset["sampling"]["temperature"]
            assert sampling["top_p"] == preset["sampling"]["top_p"]
    assert found
    assert any(row["model"] == preset["scores"] for table in published["tables"] for row in table["rows"])


def test_published_scores_are_well_formed(published: dict[str, Any]) -> None:
    tables = {table["id"]: table for table in published["tables"]}
    assert len(tables) == len(published["tables"])
    for table in tables.values():
        assert table["scenario"] is None or table["scenario"] in SCENARIOS
        if table["scenario"]:
            assert set(table["columns"]) <= {*LANGUAGES, *BUG_TYPES}
        for row in table["rows"]:
            assert set(row["scores"]) <= set(table["columns"])
            assert row["scores"]
            assert all(0 <= score <= 100 for score in row["scores"].values())
            assert row["source"] in published["sources"]
            assert row["where"]
            assert row["sampling"] in published["samplings"]
            assert set(row.get("confirmed_by", [])) <= set(published["sources"])
            assert row.get("preset") is None or row["preset"] in PRESETS
            assert "task" not in row or row["task"] in TASKS


def test_wrong_printed_means_are_noted(published: dict[str, Any]) -> None:
    noted = set()
    for table in published["tables"]:
        for row in table["rows"]:
            if "printed_mean" not in row:
                continue
            mean = sum(row["scores"].values()) / len(row["scores"])
            assert row["mean"] == pytest.approx(mean, abs=0.006)
            # Scores and means are printed with one decimal, so an honest mean is off by less than 0.1.
            if abs(row["printed_mean"] - mean) > 0.1:
                assert "mean" in row["note"]
                noted.add((table["id"], row["model"]))
    assert noted == {
        ("fixtests", "BLOOMZ"),
        ("fixtests", "StarChat-beta"),
        ("fixdocs", "StarCoder (instruct format)"),
        ("ablations", "StarCoder + self-instruct"),
    }


def test_unrounded_outputs_agree_with_the_printed_scores(published: dict[str, Any]) -> None:
    tables = {table["id"]: table for table in published["tables"]}
    for row in tables["unrounded"]["rows"]:
        scenario, language = row["task"].removeprefix("humaneval").split("-")
        printed = next(other for other in tables[scenario]["rows"] if other["model"] == row["model"])
        assert printed["scores"][language] == pytest.approx(row["scores"]["pass@1"], abs=0.0501)


def test_main_tables_are_those_recorded(published: dict[str, Any], shared: Path) -> None:
    recorded = json.loads((shared / "facts" / "results.json").read_text(encoding="utf-8"))
    tables = {table["id"]: table for table in published["tables"]}
    for name, identifier in {
        "HumanEvalFix": "fixtests",
        "HumanEvalExplain": "explain",
        "HumanEvalSynthesize": "synthesize",
        "HumanEvalFixDocs": "fixdocs",
    }.items():
        rows = {row["model"]: row for row in tables[identifier]["rows"]}
        assert set(rows) == set(recorded["tables"][name])
        for model, values in recorded["tables"][name].items():
            assert rows[model]["scores"] == dict(zip(recorded["languages"], values["per_language"], strict=True))
            assert rows[model]["printed_mean"] == values["avg_printed"]
