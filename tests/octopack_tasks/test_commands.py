"""The commands, as a user types them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from stand_ins import StandInSandbox

from octopack_tasks import cli, get_task, load_problems
from octopack_tasks.presets import get_preset, presets, published_scores
from octopack_tasks.runs import Run
from sandboxes import SandboxUnavailable

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def octopack(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Typed:
    """Types a command: its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OCTOPACK_DATASET", "starter")
    monkeypatch.setattr("octopack_tasks.evaluation.open_sandbox", lambda *_, **__: StandInSandbox())

    (ours,) = [point for point in entry_points(group="octopack.commands") if point.name == "evaluate"]

    def type_(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["octopack", *map(str, arguments)])
        monkeypatch.setattr(cli, "entry_points", lambda group: [ours])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return type_


REPLAY = ("--backend", "replay", "--model", "canonical")
CORRECTED = ("--reading", "corrected")


def test_evaluate_prints_a_table_and_keeps_everything(octopack: Typed) -> None:
    command = ("evaluate", *REPLAY, "--tasks", "humanevalfixtests-python, humanevalfixdocs-go,", "--n-samples", 3)
    code, out, _ = octopack(*command, "--out", "run")
    assert code == 0
    assert "humanevalfixtests-python" in out
    assert "humanevalfixdocs-go" in out
    assert "by bug" in out
    results = json.loads(next(Path("run").glob("results*.json")).read_text())
    manifest = results["manifest"]
    assert manifest["command"][1:3] == ["evaluate", "--backend"]
    assert manifest["settings"]["sampling"] == {"temperature": 0.2, "top_p": 0.95, "top_k": 0, "seed": 0}
    assert manifest["scoring"]["paper"]["backend"] == "stand-in"
    assert manifest["versions"]["octopack"]
    assert octopack("status", "run")[0] == 0
    again, out_again, _ = octopack(*command, "--out", "run")
    assert (again, out_again) == (0, out)


def test_the_two_halves_give_what_the_whole_does(octopack: Typed) -> None:
    tasks = ("--tasks", "humanevalexplain-js", "--n-samples", 2)
    octopack("evaluate", *REPLAY, *tasks, "--out", "whole")
    code, out, _ = octopack("generate", *REPLAY, *tasks, "--out", "halves")
    assert code == 0
    assert "octopack score halves" in out
    code, out, _ = octopack("status", "halves")
    assert (code, "incomplete" in out) == (1, True)
    code, scored, _ = octopack("score", "halves", "--json")
    assert code == 0
    whole = json.loads(next(Path("whole").glob("results*.json")).read_text())["results"]
    assert json.loads(scored)["results"] == whole
    assert "synthesize" in "".join(whole)


def test_shards_of_an_array_become_one_run(octopack: Typed) -> None:
    tasks = ("--tasks", "humanevalfixtests-rust", "--n-samples", 2)
    for index in range(3):
        assert octopack("evaluate", *REPLAY, *tasks, "--tasks-shard", f"{index}/3", "--out", "run")[0] == 0
    for command in (("status", "run"), ("score", "run"), ("compare", "run", "run")):
        code, _, err = octopack(*command)
        assert (code, "`octopack merge run/shard-* --out RUN`" in err) == (2, True)
    parts = [f"run/shard-{index}-of-3" for index in range(3)]
    code, out, _ = octopack("merge", *parts, "--out", "whole")
    assert (code, "complete" in out) == (0, True)
    octopack("evaluate", *REPLAY, *tasks, "--out", "other")
    code, out, _ = octopack("compare", "whole", "other")
    assert code == 0
    assert "+0.0%" in out
    difference = json.loads(octopack("compare", "whole", "other", "--json")[1])
    assert difference["tasks"][0]["flips"] == []
    assert difference["settings"] == []


