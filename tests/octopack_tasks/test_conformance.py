from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from octopack_tasks import UserError, get_task, load_problems
from octopack_tasks.conformance import FileReport, check_folder

TASK = "humanevalfixtests-python"


@pytest.fixture
def folder(toy_folder: Path, tmp_path: Path) -> Path:
    """Facts about the toy problems, as they are."""
    folder = tmp_path / "facts"
    folder.mkdir()
    task, problem = get_task(TASK), load_problems("python", toy_folder)[0]
    prompt = task.prompt(problem).text
    row = {"task": TASK, "prompt": "instruct", "task_id": "Toy/0", "chars": len(prompt), "bytes": len(prompt)}
    write(folder, "prompts", [{**row, "sha256": hashlib.sha256(prompt.encode()).hexdigest()[:16]}])
    row = {"task": TASK, "prompt": "instruct", "task_id": "Toy/0", "case": "right", "complete": True}
    expected = "def double(x):\n    return x + x"
    write(folder, "postprocess", [{**row, "continuation": "\n    return x + x\nprint()", "expected": expected}])
    (folder / "exec_params.json").write_text(
        json.dumps({"python": {"language": "python", "timeout": 10, "num_workers": 4}})
    )
    return folder


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))


def change(folder: Path, name: str, **values: Any) -> None:
    (row,) = map(json.loads, gzip.decompress((folder / f"{name}.jsonl.gz").read_bytes()).splitlines())
    write(folder, name, [{**row, **values}])


def check(folder: Path, toy_folder: Path) -> dict[str, FileReport]:
    return {report.file: report for report in check_folder(folder, str(toy_folder))}


def test_facts_that_hold(folder: Path, toy_folder: Path) -> None:
    reports = check(folder, toy_folder)
    present = {name: report.rows for name, report in reports.items() if report.is_present}
    assert present == {"prompts": 1, "postprocess": 1, "exec_params": 1}
    assert not any(report.differing for report in reports.values())
    assert not reports["programs"].is_present


@pytest.mark.parametrize(
    ("name", "values", "detail"),
    [
        ("prompts", {"sha256": "0" * 16}, "prompt has another hash"),
        ("prompts", {"chars": 1}, "characters of the prompt: recorded 1"),
        ("prompts", {"task_id": "Toy/9"}, "no problem 'Toy/9' among the 2"),
        ("prompts", {"task": "humanevalfix-python"}, "unknown task 'humanevalfix-python'"),
        ("prompts", {"prompt": "diff-carpet"}, "unknown prompt format 'diff-carpet'"),
        ("postprocess", {"expected": "def double(x):\n    return 2 * x"}, "-    return 2 * x\n+    return x + x"),
        ("postprocess", {"complete": False}, "complete: recorded False, ours True"),
    ],
)
def test_a_row_that_differs_is_shown(
    folder: Path, toy_folder: Path, name: str, values: dict[str, Any], detail: str
) -> None:
    change(folder, name, **values)
    report = check(folder, toy_folder)[name]
    assert report.differing == 1
    assert detail in report.first[0].detail
    assert report.first[0].row.startswith("line 1: ")


def test_only_the_first_differences_are_kept(folder: Path, toy_folder: Path) -> None:
    row = {"task": TASK, "prompt": "instruct", "task_id": "Toy/0", "text": "?"}
    write(folder, "prompt_texts", [row] * 9)
    report = next(report for report in check_folder(folder, str(toy_folder), show=2) if report.file == "prompt_texts")
    assert (report.rows, report.differing, len(report.first)) == (9, 9, 2)


def test_a_folder_without_facts(tmp_path: Path, toy_folder: Path) -> None:
    with pytest.raises(UserError, match="holds none of the files of recorded facts: prompts, prompt_texts"):
        check(tmp_path, toy_folder)


@pytest.mark.parametrize("data", [b"no gzip", gzip.compress(b"{"), gzip.compress(b"[1]")[:-3], gzip.compress(b"\xff")])
def test_a_file_that_is_not_what_its_name_says(folder: Path, toy_folder: Path, data: bytes) -> None:
    (folder / "programs.jsonl.gz").write_bytes(data)
    with pytest.raises(UserError, match=r"programs\.jsonl\.gz is not a file of recorded facts"):
        check(folder, toy_folder)


def test_a_row_without_its_fields_is_named(folder: Path, toy_folder: Path) -> None:
    write(folder, "postprocess", [{"task": TASK, "prompt": "instruct", "task_id": "Toy/0", "expected": ""}])
    with pytest.raises(UserError, match=r"postprocess\.jsonl\.gz line 1: .* cannot be checked: KeyError"):
        check(folder, toy_folder)
