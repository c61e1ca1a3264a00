"""`octopack pack new`, `bug` and `rows`, as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import octopack_tasks
from octopack_tasks.errors import UserError
from octopack_tasks.pack.bugs import Proposal, problems_of_pack, write_bug_rows
from octopack_tasks.pack.command import register
from octopack_tasks.pack.mutations import BugType, Mutant
from octopack_tasks.pack.symptoms import Symptom

STARTER_PACK = Path(octopack_tasks.__file__).parent / "resources" / "starter_pack"


def run(*arguments: str | Path) -> str:
    application = typer.Typer()
    register(application)
    result = CliRunner().invoke(application, ["pack", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    said = run("new", "twice(x: int) -> int", "--into", tmp_path / "mine", "-l", "python", "-l", "js")
    assert said.count("wrote ") == 3
    folder = tmp_path / "mine" / "twice"
    declared = (folder / "problem.yaml").read_text()
    declared = declared.replace("Say here in a few sentences what the function returns.", "Return twice the number.")
    declared = declared.replace("examples: |\n", "examples: |\n  twice(1) == 2\n")
    declared = declared.replace("tests: |\n", "tests: |\n  twice(2) == 4\n  twice(-3) == -6\n")
    (folder / "problem.yaml").write_text(declared)
    for name, unwritten, body in (
        ("solution.py", "pass  # write the solution here", "return x * 2"),
        ("solution.js", "// write the solution here", "return x * 2"),
    ):
        code = (folder / name).read_text()
        assert unwritten in code
        (folder / name).write_text(code.replace(unwritten, body))
    return folder


def test_from_new_to_rows(problem: Path, tmp_path: Path) -> None:
    shown = run("bug", problem)
    assert "value misuse" in shown
    assert "incorrect output" in shown
    assert "all" in shown
    assert not list(problem.glob("buggy.*"))
    run("bug", problem, "--type", "value misuse", "--choose", "1")
    assert (problem / "buggy.py").read_text() == "def twice(x: int) -> int:\n    return x\n"
    assert "  return x\n" in (problem / "buggy.js").read_text()
    assert run("bug", problem, "-l", "js", "--type", "value misuse", "--choose", "1").endswith(
        f"{problem / 'buggy.py'} has another bug: --language left it out\n"
    )
    said = run("rows", problem.parent, tmp_path / "pack", "--name", "My")
    assert said.count(": 1 rows") == 2
    row = json.loads((tmp_path / "pack" / "python.jsonl").read_text())
    assert row["task_id"] == "MyPython/twice"
    assert (row["bug_type"], row["failure_symptoms"]) == ("value misuse", "incorrect output")
    assert row["docstring"] == "Return twice the number.\n>>> twice(1)\n2"


def test_another_bug_in_a_row_of_a_pack(tmp_path: Path) -> None:
    rows = {}
    for language in ("python", "js"):
        rows[language] = (STARTER_PACK / f"{language}.jsonl").read_text()
        (tmp_path / f"{language}.jsonl").write_text(rows[language])
    said = run("bug", tmp_path, "--task", "0", "--type", "variable misuse", "--choose", "1")
    assert said.count("wrote ") == 2
    for language, text in rows.items():
        before = [json.loads(line) for line in text.splitlines()]
        after = [json.loads(line) for line in (tmp_path / f"{language}.jsonl").read_text().splitlines()]
        assert after[1:] == before[1:]
        assert after[0]["buggy_solution"] not in (before[0]["buggy_solution"], before[0]["canonical_solution"])
        assert after[0]["bug_type"] == "variable misuse"
        assert after[0] | {field: before[0][field] for field in ("buggy_solution", "bug_type")} == before[0]
    with pytest.raises(UserError, match="has 0 problems whose task_id ends with /99"):
        run("bug", tmp_path, "--task", "99")
    with pytest.raises(UserError, match="is neither a problem"):
        run("bug", tmp_path / "nowhere", "--task", "0")


def test_the_other_rows_of_a_pack_stay_as_they_are_byte_for_byte(tmp_path: Path) -> None:
    file = tmp_path / "python.jsonl"
    before = b"\xef\xbb\xbf" + (STARTER_PACK / "python.jsonl").read_bytes().replace(b"\n", b"\r\n")
    file.write_bytes(before)
    problems = problems_of_pack(tmp_path, "3")
    mutant = Mutant(problems["python"].declaration + "    return 'ü'\n", BugType.EXCESS_LOGIC, "", (0, 0), "", "")
    proposal = Proposal(BugType.EXCESS_LOGIC, Symptom.INFINITE_LOOP, {"python": mutant}, (), (), ())
    assert write_bug_rows(tmp_path, problems, proposal) == [file]
    old, new = before.split(b"\n"), file.read_bytes().split(b"\n")
    assert [index for index in range(len(old)) if old[index] != new[index]] == [3]
    assert new[3].endswith(b"}\r")
    row = json.loads(new[3])
    assert (row["buggy_solution"], row["failure_symptoms"]) == ("    return 'ü'\n", "infinite loop")


def test_what_is_wrong_is_said(problem: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown bug type 'typo'; there are: missing logic"):
        run("bug", problem, "--type", "typo")
    with pytest.raises(UserError, match=r"--choose 99: there are \d+ proposals"):
        run("bug", problem, "--choose", "99")
    with pytest.raises(UserError, match=r"solution\.go cannot be read"):
        run("bug", problem, "-l", "go")
    with pytest.raises(UserError, match=r"holds no problem .*`octopack pack new` begins one"):
        run("bug", tmp_path)
    with pytest.raises(UserError, match=r"holds no problem .*those in it do: name one of them"):
        run("bug", problem.parent)
    with pytest.raises(UserError, match=r"holds no problem .*it is a pack: say with --task which"):
        run("bug", STARTER_PACK)
    with pytest.raises(UserError, match=r"'My\\n' cannot begin a task id"):
        run("rows", problem.parent, tmp_path / "pack", "--name", "My\n")
    with pytest.raises(UserError, match=r"buggy\.py is missing"):
        run("rows", problem.parent, tmp_path / "pack")
    with pytest.raises(UserError, match="unknown language 'cobol'"):
        run("new", "half(x: int) -> int", "--into", tmp_path, "-l", "cobol")
    assert not (tmp_path / "half").exists()
