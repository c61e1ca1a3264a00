"""The replay backend: right, wrong or recorded answers in a model's place, which proves a setup."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.generation.backends import Closing
from octopack_tasks.generation.protocol import Backend, Completion, Finish, Request, Sampling
from octopack_tasks.prompts import CHAT, CHAT_FORMATS, EDIT_FORMATS
from octopack_tasks.tasks import get_task

_FROM_DATASET = ("canonical", "buggy")


def open_model(model: str, sampling: Sampling) -> Backend:
    """Answer from the dataset (`canonical`, `buggy`) or from recorded completions (a run folder or file)."""
    if model in _FROM_DATASET:
        return Replay(model, lambda request, _: _written(request, is_right=model == "canonical"))
    from octopack_tasks.recordings import read_completions

    if not Path(model).expanduser().exists():
        raise UserError(f"--backend replay takes canonical, buggy or a file or folder of completions, not {model!r}")
    recorded = read_completions(Path(model).expanduser())

    def answer(request: Request, sample: int) -> str:
        task_id, candidate = request.problem.task_id, request.problem.candidate
        # A file that does not tell its task has numbered samples only, also where each answers a description.
        keys = ((request.task, task_id, candidate or 0, sample), ("", task_id, 0, candidate or sample))
        found = [recorded[key] for key in keys if key in recorded]
        if not found:
            raise UserError(f"{model} holds no sample {sample} of {task_id} for {request.task}")
        return found[0]

    return Replay(model, answer, _fingerprint(recorded))


def fingerprint(model: str) -> str | None:
    """What identifies the recorded completions that a model's name stands for; None where it stands for none."""
    from octopack_tasks.recordings import read_completions

    path = Path(model).expanduser()
    return _fingerprint(read_completions(path)) if model not in _FROM_DATASET and path.exists() else None


def _fingerprint(recorded: Mapping[tuple[str, str, int, int], str]) -> str:
    content = json.dumps(sorted(recorded.items()))
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


class Replay(Closing):
    """Answers from a function.

    Args:
        name: What it stands for, for the manifest.
        answer: The completion of a request's sample.
        fingerprint: What identifies recorded completions.
    """

    context_length: int | None = None

    def __init__(self, name: str, answer: Callable[[Request, int], str], fingerprint: str | None = None) -> None:
        self._name = name
        self._answer = answer
        self._fingerprint = fingerprint

    @property
    def description(self) -> Mapping[str, Any]:
        """See `Backend`."""
        return {"answers": self._name, **({"fingerprint": self._fingerprint} if self._fingerprint else {})}

    def prompt_tokens(self, request: Request) -> int | None:
        """See `Backend`."""
        return None

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """See `Backend`."""
        for request in requests:
            for sample in request.samples:
                yield Completion(request, sample, self._answer(request, sample), None, Finish.RECORDED)


def _written(request: Request, *, is_right: bool) -> str:
    """What a model writes whose solution is the right one of the dataset, or the one with the bug."""
    task, problem, prompt_format = get_task(request.task), request.problem, request.prompt.format
    if not task.is_executed:
        return problem.docstring
    if prompt_format in EDIT_FORMATS and prompt_format.startswith("diff"):
        raise UserError(f"the dataset holds no edits, so replay cannot answer the prompt format {prompt_format!r}")
    question = task.scenario.question(problem, task.language)
    body = problem.canonical_solution if is_right else problem.buggy_solution
    # A prompt is stripped at its end, so the model writes what that took away.
    start = question.start
    if prompt_format not in CHAT_FORMATS:
        return start[len(start.rstrip()) :] + body
    rest = f"{start[len(start.rstrip()) :]}{body.rstrip()}\n```\n"
    return rest if prompt_format == CHAT else f"```{question.fence}\n{start.strip()}{rest}"
