"""Our tasks in bigcode-evaluation-harness: same names, prompts and arguments; programs run in our sandboxes.

    python -m octopack_tasks.harnesses.bigcode main.py --tasks humanevalfixtests-python --prompt octocoder ...

runs the harness's own `main.py` after `register` has put our tasks in the place of its own. The problems are those
of `OCTOPACK_DATASET`, by default bigcode/humanevalpack. What its implementation gets wrong is listed in
docs/fidelity.md; of that, explainsynthesize works here for Go and Rust, and a `--limit_start` pairs samples with the
right tests.
"""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from octopack_tasks.descriptions import Missing
from octopack_tasks.errors import UserError
from octopack_tasks.metrics import Tally, mean_pass_at_k
from octopack_tasks.problems import Problem
from octopack_tasks.prompts import DEFAULT_FORMAT, END_OF_TEXT
from octopack_tasks.tasks import TASKS, Task
from sandboxes import SandboxUnavailable, open_sandbox

_LOGS = Path("logs.json")
"""Where the harness keeps what came of each sample: in the current folder."""


def register() -> None:
    """Replace the harness's HumanEvalPack tasks by ours, in this process.

    Raises:
        UserError: The harness cannot be imported.
    """
    try:
        from bigcode_eval import tasks  # type: ignore[import-not-found]
        from bigcode_eval.base import Task as HarnessTask  # type: ignore[import-not-found]
    except ImportError as error:
        raise UserError(
            f"bigcode-evaluation-harness cannot be imported ({error}): run this in its folder, or install it from "
            "github.com/bigcode-project/bigcode-evaluation-harness"
        ) from error
    tasks.TASK_REGISTRY.update({name: _task_class(task, HarnessTask) for name, task in TASKS.items()})
    tasks.ALL_TASKS[:] = sorted(tasks.TASK_REGISTRY)


class _Answers:
    """What the harness asks of a task, answered by one of ours."""

    requires_execution = True
    _task: Task

    def _load(self, prompt: str, load_data_path: str | None = None) -> None:
        self._format = prompt
        self._problems = tuple(self._task.problems(None, load_data_path, Missing.DROP))
        self._own_stop_words = self._task.stop_words(prompt)
        self.stop_words = list(self._own_stop_words)  # the harness appends to it
        self.dataset = {"test": [{"index": i, **problem.to_row()} for i, problem in enumerate(self._problems)]}

    def get_dataset(self) -> list[dict[str, Any]]:
        """The problems."""
        return self.dataset["test"]

    def get_prompt(self, doc: dict[str, Any]) -> str:
        """The prompt of a problem."""
        return self._task.prompt(self._problems[doc["index"]], self._format).text

    def get_prompt_encoder(self, doc: dict[str, Any]) -> str:
        """What an encoder reads."""
        return self._task.encoder_prompt(self._problems[doc["index"]], self._format)

    def get_reference(self, doc: dict[str, Any], get_solution: bool = False) -> str | None:
        """The tests of a problem, or its right solution; nothing where answers are descriptions."""
        problem = self._problems[doc["index"]]
        if not self._task.is_executed:
            return None
        return problem.prompt + problem.canonical_solution if get_solution else _tests(problem)

    def postprocess_generation(self, generation: str, idx: int) -> str:
        """The answer in a generation, which begins with the prompt."""
        problem = self._problems[idx]
        prompt = self._task.prompt(problem, self._format).text
        completion = generation[len(prompt) :].rstrip()
        if not self._task.is_executed:  # the limit of a description cuts before stop words do
            completion = completion.lstrip()[: len(problem.docstring)]
        return self._task.answer(problem, self._marked(completion), self._format)

    def _marked(self, completion: str) -> str:
        """The completion up to a word that the harness added (such as the end token), with a stop word of ours there.

        Cutting it off would be the same but for blanks before it, which the reference keeps (not in descriptions).
        """
        mark = END_OF_TEXT if self._task.is_executed else ""
        for word in self.stop_words[len(self._own_stop_words) :]:
            before, found, _ = completion.partition(word)
            completion = before + mark if found else completion
        return completion

    def process_results(self, generations: Sequence[Sequence[str]], references: Sequence[str]) -> dict[str, float]:
        """Run all programs in a sandbox; the score, and `logs.json` beside it."""
        if not self._task.is_executed:
            raise UserError(
                f"{self._task.name} has no tests: run it with --generation_only, then "
                f"humanevalexplainsynthesize-{self._task.language.name} with --load_data_path"
            )
        if len(generations) != len(references):
            raise UserError(f"there are samples of {len(generations)} problems, but {len(references)} are asked for")
        by_tests = {_tests(problem): problem for problem in reversed(self._problems)}
        problems = [by_tests[tests] for tests in references]
        groups = [
            self._task.programs_in_one_call(
                problem, [self._task.solution_of_answer(problem, answer or "", self._format) for answer in answers]
            )
            for problem, answers in zip(problems, generations, strict=True)
        ]
        try:
            with open_sandbox(languages=(self._task.language.name,)) as sandbox:
                verdicts = iter(sandbox.run([program for group in groups for program in group]))
        except SandboxUnavailable as error:
            raise UserError(str(error)) from error
        from octopack_tasks.harnesses.hf_evaluate.code_eval_octopack.code_eval_octopack import result_of

        logs = {
            index: [(number, result_of(index, number, next(verdicts))) for number in range(len(group))]
            for index, group in enumerate(groups)
        }
        _LOGS.write_text(json.dumps(logs, indent=4, ensure_ascii=False), encoding="utf-8")
        return mean_pass_at_k([Tally.of(result["passed"] for _, result in group) for group in logs.values()])


def _tests(problem: Problem) -> str:
    return "\n" + problem.test


def _task_class(task: Task, harness_task: type) -> type:
    """A class as the harness's registry wants it: its constructor takes the arguments that the task has."""

    def load(self: Any, prompt: str = DEFAULT_FORMAT) -> None:
        self._load(prompt)

    def load_with_descriptions(self: Any, prompt: str = DEFAULT_FORMAT, load_data_path: str | None = None) -> None:
        self._load(prompt, load_data_path)

    def check_fn(self: Any, completion: str) -> bool:
        """Whether a completion is complete."""
        return task.is_complete(self._marked(completion), self._format)

    members: dict[str, Any] = {"_task": task, "__init__": load_with_descriptions if task.needs_descriptions else load}
    if task.is_executed:  # descriptions have no such check: the harness looks whether the method is there
        members["check_fn"] = check_fn
    return type(task.name, (_Answers, harness_task), members)


def main() -> None:
    """Run the harness's `main.py` with our tasks."""
    if len(sys.argv) < 2 or not Path(sys.argv[1]).is_file():
        print(  # noqa: T201 - a command's answer
            "usage: python -m octopack_tasks.harnesses.bigcode PATH/TO/bigcode-evaluation-harness/main.py ARGUMENTS",
            file=sys.stderr,
        )
        sys.exit(2)
    script = sys.argv[1]
    sys.path.insert(0, str(Path(script).resolve().parent))
    sys.argv = sys.argv[1:]
    try:
        register()
        runpy.run_path(script, run_name="__main__")
    except UserError as error:
        print(f"octopack: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
