"""A problem in each language, from the starter pack, so that these tests need nothing beside the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from octopack_tasks import LANGUAGES, Problem, load_problems


@pytest.fixture(scope="session")
def problems() -> dict[str, Problem]:
    return {language: load_problems(language, "starter")[0] for language in LANGUAGES}


@pytest.fixture
def row() -> dict[str, Any]:
    return {
        "task_id": "Toy/0",
        "prompt": 'def double(x):\n    """ Twice x. """\n',
        "declaration": "def double(x):\n",
        "canonical_solution": "    return x + x\n",
        "buggy_solution": "    return x\n",
        "test": "def check(double):\n    assert double(2) == 4\n\ncheck(double)",
        "entry_point": "double",
        "signature": "double(x)",
        "docstring": "Twice x.",
        "instruction": "Write a Python function `double(x)` to solve the following problem:\nTwice x.",
        "bug_type": "missing logic",
        "failure_symptoms": "incorrect output",
        "example_test": "",
    }


@pytest.fixture
def toy(row: dict[str, Any]) -> Problem:
    return Problem.from_row(row, "python")


@pytest.fixture
def toy_folder(row: dict[str, Any], tmp_path: Path) -> Path:
    """A dataset folder with two Python problems."""
    folder = tmp_path / "dataset"
    folder.mkdir()
    rows = [row, {**row, "task_id": "Toy/1", "docstring": "Twice the number."}]
    (folder / "python.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