def test_generations_are_scored_and_merged(octopack: Typed) -> None:
    task = get_task("humanevalfixtests-cpp")
    answers = [[task.answer(problem, "\n" + problem.canonical_solution)] for problem in load_problems("cpp", "starter")]
    for index, group in enumerate(answers):
        Path(f"generations_{task.name}_{index}.json").write_text(json.dumps([group]))
    parts = [f"generations_{task.name}_{index}.json" for index in range(len(answers))]
    name = f"generations_{task.name}.json"
    assert octopack("merge", *parts, "--out", name)[0] == 0
    assert json.loads(Path(name).read_text()) == answers
    code, out, _ = octopack("score", name, "--out", "run")
    assert code == 0
    assert task.name in out
    assert len(Run(Path("run")).judgements(task.name, "paper")) == len(answers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "--tasks", "humanevalfix", "--out", "run"), "name a model with --model"),
        (("evaluate", *REPLAY, "--tasks", "humanevalfox", "--out", "run"), "no task or group 'humanevalfox'"),
        (("evaluate", *REPLAY, "--tasks", "", "--out", "run"), "name at least one task"),
        (
            (
                "evaluate",
                *REPLAY,
                "--preset",
                "octocoder",
                "--n-samples",
                "0",
                "--tasks",
                "humanevalfix",
                "--out",
                "run",
            ),
            "--n-samples must be",
        ),
        (("evaluate", *REPLAY, "--tasks", "humanevalfix", "--prompt", "octo", "--out", "run"), "unknown prompt format"),
        (("evaluate", *REPLAY, "--tasks", "humanevalfix", "--backend", "vlm", "--out", "run"), "unknown --backend"),
        (("evaluate", *REPLAY, "--tasks", "humanevalfix", "--stop", "now", "--out", "run"), "paper, never"),
        (("evaluate", *REPLAY, "--tasks", "humanevalfix", "--n-samples", "0", "--out", "run"), "--n-samples must be"),
        (("evaluate", *REPLAY, "--tasks", "humanevalfix", "--dataset", "./x", "--out", "run"), "no folder './x'"),
        (("evaluate", *REPLAY, "--tasks", "humanevalfix", "--tasks-shard", "4/4", "--out", "run"), "0 <= i < n"),
        (("evaluate", *REPLAY, "--tasks", "humanevalfix", "--model-args", "fast", "--out", "run"), "key=value"),
        (("evaluate", *REPLAY, "--tasks", "humanevalfix", "--executor", "slurm", "--out", "run"), "local, ray"),
        (("evaluate", *REPLAY, "--tasks", "humanevalexplainsynthesize-go", "--out", "run"), "needs descriptions"),
        (("evaluate", "--preset", "octopus", "--tasks", "humanevalfix", "--out", "run"), "unknown preset 'octopus'"),
        (("score", "nowhere.json"), "no file or folder"),
        (("status", "nowhere"), "no run"),
        (("compare", "nowhere", "nowhere"), "no run"),
        (("presets", "octopus"), "unknown preset"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(
    octopack: Typed, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = octopack(*arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert out == ""
    assert not list(Path().rglob("*.json*"))


def test_a_k_that_the_samples_do_not_allow(octopack: Typed) -> None:
    code, _, err = octopack(
        "evaluate", *REPLAY, "--tasks", "humanevalfixtests-go", "--k", 1, "--k", 3, "--n-samples", 2, "--out", "run"
    )
    assert code == 2
    assert "pass@3 needs 1 <= k <= 2, the samples of every problem in humanevalfixtests-go: draw more" in err
    assert not Path("run").exists(), "it is said before anything is generated"


def test_what_cannot_be_scored_is_said_before_anything_is_written_or_judged(octopack: Typed) -> None:
    problems = load_problems("python", "starter")
    lines = [json.dumps({"task_id": problem.task_id, "completion": ""}) for problem in (*problems, problems[0])]
    Path("uneven.jsonl").write_text("\n".join(lines))
    for arguments, message in (
        (("--tasks", "humanevalfixtests-python", "--k", 2), "pass@2 needs 1 <= k <= 1"),
        (("--tasks", "humanevalexplaindescribe-python"), "descriptions have no tests"),
    ):
        code, _, err = octopack("score", "uneven.jsonl", *arguments, "--out", "run")
        assert (code, message in err, Path("run").exists()) == (2, True, False)
    octopack("score", "uneven.jsonl", "--tasks", "humanevalfixtests-python", "--out", "imported")
    assert "pass@2 needs 1 <= k <= 1" in octopack("score", "imported", "--again", "--k", 2)[2]
    assert Run(Path("imported")).judgements("humanevalfixtests-python", "paper")
    octopack("generate", *REPLAY, "--tasks", "humanevalfixtests-go", "--out", "generated")
    code, _, err = octopack("score", "generated", "--reading", "both")
    assert (code, "generate them with --stop never" in err) == (2, True)
    assert not Run(Path("generated")).judgements("humanevalfixtests-go", "paper")


def test_a_run_says_what_completes_it(octopack: Typed) -> None:
    command = ("--tasks", "humanevalfixtests-go", "--n-samples", 2)
    octopack("generate", *REPLAY, *command, "--out", "generated")
    assert "`octopack score generated` judges the rest" in octopack("status", "generated")[1]
    octopack("evaluate", *REPLAY, *command, "--tasks-shard", "1/3", "--out", "parts")
    code, out, _ = octopack("merge", "parts/shard-1-of-3", "--out", "whole")
    assert code == 1
    assert "then merge all of them again (merged from parts/shard-1-of-3)" in out
    octopack("evaluate", "--backend", "replay", "--model", "typo", *command, "--out", "begun")
    code, out, _ = octopack("status", "begun")
    assert code == 1
    assert "run the command that began it again: octopack evaluate --backend replay --model typo" in out


def test_who_interrupts_a_run_is_told_that_it_goes_on(octopack: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("evaluate", *REPLAY, "--tasks", "humanevalfixtests-go", "--out", "run")
    with monkeypatch.context() as patched:

        def interrupted(*_: Any) -> None:
            raise KeyboardInterrupt

        patched.setattr(StandInSandbox, "__enter__", interrupted)
        code, _, err = octopack(*command)
    assert (code, "interrupted; the same command goes on with run" in err) == (130, True)
    assert octopack(*command)[0] == 0


def test_what_a_stranger_named_does_not_steer_the_terminal(octopack: Typed) -> None:
    rows = [problem.to_row() for problem in load_problems("python", "starter")]
    evil = [
        {**row, "task_id": f"Evil\x1b[2J/[red]{index}[/blue]", "bug_type": "\x1b]0;title\x07[/b]"}
        for index, row in enumerate(rows)
    ]
    Path("evil").mkdir()
    Path("evil/python.jsonl").write_text("\n".join(map(json.dumps, evil)))
    task = ("--tasks", "humanevalfixtests-python", "--dataset", "evil")
    _, results, _ = octopack("evaluate", *REPLAY, *task, "--out", "right")
    assert "by bug: \\x1b]0;title\\x07[/b] " in results
    octopack("evaluate", "--backend", "replay", "--model", "buggy", *task, "--out", "wrong")
    _, difference, _ = octopack("compare", "right", "wrong")
    octopack("generate", "--backend", "replay", "--model", "typo", *task, "--out", "begun")
    _, lacking, _ = octopack("status", "begun")
    assert all("Evil\\x1b[2J/[red]0[/blue]" in text for text in (difference, lacking))
    assert "\x1b" not in results + difference + lacking


def test_a_run_under_another_reading_is_complete(octopack: Typed) -> None:
    octopack("evaluate", *REPLAY, "--tasks", "humanevalfixtests-go", *CORRECTED, "--out", "run")
    assert octopack("status", "run")[0] == 0
    octopack("evaluate", *REPLAY, "--tasks", "humanevalfixtests-go", "--out", "other", "--stop", "never")
    code, _, err = octopack("compare", "run", "other", "--reading", "corrected")
    assert (code, "score them first (first: humanevalfixtests-go; second: none)" in err) == (2, True)


def test_a_reading_says_how_its_completions_end(octopack: Typed) -> None:
    command = ("evaluate", *REPLAY, "--tasks", "humanevalfixtests-go", "--reading", "both")
    code, _, err = octopack(*command, "--stop", "paper", "--out", "run")
    assert (code, "leave out --stop paper" in err, Path("run").exists()) == (2, True, False)
    assert octopack(*command, "--out", "run")[0] == 0
    assert Run(Path("run")).manifest["settings"]["stop"] == "never"
    assert {path.name for path in Path("run").glob("results*.json")} == {"results.json", "results-corrected.json"}


def test_verdicts_are_kept_where_nothing_can_judge_them_again(octopack: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    octopack("evaluate", *REPLAY, "--tasks", "humanevalfixtests-go", "--out", "run")

    def unavailable(*_: Any, **__: Any) -> Any:
        raise SandboxUnavailable("there is no sandbox")

    monkeypatch.setattr("octopack_tasks.evaluation.open_sandbox", unavailable)
    code, _, err = octopack("score", "run", "--again")
    assert (code, "there is no sandbox" in err) == (2, True)
    assert octopack("status", "run")[0] == 0
    code, _, err = octopack("evaluate", *REPLAY, "--tasks", "humanevalfixtests-go", "--out", "other")
    assert code == 2
    assert not list(Path("other").rglob("*.json"))


def test_a_dataset_is_found_from_any_folder_and_may_be_moved(octopack: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("rows").mkdir()
    rows = [json.dumps(problem.to_row()) for problem in load_problems("go", "starter")]
    Path("rows/go.jsonl").write_text("\n".join(rows))
    Path("elsewhere").mkdir()
    octopack("evaluate", *REPLAY, "--tasks", "humanevalfixtests-go", "--dataset", "rows", "--out", "run")
    with monkeypatch.context() as there:
        there.chdir("elsewhere")
        assert octopack("status", "../run")[0] == 0
    Path("rows").rename("moved")
    assert "no folder" in octopack("status", "run")[2]
    assert octopack("score", "run")[0] == 2  # the variable names another dataset, which is not what the run is about
    assert octopack("score", "run", "--dataset", "moved")[0] == 0
    assert octopack("status", "run")[0] == 0
    Path("moved/go.jsonl").write_text("\n".join(rows[1:]))
    assert "has changed" in octopack("score", "run", "--dataset", "moved")[2]


def test_names_are_not_taken_for_markup(octopack: Typed) -> None:
    folder = Path("a[/b]")
    octopack("evaluate", *REPLAY, "--tasks", "humanevalfixtests-go", "--limit", 1, "--out", folder)
    for command in (("status", folder), ("status", folder, "--watch"), ("compare", folder, folder)):
        code, out, _ = octopack(*command)
        assert (code, str(folder) in out) == (0, True)


def test_a_score_of_a_part_of_the_dataset_says_so(octopack: Typed) -> None:
    task = get_task("humanevalfixtests-go")
    problems = load_problems("go", "starter")
    Path("some.jsonl").write_text(json.dumps({"task_id": problems[3].task_id, "completion": "}"}))
    code, out, _ = octopack("score", "some.jsonl", "--tasks", task.name)
    assert code == 0
    assert f"{task.name}: 1 of the dataset's {len(problems)} problems only" in out
    assert "% (" not in out, "a single problem tells nothing of others"
    scored = json.loads(octopack("score", "some.jsonl", "--tasks", task.name, "--json")[1])
    (scores,) = scored["results"][task.name]["scores"].values()
    assert (scores["stderr"], scores["low"], scores["high"]) == (None, None, None)
    _, out, _ = octopack("evaluate", *REPLAY, "--tasks", task.name, "--out", "run")
    assert "problems only" not in out


def test_a_shard_without_problems_is_complete(octopack: Typed) -> None:
    command = ("--tasks", "humanevalfixtests-go,humanevalexplain-go", "--tasks-shard", "30/31")
    assert octopack("evaluate", *REPLAY, *command, "--out", "run")[0] == 0
    assert octopack("status", "run/shard-30-of-31")[0] == 0
    assert octopack("status", "run/shard-30-of-31", "--watch")[0] == 0


def test_presets_are_listed_beside_their_scores(octopack: Typed) -> None:
    _, out, _ = octopack("presets")
    assert all(name in out for name in presets())
    (octocoder,) = [line for line in out.splitlines() if "bigcode/octocoder" in line]
    assert octocoder.split()[-8:-1:2] == ["27.0", "48.7", "24.5", "35.5"]  # fix, fixdocs, explain, synthesize
    _, out, _ = octopack("presets", "octocoder")
    assert "bigcode/octocoder" in out
    assert "python 30.4" in out
    shown = [line for line in out.splitlines() if "Descriptions of HumanEvalExplain" in line]
    assert [line.split("(")[1].split(")")[0] for line in shown] == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR"]
    _, out, _ = octopack("presets", "starcoder-commit")
    assert "(humanevalfixdocs-cpp, pass@k): pass@1 51.4634" in out
    content = json.loads(octopack("presets", "wizardcoder", "--json")[1])
    assert {row["preset"] for row in content["published"]} == {"wizardcoder"}


@pytest.mark.parametrize("name", sorted(presets()))
def test_presets_plan_the_tasks_they_have(name: str) -> None:
    preset = get_preset(name)
    for scenario, planned in preset.tasks.items():
        plan = preset.task_plan(get_task(f"humaneval{scenario}-go"))
        assert (plan.prompt, plan.n_samples) == (planned.prompt, planned.n_samples)
        given = preset.task_plan(get_task(f"humaneval{scenario}-go"), n_samples=3, max_length=99)
        assert (given.n_samples, given.max_length) == (3, 99)
    assert preset.backend in ("vllm", "transformers", "openai")
    assert name in {row.preset for row in published_scores()} | {"starcoder-commit"}


def test_a_preset_gives_way_to_what_is_typed(octopack: Typed) -> None:
    common = ("--preset", "octocoder", *REPLAY, "--tasks", "humanevalfixtests-python")
    octopack("generate", *common, "--n-samples", 2, "--temperature", 0.7, "--out", "run")
    settings = Run(Path("run")).manifest["settings"]
    plan = settings["tasks"]["humanevalfixtests-python"]
    assert (plan["prompt"], plan["n_samples"], plan["max_length"]) == ("octocoder", 2, 2048)
    assert (settings["sampling"]["temperature"], settings["sampling"]["top_p"]) == (0.7, 0.95)


def test_help_comes_without_heavy_imports() -> None:
    import subprocess

    script = (
        "import sys; import octopack_tasks.commands, octopack_tasks.cli; "
        "heavy = {'torch', 'vllm', 'transformers', 'docker', 'ray', 'datasets', 'duckdb', 'numpy', 'requests'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"
