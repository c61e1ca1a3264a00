from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from octopack_tasks import Missing, ProblemSet, UserError, get_task, join_descriptions, load_problems, read_descriptions
from octopack_tasks.descriptions import in_order

TASK = get_task("humanevalexplainsynthesize-python")


@pytest.fixture
def two(toy_folder: Path) -> ProblemSet:
    return load_problems("python", toy_folder)


def sample(index: int, *descriptions: str, **more: Any) -> str:
    doc = {"task_id": f"Toy/{index}"}
    return json.dumps({"doc_id": index, "doc": doc, "filtered_resps": list(descriptions), **more}) + "\n"


def test_every_description_is_a_problem_of_its_own(two: ProblemSet) -> None:
    joined = join_descriptions(two, {"Toy/1": ["c"], "Toy/0": ["a", "b"]})
    assert [(problem.task_id, problem.candidate, problem.description) for problem in joined] == [
        ("Toy/0", 0, "a"),
        ("Toy/0", 1, "b"),
        ("Toy/1", 0, "c"),
    ]
    assert joined.sha256 == two.sha256


def test_halves_of_characters_do_not_reach_a_prompt(two: ProblemSet) -> None:
    texts = ["caf\u00e9 \ud83d!", "\ud83d\ude00", "plain"]
    joined = join_descriptions(two, {problem.task_id: texts for problem in two})
    assert [problem.description for problem in joined[:3]] == ["caf\u00e9 \ufffd!", "\U0001f600", "plain"]


def test_missing_descriptions(two: ProblemSet) -> None:
    with pytest.raises(UserError, match=r"1 of 2 problems have no description .Toy/1"):
        join_descriptions(two, {"Toy/0": ["a"]})
    assert len(join_descriptions(two, {"Toy/0": ["a"], "Toy/1": []}, Missing.DROP)) == 1
    kept = join_descriptions(two, {"Toy/0": ["a"]}, Missing.KEEP)
    assert TASK.prompt(kept[0]).text
    with pytest.raises(UserError, match="Toy/1 has no description"):
        TASK.prompt(kept[1])


def test_descriptions_of_another_dataset(two: ProblemSet) -> None:
    with pytest.raises(UserError, match=r"the descriptions are for Other/0, which .* does not have"):
        join_descriptions(two, {"Toy/0": ["a"], "Toy/1": ["b"], "Other/0": ["c"]})


def test_the_shape_of_the_reference(two: ProblemSet, tmp_path: Path) -> None:
    file = tmp_path / "generations.json"
    file.write_text(json.dumps([["a", "b"], ["c"]]))
    assert read_descriptions(file, two) == {"Toy/0": ("a", "b"), "Toy/1": ("c",)}
    problems = TASK.problems(two.dataset, file)
    assert [problem.description for problem in problems] == ["a", "b", "c"]


def test_without_names_the_shorter_side_counts(two: ProblemSet) -> None:
    assert in_order([["a"]], two) == {"Toy/0": ("a",)}
    assert in_order([["a"], ["b"], ["c"]], two) == {"Toy/0": ("a",), "Toy/1": ("b",)}
    assert in_order(["ab", [None]], two) == {"Toy/0": ("a", "b"), "Toy/1": (None,)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ('{"0": ["a"]}', "must hold a list of lists of strings, not a dict"),
        ('["ab", "cd"]', "item 0 must be a list of strings"),
        ('[["a"], [null]]', "item 1 must be a list of strings"),
        ('[["a"], ["b"], ["c"]]', "descriptions of 3 problems, but"),
    ],
)
def test_malformed_generations(text: str, message: str, two: ProblemSet, tmp_path: Path) -> None:
    file = tmp_path / "generations.json"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        read_descriptions(file, two)


def test_a_short_file_is_refused(two: ProblemSet, tmp_path: Path) -> None:
    file = tmp_path / "generations.json"
    for text in ("[]", '[["a"]]', '[["a"], []]'):
        file.write_text(text)
        with pytest.raises(UserError, match="of 2 problems have no description"):
            TASK.problems(two.dataset, file)


def test_samples_of_lm_eval(two: ProblemSet, tmp_path: Path) -> None:
    file = tmp_path / "samples_humanevalexplaindescribe-python_2026-01-01.jsonl"
    ours = json.dumps({"solution": "a", "program": None})
    file.write_text(sample(1, '{"not": "ours"}', "{c") + "\n" + sample(0, ours))
    assert read_descriptions(file, two) == {"Toy/1": ('{"not": "ours"}', "{c"), "Toy/0": ("a",)}


def test_a_description_may_look_like_json_without_end(two: ProblemSet, tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    endless = '{"a":' * 50_000
    file.write_text("\ufeff" + sample(0, endless), encoding="utf-8")
    assert read_descriptions(file, two) == {"Toy/0": (endless,)}


def test_samples_with_raw_responses_and_with_several_filters(two: ProblemSet, tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    raw = json.dumps({"doc": {"task_id": "Toy/0"}, "resps": [["a", "b"]], "filter": "x"}) + "\n"
    file.write_text(raw + sample(0, "other", filter="y") + sample(1, "c", filter="x"))
    assert read_descriptions(file, two) == {"Toy/0": ("a", "b"), "Toy/1": ("c",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no samples"),
        ("{", "line 1 is not a sample logged by lm-eval"),
        pytest.param("[" * 100_000, "line 1 is not a sample logged by lm-eval", id="too deep"),
        ('{"doc": {}}', "line 1 is not a sample logged by lm-eval"),
        (sample(0, "a") + sample(0, "b"), "line 2: a second sample of Toy/0"),
        (sample(0, "a") + '{"doc": {"task_id": "Toy/1"}, "filtered_resps": [3]}', "line 2 is not a sample"),
    ],
)
def test_malformed_samples(text: str, message: str, two: ProblemSet, tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        read_descriptions(file, two)


def test_in_a_folder_the_newest_file_of_the_language_counts(two: ProblemSet, tmp_path: Path) -> None:
    folder = tmp_path / "results" / "model"
    folder.mkdir(parents=True)
    names = {
        "samples_humanevalexplaindescribe-python_2026-01-02.jsonl": ("new", 200),
        "samples_humanevalexplaindescribe-python_2026-01-01.jsonl": ("old", 100),
        "samples_humanevalexplaindescribe-java_2026-01-03.jsonl": ("java", 300),
        "results_humanevalexplaindescribe-python.json": ("numbers", 400),
    }
    for name, (description, time) in names.items():
        (folder / name).write_text(sample(0, description))
        os.utime(folder / name, (time, time))
    assert read_descriptions(tmp_path, two) == {"Toy/0": ("new",)}


def test_no_file_and_no_samples(two: ProblemSet, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="write them with humanevalexplaindescribe-python first"):
        read_descriptions(tmp_path / "nowhere", two)
    with pytest.raises(UserError, match="has no samples of humanevalexplaindescribe-python"):
        read_descriptions(tmp_path / "dataset", two)
    with pytest.raises(UserError, match="humanevalexplainsynthesize-python needs the descriptions"):
        TASK.problems(two.dataset)
