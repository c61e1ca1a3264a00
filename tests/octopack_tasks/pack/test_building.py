"""`octopack pack prepare` and `build`: HumanEvalPack again from its source, and sources that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from octopack_tasks.errors import UserError
from octopack_tasks.languages import LANGUAGES
from octopack_tasks.pack.building import build_pack, entry_point_in
from octopack_tasks.pack.command import register
from octopack_tasks.pack.sources import prepare_bugs, read_source
from octopack_tasks.pack.wording import wording
from octopack_tasks.problems import load_problems

PYTHON = {
    "task_id": "Python/0",
    "prompt": 'def add_up(a: int) -> int:\n    """Add one.\n\n    >>> add_up(1)\n    2\n    """\n',
    "canonical_solution": "    return a + 1\n",
    "test": "def check(add_up):\n    assert add_up(1) == 2\n\ncheck(add_up)",
    "declaration": "def add_up(a: int) -> int:\n",
}
RUST = {
    "task_id": "Rust/0",
    "prompt": "/*\nAdd one.\n*/\n",
    "declaration": "use std::cmp;\n\npub fn add_up(a: i32) -> i32 {\n",
    "canonical_solution": "    a + 1\n}\n",
    "test": "#[cfg(test)]\nmod tests { #[test] fn t() { assert_eq!(super::add_up(1), 2) } }\n",
}


def write_source(folder: Path, **rows: list[dict[str, Any]]) -> Path:
    """A source with these problems by language, and with bugs."""
    count = len(next(iter(rows.values())))
    names = [{"task_id": f"HumanEval/{index}", "entry_point": "add_up"} for index in range(count)]
    (folder / "HumanEval_original.jsonl").write_text("".join(json.dumps(name) + "\n" for name in names))
    for language, problems in rows.items():
        (folder / language).mkdir(exist_ok=True)
        text = "".join(json.dumps(problem) + "\n" for problem in problems)
        (folder / language / "humaneval.jsonl").write_text(text)
        kind = {"bug_type": "operator misuse", "failure_symptoms": "incorrect output"}
        bugs = [{"buggy_solution": "    return a - 1\n", **kind} for _ in problems]
        (folder / language / "bugs.json").write_text(json.dumps(bugs))
    return folder


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"typescript"}))  # which HumanEvalPack does not have
def test_humanevalpack_is_built_byte_for_byte(language: str, shared: Path, tmp_path: Path) -> None:
    published = shared / "data" / "humanevalpack" / f"{language}.jsonl"
    built = build_pack(shared / "data" / "humaneval-x", tmp_path, [language])
    assert (tmp_path / f"{language}.jsonl").read_bytes() == published.read_bytes()
    # The only row that does not follow from its source.
    assert [note.split(":")[0] for note in built.notes] == (["Python/142"] * 2 if language == "python" else [])


def test_without_corrections_what_the_rules_cannot_find_is_named(shared: Path, tmp_path: Path) -> None:
    none = tmp_path / "none.yaml"
    none.write_text("")
    built = build_pack(shared / "data" / "humaneval-x", tmp_path, ["python", "js", "java", "rust"], none)
    assert len(built.notes) == 19
    assert any("js/humaneval.jsonl line 147" in note and "'specialfilter'" in note for note in built.notes)
    rows = [json.loads(line) for line in (tmp_path / "python.jsonl").read_text().splitlines()]
    assert rows[142]["docstring"].startswith("This function will take a list of integers.")
    with pytest.raises(UserError, match=r"cpp/humaneval.jsonl line 148: .*'get_max_triples'.* corrections"):
        build_pack(shared / "data" / "humaneval-x", tmp_path, ["cpp"], none)


def test_a_pack_of_ones_own(tmp_path: Path) -> None:
    source = write_source(tmp_path, python=[PYTHON], rust=[RUST])
    assert build_pack(source, tmp_path / "out").rows == {"python": 1, "rust": 1}
    (problem,) = load_problems("python", tmp_path / "out")
    assert problem.signature == "add_up(a: int) -> int"
    assert problem.docstring == "Add one.\n>>> add_up(1)\n2"
    assert problem.instruction == (
        "Write a Python function `add_up(a: int) -> int` to solve the following problem:\nAdd one.\n>>> add_up(1)\n2"
    )
    assert (problem.bug_type, problem.buggy_solution) == ("operator misuse", "    return a - 1\n")
    (problem,) = load_problems("rust", tmp_path / "out")
    assert problem.prompt == ("fn main(){}\nuse std::cmp;\n\n/*\nAdd one.\n*/\npub fn add_up(a: i32) -> i32 {\n")
    assert problem.declaration == RUST["declaration"]


def test_prepare_begins_bugs_and_leaves_those_that_are_there(tmp_path: Path) -> None:
    source = write_source(tmp_path, python=[PYTHON], rust=[RUST])
    (source / "python" / "bugs.json").unlink()
    assert list(prepare_bugs(source)) == [source / "python" / "bugs.json"]
    (bug,) = json.loads((source / "python" / "bugs.json").read_text())
    assert bug == {
        "buggy_solution": "    return a + 1\n",
        "bug_type": "variable misuse",
        "failure_symptoms": "incorrect output",
    }
    assert list(prepare_bugs(source)) == []


@pytest.mark.parametrize(
    ("name", "entry_point"),
    [("go", "HasCloseElements"), ("java", "hasCloseElements"), ("js", "hasCloseElements")],
)
def test_names_are_spelt_as_the_language_does(name: str, entry_point: str) -> None:
    assert entry_point_in(name, "has_close_elements") == entry_point
    assert entry_point_in("rust", "has_close_elements") == "has_close_elements"
    assert entry_point_in("go", "minSubArraySum") == "Minsubarraysum"  # as in HumanEvalPack


def test_documentation_in_line_comments_and_a_blank_before_the_brace() -> None:
    prompt = "#include<a>\n// not this one\nint x;\n// first //\n\n// second\nint f(int a) {\n"
    words = wording("cpp", {"prompt": prompt}, "f", "row 1")
    assert (words.signature, words.docstring) == ("int f(int a) ", "first\nsecond")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"prompt": "x = 1\n"}, "field `prompt` has no function"),
        ({"prompt": "def add_up(a):\n    pass\n"}, "field `prompt` must have exactly one documentation string"),
        ({"prompt": 5}, "field `prompt` must be a string, not int"),
        ({"test": None}, "field `test` must be a string, not NoneType"),
        ({"task_id": "Python/7"}, "field `task_id` is 'Python/7', but the same row"),
    ],
)
def test_a_wrong_row_is_named(change: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    source = write_source(tmp_path, python=[PYTHON | change])
    with pytest.raises(UserError, match=r"python/humaneval.jsonl line 1: ") as error:
        build_pack(source, tmp_path / "out")
    assert complaint in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_declaration_without_a_function_is_named(tmp_path: Path) -> None:
    source = write_source(tmp_path, python=[PYTHON], rust=[RUST | {"declaration": "fn add_up(a: i32) {\n"}])
    with pytest.raises(UserError, match=r"rust/humaneval.jsonl line 1: field `declaration` has no line that begins"):
        build_pack(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"import": ""}, "field `test_setup` is missing"),
        ({"import": "", "test_setup": "package main", "test": " "}, "field `test` must not be blank"),
        ({"import": "", "test_setup": "\ud800"}, "field `test_setup` is not valid Unicode at character 0"),
    ],
)
def test_rows_that_could_not_be_loaded_are_not_written(change: dict[str, str], complaint: str, tmp_path: Path) -> None:
    go = {
        "task_id": "Go/0",
        "prompt": "\n// Add one.\nfunc AddUp(a int) int {\n",
        "declaration": "\nfunc AddUp(a int) int {\n",
        "canonical_solution": "    return a + 1\n}\n",
        "test": "func TestAddUp(t *testing.T) {\n}\n",
    }
    source = write_source(tmp_path, python=[PYTHON], go=[go | change])
    with pytest.raises(UserError, match=f"go/humaneval.jsonl line 1: {complaint}"):
        build_pack(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_kinds_of_bug_stand_in_pythons_file(tmp_path: Path) -> None:
    source = write_source(tmp_path, python=[PYTHON], rust=[RUST])
    (source / "python" / "humaneval.jsonl").unlink()
    assert build_pack(source, tmp_path / "out").rows == {"rust": 1}
    (source / "python" / "bugs.json").unlink()
    with pytest.raises(UserError, match=r"python/bugs.json is missing: it says the bug_type and failure_symptoms"):
        build_pack(source, tmp_path / "out")


def test_errors_take_one_line(tmp_path: Path) -> None:
    source = write_source(tmp_path, python=[PYTHON])
    (tmp_path / "wrong.yaml").write_text("entry_points: {\n  go: [\n")
    with pytest.raises(UserError, match=r"wrong.yaml cannot be read: while parsing") as error:
        build_pack(source, tmp_path / "out", corrections=tmp_path / "wrong.yaml")
    assert "\n" not in str(error.value)


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no problems"):
        read_source(tmp_path)
    source = write_source(tmp_path, python=[PYTHON])
    with pytest.raises(UserError, match=r"go/humaneval.jsonl is missing"):
        read_source(source, ["go"])
    with pytest.raises(UserError, match="unknown language 'cobol'"):
        read_source(source, ["cobol"])
    (source / "python" / "bugs.json").write_text("[]")
    with pytest.raises(UserError, match=r"bugs.json has 0 problems and .* has 1"):
        read_source(source)
    for text in ("{", "[" * 100_000):
        (source / "python" / "bugs.json").write_text(text)
        with pytest.raises(UserError, match=r"bugs.json: not JSON"):
            read_source(source)
    (source / "python" / "bugs.json").write_text('[{"buggy_solution": "x", "bug_type": "odd"}]')
    with pytest.raises(UserError, match=r"bugs.json item 1: field `failure_symptoms` is missing"):
        read_source(source)
    (source / "python" / "bugs.json").unlink()
    with pytest.raises(UserError, match="octopack pack prepare"):
        read_source(source)
    write_source(tmp_path, python=[PYTHON, PYTHON])
    with pytest.raises(UserError, match=r"line 2: field `task_id` repeats 'Python/0'"):
        read_source(source)
    for text in ('{"task_id": "Python/0"', "[" * 100_000):
        (source / "python" / "humaneval.jsonl").write_text(text)
        with pytest.raises(UserError, match=r"humaneval.jsonl line 1: not a JSON object"):
            read_source(source)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = write_source(tmp_path, python=[PYTHON])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/python.jsonl cannot be written"):
        build_pack(source, tmp_path / "file")
    (tmp_path / "out" / "python.jsonl").mkdir(parents=True)
    with pytest.raises(UserError, match=r"out/python.jsonl cannot be written"):
        build_pack(source, tmp_path / "out")
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["python.jsonl"]


def test_all_files_are_written_or_none(tmp_path: Path) -> None:
    source = write_source(tmp_path, python=[PYTHON], rust=[RUST])
    (tmp_path / "out" / "rust.jsonl").mkdir(parents=True)
    with pytest.raises(UserError, match=r"out/rust.jsonl cannot be written: it is a folder"):
        build_pack(source, tmp_path / "out")
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["rust.jsonl"]


def test_the_commands(tmp_path: Path) -> None:
    source = write_source(tmp_path, python=[PYTHON])
    (source / "python" / "bugs.json").unlink()
    app = typer.Typer()
    register(app)
    prepared = CliRunner().invoke(app, ["pack", "prepare", str(source)])
    assert prepared.stdout == f"wrote {source / 'python' / 'bugs.json'}\n"
    built = CliRunner().invoke(app, ["pack", "build", str(source), str(tmp_path / "out")])
    assert built.stdout == f"{tmp_path / 'out' / 'python'}.jsonl: 1 rows\n"
    assert (tmp_path / "out" / "python.jsonl").is_file()
