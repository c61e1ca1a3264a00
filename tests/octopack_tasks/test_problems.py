from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from octopack_tasks import LANGUAGES, Problem, UserError, dataset_name, load_problems


def test_a_row_becomes_a_problem_and_a_row_again(row: dict[str, Any]) -> None:
    problem = Problem.from_row(row, "python")
    assert problem.task_id == "Toy/0"
    assert problem.buggy_solution == "    return x\n"
    assert Problem.from_row(problem.to_row(), "python") == problem


def test_a_problem_cannot_be_changed(toy: Problem) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        toy.test = "pass"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": None}, "field `test` must be a string, not NoneType"),
        ({"prompt": 3}, "field `prompt` must be a string, not int"),
        ({"entry_point": " "}, "field `entry_point` must not be blank"),
        ({"docstring": "\ud800"}, "field `docstring` is not valid Unicode"),
        ({"bug_type": ["x"]}, "field `bug_type` must be a string, not list"),
    ],
)
def test_a_malformed_row_names_its_place_and_field(
    row: dict[str, Any], toy_folder: Path, change: dict[str, Any], message: str
) -> None:
    file = toy_folder / "python.jsonl"
    file.write_text(json.dumps(row) + "\n" + json.dumps({**row, "task_id": "Toy/1", **change}) + "\n")
    with pytest.raises(UserError, match=message) as error:
        load_problems("python", toy_folder)
    assert f"{file} line 2" in str(error.value)


def test_a_missing_field_is_named(row: dict[str, Any], toy_folder: Path) -> None:
    del row["canonical_solution"]
    (toy_folder / "python.jsonl").write_text(json.dumps(row))
    with pytest.raises(UserError, match=r"python\.jsonl line 1: field `canonical_solution` is missing"):
        load_problems("python", toy_folder)


def test_go_needs_the_imports_of_its_tests(row: dict[str, Any], toy_folder: Path) -> None:
    (toy_folder / "go.jsonl").write_text(json.dumps({**row, "import": ""}))
    with pytest.raises(UserError, match="field `test_setup` is missing"):
        load_problems("go", toy_folder)


@pytest.mark.parametrize("line", ["{", pytest.param("[" * 100_000, id="too deep"), "[1]", '"text"', b"\xff{}"])
def test_a_line_that_is_no_object_is_named(line: str | bytes, toy_folder: Path) -> None:
    file = toy_folder / "python.jsonl"
    file.write_bytes(file.read_bytes() + (line if isinstance(line, bytes) else line.encode()))
    with pytest.raises(UserError, match="line 3"):
        load_problems("python", toy_folder)


def test_a_task_id_must_not_repeat(row: dict[str, Any], toy_folder: Path) -> None:
    (toy_folder / "python.jsonl").write_text(f"{json.dumps(row)}\n\n{json.dumps(row)}\n")
    with pytest.raises(UserError, match=r"line 3: field `task_id` repeats 'Toy/0'"):
        load_problems("python", toy_folder)


def test_unicode_line_separators_do_not_end_a_row(row: dict[str, Any], toy_folder: Path) -> None:
    row["docstring"] = "one\u2028two\x85three"
    (toy_folder / "python.jsonl").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    assert load_problems("python", toy_folder)[0].docstring == "one\u2028two\x85three"


def test_the_hash_is_of_the_content(row: dict[str, Any], toy_folder: Path, tmp_path: Path) -> None:
    original = load_problems("python", toy_folder)
    rows = [json.loads(line) for line in (toy_folder / "python.jsonl").read_text().splitlines()]
    other = tmp_path / "other"
    other.mkdir()
    # Another order of columns, another form of the same text, a column beyond the schema: the same problems.
    lines = [json.dumps({"text": "", **dict(reversed(row.items()))}, ensure_ascii=False) for row in rows]
    (other / "python.jsonl").write_text("\n\n".join(lines))
    assert load_problems("python", other).sha256 == original.sha256
    rows[1]["test"] += " "
    (other / "python.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    assert load_problems("python", other).sha256 != original.sha256


def test_problems_are_found_by_place_and_name(toy_folder: Path) -> None:
    problems = load_problems("python", toy_folder)
    assert len(problems) == 2
    assert problems[1] is problems.get("Toy/1")
    assert [problem.task_id for problem in problems] == ["Toy/0", "Toy/1"]
    with pytest.raises(UserError, match="no problem 'Toy/2' among the 2"):
        problems.get("Toy/2")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_starter_pack_is_built_in(language: str) -> None:
    assert len(load_problems(language, "starter")) >= 8


def test_the_dataset_is_chosen_by_argument_then_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCTOPACK_DATASET", raising=False)
    assert dataset_name() == "bigcode/humanevalpack"
    monkeypatch.setenv("OCTOPACK_DATASET", "starter")
    assert dataset_name() == "starter"
    assert load_problems("python").dataset == "starter"
    assert dataset_name("elsewhere") == "elsewhere"


@pytest.mark.parametrize("folder", ["./nowhere", "/nowhere", "a/b/c", "~/nowhere-at-all"])
def test_a_folder_that_is_not_there(folder: str) -> None:
    with pytest.raises(UserError, match=r"no folder .* `starter`"):
        load_problems("python", folder)


def test_a_folder_without_the_language(toy_folder: Path) -> None:
    with pytest.raises(UserError, match=r"no file rust\.jsonl \(languages there: python\)"):
        load_problems("rust", toy_folder)


def test_a_language_that_humanevalpack_lacks() -> None:
    """Said at once, without asking the hub."""
    with pytest.raises(UserError, match=r"bigcode/humanevalpack has no rows in 'typescript', only in python, cpp"):
        load_problems("typescript", "bigcode/humanevalpack")


def test_an_empty_file(toy_folder: Path) -> None:
    (toy_folder / "python.jsonl").write_text("\n")
    with pytest.raises(UserError, match="holds no problem for 'python'"):
        load_problems("python", toy_folder)


def test_the_hub_is_asked_as_the_reference_asks(row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(path: str, name: str, split: str, **_: Any) -> Any:
        asked.append((path, name, split))
        return datasets.Dataset.from_list([row])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    problems = load_problems("python", "bigcode/humanevalpack")
    assert asked == [("bigcode/humanevalpack", "python", "test")]
    assert problems[0] == Problem.from_row(row, "python")


def test_a_hub_dataset_with_a_script_is_read_from_its_rows(
    row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_dataset(path: str, *_: Any, data_files: str = "", **__: Any) -> Any:
        if path != "json":
            raise RuntimeError("Dataset scripts are no longer supported, but found humanevalpack.py")
        assert data_files == "hf://datasets/bigcode/humanevalpack/data/python/data/humanevalpack.jsonl"
        return datasets.Dataset.from_list([row])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert load_problems("python", "bigcode/humanevalpack")[0].task_id == "Toy/0"


def test_a_hub_that_cannot_be_reached_says_what_else_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_: Any, **__: Any) -> Any:
        raise ConnectionError("Couldn't reach the Hub\nat all")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(UserError, match=r"Couldn't reach the Hub at all.*local folder.*`starter`") as error:
        load_problems("python", "bigcode/humanevalpack")
    assert "\n" not in str(error.value)
