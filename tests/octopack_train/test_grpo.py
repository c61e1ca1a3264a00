import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from octopack_train import grpo
from octopack_train.errors import TrainingError
from octopack_train.grpo import FixReward, load_problems
from octopack_train.model import load_tokenizer
from octopack_train.recipe import Recipe, build_recipe
from sandboxes import Program, Status, Verdict

pytest.importorskip("trl")

GRPO = "grpo={languages: [python, go], generations: 2, prompt_length: 2000, completion_length: 8}"


class Judge:
    """A sandbox that passes programs by a rule and remembers them."""

    def __init__(self, passes: Callable[[Program], bool] = lambda _: True, suspicious: tuple[str, ...] = ()) -> None:
        self.programs: list[Program] = []
        self._passes = passes
        self._suspicious = suspicious

    def run(self, programs: Sequence[Program]) -> list[Verdict]:
        self.programs += programs
        return [
            Verdict(Status.PASSED if self._passes(program) else Status.FAILED, suspicious=self._suspicious)
            for program in programs
        ]

    def __enter__(self) -> "Judge":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def silent(_: str) -> None:
    pass


def test_starter_problems_in_two_languages_are_judged_as_the_benchmark_judges(make_recipe: Callable[..., Recipe]):
    from octopack_tasks.tasks import get_task

    recipe = make_recipe("method=grpo", "data.path=starter", GRPO)
    problems = load_problems(recipe, load_tokenizer(recipe.model), silent)
    assert problems.languages == ("python", "go")
    judge = Judge(lambda program: program.language == "go")
    rows = [problems.rows[0], problems.rows[len(problems.rows) - 1]]
    reward = problems.reward(judge)
    names = [row["problem"] for row in rows]
    assert reward([row["prompt"] for row in rows], ["    return 1\n", "    return 1\n}"], problem=names) == [0.0, 1.0]
    task = get_task("humanevalfixtests-python")
    asked = task.problems("starter").get(names[0].partition(" ")[2])
    assert judge.programs[0] == task.program(asked, task.solution(asked, "    return 1\n"))


def test_a_limit_leaves_problems_of_each_language(make_recipe: Callable[..., Recipe]):
    languages = ("python", "cpp", "js", "java", "go", "rust")
    recipe = make_recipe(
        "method=grpo", "data.path=starter", f"grpo={{languages: [{', '.join(languages)}], prompt_length: 9000}}"
    )
    tokenizer = load_tokenizer(recipe.model)
    for limit, expected in (("7", languages), ("2", languages[:2])):
        limited = build_recipe(yaml.safe_load(recipe.to_yaml()), [f"data.limit={limit}"])
        problems = load_problems(limited, tokenizer, silent)
        named = [name.removeprefix("humanevalfixtests-").split(" ")[0] for name in problems.rows["problem"]]
        assert named == [*languages, "python"][: int(limit)]
        assert problems.languages == expected  # the sandbox opens for these


def test_a_pass_that_looks_like_cheating_pays_nothing():
    class Anything:
        def solution(self, problem: object, completion: str) -> str:
            return completion

        def program(self, problem: object, solution: str) -> Program:
            return Program("python", solution)

    reward = FixReward(Judge(suspicious=("exited early",)), {"x": (Anything(), None)})  # type: ignore[arg-type, dict-item]
    assert reward(["p"], ["c"], problem=["x"]) == [0.0]


def test_a_few_steps_run_for_real(make_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch):
    judge = Judge(lambda program: len(program.source) % 2 == 0)
    monkeypatch.setattr("sandboxes.open_sandbox", lambda *_, **__: judge)
    recipe = make_recipe(
        "method=grpo", "data.path=synthetic-fixes", "data.limit=6", "train.max_steps=2", "train.batch_size=4",
        "train.save_every=1", "grpo={generations: 2, prompt_length: 2000, completion_length: 8}",
        "lora={r: 2, alpha: 4, targets: [c_attn]}",
    )  # fmt: skip
    run = grpo.train(recipe, report=silent)
    assert (run.adapter / "adapter_model.safetensors").is_file()
    assert len(judge.programs) == 8
    logged = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    assert any("reward" in entry for entry in logged)
    assert run.last_checkpoint() == run.checkpoints / "checkpoint-1"


def test_no_sandbox_is_a_clear_error_and_leaves_nothing(
    make_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from sandboxes import SandboxUnavailable

    def refuse(*_: object, **__: object) -> None:
        raise SandboxUnavailable("install bubblewrap")

    monkeypatch.setattr("sandboxes.open_sandbox", refuse)
    recipe = make_recipe("method=grpo", "data.path=synthetic-fixes", "grpo={prompt_length: 2000}")
    with pytest.raises(TrainingError, match="install bubblewrap"):
        grpo.train(recipe, report=silent)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (("data.path=synthetic-fixes", "grpo={prompt_length: 3}"), "longer than grpo.prompt_length=3"),
        (("data.path=./nowhere", "grpo={prompt_length: 9}"), "nowhere"),
    ],
)
def test_problems_that_cannot_be_used(make_recipe: Callable[..., Recipe], overrides: tuple[str, ...], complaint: str):
    recipe = make_recipe("method=grpo", *overrides)
    with pytest.raises(TrainingError, match=complaint):
        load_problems(recipe, load_tokenizer(recipe.model), silent)
