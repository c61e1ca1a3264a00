"""The tasks for Inspect: `inspect eval octopack_tasks/humanevalfixtests-python --model ... -T n_samples=20`.

inspect_ai finds this module by its entry point group. Programs run on our sandboxes, from a scorer: one pool for all
tasks, fed by as many samples as Inspect has in flight.
"""

from __future__ import annotations

import atexit
import functools
import threading
from typing import Any

import anyio.to_thread
from inspect_ai import Epochs
from inspect_ai import Task as InspectTask
from inspect_ai import task as inspect_task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageUser
from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState, generate
from inspect_ai.util import registry_info

from octopack_tasks.errors import UserError
from octopack_tasks.problems import Problem
from octopack_tasks.prompts import CHAT_WITHOUT_PREFILL
from octopack_tasks.readings import get_reading
from octopack_tasks.tasks import TASKS, Task, get_task
from sandboxes import Sandbox, open_sandbox

_NAMESPACE = "octopack_tasks/"


def _build(
    name: str,
    prompt: str,
    n_samples: int,
    k: Any,
    dataset: str | None,
    descriptions: str | None,
    reading: str,
    sandbox: str | None,
) -> InspectTask:
    """A task as Inspect knows it.

    Raises:
        UserError: An argument makes no sense, or the problems are not there.
    """
    task = get_task(name)
    task.check_format(prompt)
    try:
        ks = sorted({int(number) for number in (k if isinstance(k, (list, tuple)) else [1 if k is None else k])})
        n_samples = int(n_samples)
    except (TypeError, ValueError):
        raise UserError(f"k and n_samples must be whole numbers, not {k!r} and {n_samples!r}") from None
    if n_samples < 1 or not ks or ks[0] < 1 or ks[-1] > n_samples:
        raise UserError(f"k={ks} needs 1 <= k <= n_samples, which is {n_samples}")
    problems = task.problems(dataset, descriptions)
    samples = [
        Sample(
            input=_messages(task, problem, prompt),
            target=problem.canonical_solution,
            id=problem.task_id if not problem.candidate else f"{problem.task_id}#{problem.candidate}",
            metadata={"index": index, "bug_type": problem.bug_type},
        )
        for index, problem in enumerate(problems)
    ]
    reading_by_name = get_reading(reading)
    if task.is_executed:
        _sandbox(task.language.name, sandbox)  # a missing sandbox is said before a model is asked
        judge = passes_tests(name, prompt, tuple(problems), reading_by_name.name, sandbox)
    else:
        judge = describes(name, prompt, tuple(problems), reading_by_name.name)
    return InspectTask(
        dataset=MemoryDataset(samples, name=name),
        solver=generate(),
        scorer=judge,
        epochs=Epochs(n_samples, [f"pass_at_{number}" for number in ks] if task.is_executed else ["mean"]),
        metadata={"dataset": problems.dataset, "dataset_sha256": problems.sha256, "prompt": prompt, "reading": reading},
    )


def _messages(task: Task, problem: Problem, prompt_format: str) -> list[ChatMessage]:
    prompt = task.prompt(problem, prompt_format)
    messages: list[ChatMessage] = [ChatMessageUser(content=prompt.text)]
    if prompt.prefill:
        messages.append(ChatMessageAssistant(content=prompt.prefill))
    return messages


@scorer(metrics=[accuracy(), stderr()])
def passes_tests(name: str, prompt: str, problems: tuple[Problem, ...], reading: str, sandbox: str | None) -> Scorer:
    """Runs the program in a completion."""
    task, read_as = get_task(name), get_reading(reading)

    async def score(state: TaskState, target: Target) -> Score:
        problem = problems[state.metadata["index"]]
        attempt = read_as.attempt(task, problem, state.output.completion, prompt)
        programs = read_as.programs(task, problem, [attempt.solution])
        pool = _sandbox(task.language.name, sandbox)
        # A run that is cancelled keeps its log at once, and does not wait for programs that never end.
        (verdict,) = await anyio.to_thread.run_sync(pool.run, programs, abandon_on_cancel=True)
        return Score(
            value=CORRECT if verdict.passed else INCORRECT,
            answer=attempt.solution,
            explanation=f"{verdict.status.value}: {verdict.detail}\n{verdict.stderr}".strip(),
            metadata={
                "verdict": verdict.status.value,
                "has_answer": attempt.has_answer,
                "reference_passed": verdict.reference_passed,
                "suspicious": list(verdict.suspicious),
                "program": programs[0].source,
                "sandbox": pool.environment.to_json(),
            },
        )

    return score


@scorer(metrics=[accuracy()])
def describes(name: str, prompt: str, problems: tuple[Problem, ...], reading: str) -> Scorer:
    """Keeps a description as the answer; explainsynthesize is what judges it."""
    task, read_as = get_task(name), get_reading(reading)

    async def score(state: TaskState, target: Target) -> Score:
        problem = problems[state.metadata["index"]]
        attempt = read_as.attempt(task, problem, state.output.completion, prompt)
        return Score(value=CORRECT if attempt.has_answer else INCORRECT, answer=attempt.solution)

    return score


_opening = threading.Lock()


def _sandbox(language: str, backend: str | None) -> Sandbox:
    """The pool for a language, opened once and kept until the process ends."""
    with _opening:
        return _opened(language, backend)


@functools.cache
def _opened(language: str, backend: Any) -> Sandbox:
    sandbox = open_sandbox(backend, languages=(language,))
    atexit.register(sandbox.close)
    return sandbox


def _register(name: str) -> Any:
    def humanevalpack(
        prompt: str = CHAT_WITHOUT_PREFILL,
        n_samples: int = 1,
        k: Any = None,
        dataset: str | None = None,
        descriptions: str | None = None,
        reading: str = "paper",
        sandbox: str | None = None,
    ) -> InspectTask:
        """One of the tasks.

        Args:
            prompt: Prompt format; `chat` for models that can continue a message.
            n_samples: Completions drawn for each problem, as epochs.
            k: k of pass@k; one or a list, at most `n_samples`.
            dataset: Where the problems come from.
            descriptions: For explainsynthesize: a file or folder that explaindescribe wrote.
            reading: How completions are read.
            sandbox: Sandbox backend.
        """
        return _build(name, prompt, n_samples, k, dataset, descriptions, reading, sandbox)

    registered = inspect_task(name=name)(humanevalpack)
    if not registry_info(registered).name.startswith(_NAMESPACE):
        # Inspect adds the package's name itself, unless the package is installed for editing.
        registered = inspect_task(name=_NAMESPACE + name)(humanevalpack)
    return registered


ALL_TASKS = {name: _register(name) for name in TASKS}
"""The functions that make the tasks, by name, for `inspect_ai.eval(ALL_TASKS["humanevalfixtests-python"]())`."""
