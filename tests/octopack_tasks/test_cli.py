from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint, version
from pathlib import Path

import pytest

from octopack_tasks import TASKS, cli, get_task, load_problems
from octopack_tasks.conformance import FILES


@pytest.fixture
def octopack(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the command line in this process, with the benchmark's own commands; exit code, stdout and stderr."""

    def run(*arguments: str, commands: tuple[str, ...] = ("octopack_tasks.cli:register",)) -> tuple[int, str, str]:
        points = [EntryPoint(value, value, "octopack.commands") for value in commands]
        monkeypatch.setattr(cli, "entry_points", lambda group: points)
        monkeypatch.setattr(sys, "argv", ["octopack", *arguments])
        monkeypatch.delenv("OCTOPACK_DATASET", raising=False)
        with pytest.raises(SystemExit) as end:
            cli.main()
        output = capsys.readouterr()
        return int(end.value.code or 0), output.out, output.err

    return run


def test_version(octopack) -> None:
    assert octopack("--version") == (0, f"octopack {version('octopack')}\n", "")


def test_tasks_list(octopack) -> None:
    code, out, _ = octopack("tasks", "list")
    assert code == 0
    assert all(name in out for name in TASKS)
    assert "humanevalpack-rust" in out


def test_tasks_show_prints_the_prompt_as_it_is(octopack) -> None:
    code, out, err = octopack(
        "tasks", "show", "humanevalfixdocs-go", "--dataset", "starter", "--index", "2", "--prompt", "octocoder"
    )
    prompt = get_task("humanevalfixdocs-go").prompt(load_problems("go", "starter")[2], "octocoder")
    assert (code, out, err) == (0, prompt.text + "\n", "")


def test_tasks_show_by_name_and_for_chat(octopack) -> None:
    problem = load_problems("python", "starter")[3]
    arguments = ("tasks", "show", "humanevalfixtests-python", "--dataset", "starter", "--prompt", "chat")
    code, out, _ = octopack(*arguments, "--task-id", problem.task_id)
    assert code == 0
    assert out.startswith(f"[user]\nFix bugs in {problem.entry_point}.\n")
    assert f"\n[assistant]\n```python\n{problem.declaration.strip()}\n" in out


def test_tasks_show_explains_with_the_documentation_or_given_descriptions(octopack, tmp_path: Path) -> None:
    problems = load_problems("js", "starter")
    arguments = ("tasks", "show", "humanevalexplainsynthesize-js", "--dataset", "starter")
    assert problems[0].docstring in octopack(*arguments)[1]
    file = tmp_path / "descriptions.json"
    file.write_text(json.dumps([[f"The text of {problem.task_id}."] for problem in problems]))
    assert f"The text of {problems[1].task_id}." in octopack(*arguments, "--index", "1", "--descriptions", str(file))[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tasks", "show", "humanevalfix"), "unknown task 'humanevalfix'; `octopack tasks list` shows the 30"),
        (("tasks", "show", "humanevalfixtests-go", "--prompt", "x"), "unknown prompt format 'x'; there are: "),
        (("tasks", "show", "humanevalfixtests-go", "--dataset", "/none"), "no folder '/none'. Choose the problems"),
        (("tasks", "show", "humanevalfixtests-go", "--dataset", "starter", "--index", "99"), "--index 99 is too large"),
        (("tasks", "show", "humanevalfixtests-go", "--dataset", "starter", "--task-id", "Go/x"), "no problem 'Go/x'"),
        (("conformance", "/none"), "/none holds none of the files of recorded facts"),
    ],
)
def test_what_the_user_can_mend_is_one_line(octopack, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = octopack(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith(f"octopack: {message}")
    assert err.count("\n") == 1


def test_an_error_that_quotes_a_stranger_does_not_steer_the_terminal(octopack) -> None:
    _, _, err = octopack("conformance", "/none\x1b[2J\udce9")
    assert err.startswith("octopack: /none")
    assert err.rstrip("\n").isprintable()


def test_a_mistake_of_ours_keeps_its_traceback(octopack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("octopack_tasks.tasks.get_task", lambda name: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        octopack("tasks", "show", "humanevalfixtests-go")


def test_a_broken_package_costs_one_line_only(octopack) -> None:
    code, out, err = octopack("--version", commands=("no.such.module:register", "octopack_tasks.cli:register"))
    assert code == 0
    assert out.startswith("octopack ")
    assert err.startswith("octopack: the commands of 'no.such.module:register' are missing: ModuleNotFoundError")
    assert err.count("\n") == 1


@pytest.fixture
def facts(toy_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "facts"
    folder.mkdir()
    text = get_task("humanevalsynthesize-python").prompt(load_problems("python", toy_folder)[0]).text
    row = {"task": "humanevalsynthesize-python", "prompt": "instruct", "task_id": "Toy/0", "text": text}
    (folder / "prompt_texts.jsonl").write_text(json.dumps(row))
    return folder


def test_conformance(octopack, facts: Path, toy_folder: Path) -> None:
    code, out, _ = octopack("conformance", str(facts), "--dataset", str(toy_folder))
    assert code == 0
    assert "1 rows checked, 0 differ" in out
    assert out.count("absent") == len(FILES) - 1


def test_conformance_fails_on_a_difference(octopack, facts: Path, toy_folder: Path) -> None:
    file = facts / "prompt_texts.jsonl"
    file.write_text(file.read_text().replace("Twice x", "[bold]Thrice x"))
    code, out, _ = octopack("conformance", str(facts), "--dataset", str(toy_folder))
    assert code == 1
    assert "line 1: humanevalsynthesize-python instruct Toy/0" in out
    assert "[bold]Thrice x" in out


def test_conformance_as_json(octopack, facts: Path, toy_folder: Path) -> None:
    code, out, _ = octopack("conformance", str(facts), "--dataset", str(toy_folder), "--json")
    record = json.loads(out)
    assert code == 0
    assert (record["rows"], record["differing"]) == (1, 0)
    assert [file["file"] for file in record["files"] if file["is_present"]] == ["prompt_texts"]


def test_lm_eval_path(octopack) -> None:
    code, out, _ = octopack("lm-eval-path")
    assert code == 0
    assert Path(out.strip()).parts[-3:] == ("harnesses", "lm_eval", "tasks")
