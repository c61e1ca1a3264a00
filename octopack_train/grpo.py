"""Reinforcement learning on fix-the-bug problems: TRL's GRPO, with verdicts of a sandbox as reward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octopack_train import faults, synthetic
from octopack_train.data import Manifest, checksums, load_rows
from octopack_train.errors import TrainingError
from octopack_train.model import check_device, load_config, load_model, load_tokenizer, lora_config
from octopack_train.recipe import GrpoSection, Recipe
from octopack_train.run_folder import RunFolder
from octopack_train.sft import Report, begun, callbacks, finish, on_one_device, trainer_options

if TYPE_CHECKING:
    from datasets import Dataset

    from octopack_tasks.problems import Problem
    from octopack_tasks.tasks import Task
    from sandboxes import Sandbox

Reward = Callable[..., Any]
"""What TRL calls: `reward(prompts, completions, **columns)`."""

_BENCHMARK = "bigcode/humanevalpack"
_TESTS, _LANGUAGE, _PROBLEM = "tests", "language", "problem"


@dataclass(frozen=True)
class FixProblems:
    """Prompts to train on, and what rewards their completions.

    Attributes:
        rows: data set with the column `prompt` and those which the reward reads.
        languages: languages of the programs that the reward runs.
        reward: makes the reward function for an open sandbox.
    """

    rows: Dataset
    languages: tuple[str, ...]
    reward: Callable[[Sandbox], Reward]


class FixReward:
    """Pays 1 for a completion that makes the problem's tests pass, judged exactly as the benchmark judges it.

    A pass that looks like cheating pays nothing: a policy that is paid for cheating learns to cheat.

    Args:
        sandbox: where programs run; open for all languages of the problems.
        problems: task and problem by the value of the column `problem`.
    """

    __name__ = "fix"  # TRL logs the reward under this name

    def __init__(self, sandbox: Sandbox, problems: Mapping[str, tuple[Task, Problem]]) -> None:
        self._sandbox = sandbox
        self._problems = problems

    def __call__(
        self, prompts: Sequence[str], completions: Sequence[str], *, problem: Sequence[str], **_: Any
    ) -> list[float]:
        """Return the rewards of a batch of completions, in order."""
        programs = []
        for name, completion in zip(problem, completions, strict=True):
            task, asked = self._problems[name]
            programs.append(task.program(asked, task.solution(asked, completion)))
        return [float(verdict.passed and not verdict.suspicious) for verdict in self._sandbox.run(programs)]


def train(recipe: Recipe, *, fresh: bool = False, report: Report = print) -> RunFolder:
    """Train as the recipe says; see `octopack_train.sft.train`.

    Raises:
        TrainingError: recipe, data or machine must change, or no sandbox can be had.
    """
    from sandboxes import SandboxUnavailable, open_sandbox

    options = recipe.grpo
    assert options is not None
    check_device(recipe)
    load_config(recipe.model)
    tokenizer = load_tokenizer(recipe.model)
    problems = load_problems(recipe, tokenizer, report)
    run = RunFolder(Path(recipe.output))
    run.check(recipe, fresh=fresh)
    if run.is_finished() and not fresh:
        report(f"{run.path} is finished already; --fresh trains again.")
        return run
    report(f"{len(problems.rows)} problems from {recipe.data.path} in {', '.join(problems.languages)}.")
    try:
        sandbox = open_sandbox(options.sandbox, languages=problems.languages)  # type: ignore[arg-type]
    except (SandboxUnavailable, ValueError) as error:
        raise TrainingError(f"GRPO needs a sandbox that runs the programs: {error}") from error
    with sandbox, faults.memory(recipe):
        trainer = _build_trainer(recipe, options, problems, sandbox, tokenizer, run, report)
        manifest = Manifest(
            recipe.data.path, checksums(recipe.data.path), problems.rows._fingerprint, len(problems.rows), 0
        )
        with begun(run, recipe, manifest, fresh=fresh, report=report) as checkpoint:
            trainer.train(resume_from_checkpoint=checkpoint)
            finish(trainer, tokenizer, recipe, run)
    return run


def load_problems(recipe: Recipe, tokenizer: Any, report: Report) -> FixProblems:
    """Return the problems of `data.path` whose prompts fit `grpo.prompt_length`.

    `starter`, or a folder or hub data set with HumanEvalPack's columns, gives fix problems in the recipe's languages;
    `synthetic-fixes` and files with the columns `prompt` and `tests` (and `language`) are taken as they are.

    Raises:
        TrainingError: no such problems, or none that fits.
    """
    options = recipe.grpo
    assert options is not None
    found = _rows_with_tests(recipe) if _has_tests(recipe.data.path) else _benchmark_problems(recipe, report)
    longest = options.prompt_length
    rows = found.rows.filter(lambda row: len(tokenizer(row["prompt"])["input_ids"]) <= longest)
    if not len(rows):
        raise TrainingError(f"Every prompt is longer than grpo.prompt_length={longest} tokens: raise it.")
    if len(rows) < len(found.rows):
        report(f"{len(found.rows) - len(rows)} problems are longer than grpo.prompt_length={longest} and left out.")
    return FixProblems(rows, found.languages, found.reward)


def _has_tests(path: str) -> bool:
    return path == synthetic.DATA_SET or Path(path).is_file()


def _rows_with_tests(recipe: Recipe) -> FixProblems:
    from sandboxes.reward import TestsPass

    rows, _ = load_rows(recipe.data, recipe.train.seed)
    if recipe.data.path == synthetic.DATA_SET:
        rows = rows.rename_column("test", _TESTS)
        rows = rows.map(lambda row: {"prompt": f"Question: {row['prompt']}\n\nAnswer:\n", _LANGUAGE: "python"})
    if _TESTS not in rows.column_names:
        raise TrainingError(f"{recipe.data.path} lacks {_TESTS!r} (its columns: {', '.join(rows.column_names)}).")
    languages = ("python",)
    if _LANGUAGE in rows.column_names:
        languages = tuple(sorted(set(rows[_LANGUAGE])))
    kept = [column for column in ("prompt", _TESTS, _LANGUAGE) if column in rows.column_names]
    return FixProblems(rows.select_columns(kept), languages, lambda sandbox: TestsPass(sandbox, tests_column=_TESTS))


def _benchmark_problems(recipe: Recipe, report: Report) -> FixProblems:
    from datasets import Dataset

    from octopack_tasks.errors import UserError
    from octopack_tasks.tasks import get_task

    assert recipe.grpo is not None
    if recipe.data.path == _BENCHMARK:
        report(f"Warning: {_BENCHMARK} is the benchmark itself: scores on it say nothing after this training.")
    try:
        tasks = [get_task(f"humanevalfixtests-{language}") for language in recipe.grpo.languages]
        by_task = [[(task, problem) for problem in task.problems(recipe.data.path)] for task in tasks]
    except UserError as error:
        raise TrainingError(str(error)) from error
    # Languages in turns, so that data.limit leaves some of each.
    in_turns = [found for turn in zip_longest(*by_task) for found in turn if found is not None]
    problems = {f"{task.name} {problem.task_id}": (task, problem) for task, problem in in_turns[: recipe.data.limit]}
    prompts = [task.prompt(problem).text for task, problem in problems.values()]
    rows = Dataset.from_dict({"prompt": prompts, _PROBLEM: list(problems)})
    languages = tuple(dict.fromkeys(task.language.name for task, _ in problems.values()))
    return FixProblems(rows, languages, lambda sandbox: FixReward(sandbox, problems))


def _build_trainer(
    recipe: Recipe,
    options: GrpoSection,
    problems: FixProblems,
    sandbox: Sandbox,
    tokenizer: Any,
    run: RunFolder,
    report: Report,
) -> Any:
    from transformers import PrinterCallback
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    if (recipe.rows_per_step * options.iterations) % options.generations:
        raise TrainingError(
            f"A step has {recipe.rows_per_step} completions (train.batch_size x train.gradient_accumulation x "
            f"launch.processes): make it a multiple of grpo.generations={options.generations}."
        )
    model = load_model(recipe)
    trainer = GRPOTrainer(
        model=model,
        args=on_one_device(
            GRPOConfig(
                **trainer_options(recipe, run, evaluate=False),
                num_generations=options.generations,
                max_completion_length=options.completion_length,
                temperature=options.temperature,
                beta=options.beta,
                num_iterations=options.iterations,
                use_vllm=options.vllm,
            )
        ),
        reward_funcs=[problems.reward(sandbox)],
        train_dataset=problems.rows,
        processing_class=tokenizer,
        peft_config=None if recipe.lora is None else lora_config(recipe.lora, model),
        callbacks=callbacks(recipe, report),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
