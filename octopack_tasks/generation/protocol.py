"""What a backend is asked, and what it answers."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from octopack_tasks.errors import UserError
from octopack_tasks.problems import Problem
from octopack_tasks.prompts import Prompt
from octopack_tasks.tasks import get_task


class Stop(str, enum.Enum):
    """When a completion may end before its model ends it."""

    PAPER = "paper"
    """As soon as more text would not change how the `paper` reading takes it."""
    NEVER = "never"
    """Only at the length limit: other readings may look at what follows the first function."""


class Finish(str, enum.Enum):
    """Why a completion ends where it ends."""

    END = "end"
    """The model ended it."""
    COMPLETE = "complete"
    """The answer was complete, so the rest was not waited for."""
    LENGTH = "length"
    """It reached the length limit."""
    PROMPT_TOO_LONG = "prompt_too_long"
    """The prompt left no room for an answer: the model was not asked."""
    RECORDED = "recorded"
    """It was read from a file."""


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn. The defaults are the paper's.

    Attributes:
        temperature: 0 takes the most likely token every time.
        top_p: Share of the probability mass that is drawn from.
        top_k: How many tokens are drawn from; 0: all.
        seed: Every sample's own seed follows from this one, its problem and its number.
    """

    temperature: float = 0.2
    top_p: float = 0.95
    top_k: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise UserError(f"--temperature must be 0 or more, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise UserError(f"--top-p must be above 0 and at most 1, not {self.top_p}")
        if self.top_k < 0:
            raise UserError(f"--top-k must be 0 (all tokens) or more, not {self.top_k}")

    @property
    def is_greedy(self) -> bool:
        """Whether all samples of a problem are the same."""
        return self.temperature == 0


@dataclass(frozen=True)
class Request:
    """Samples that are wanted of one problem: they share a prompt. Plain values, so that it can travel to a cluster.

    Attributes:
        task: Name of the task.
        problem: The problem.
        prompt: What the model is given.
        samples: The numbers of the samples that are wanted.
        max_length: Most tokens of prompt and completion together.
        max_new_tokens: Most tokens of a completion; None: as `max_length` allows.
        stop: When a completion may end early.
        encoder_text: What the encoder of an encoder-decoder model reads; None where the task has no such text.
    """

    task: str
    problem: Problem
    prompt: Prompt
    samples: tuple[int, ...]
    max_length: int = 2048
    max_new_tokens: int | None = None
    stop: Stop = Stop.PAPER
    encoder_text: str | None = None

    def is_complete(self, completion: str) -> bool:
        """Whether a completion may end here, because more text would not change how it is read."""
        if self.stop is Stop.NEVER:
            return False
        task = get_task(self.task)
        if not task.is_executed:
            # A description is stripped first, and counts only up to a length; the reference generates on.
            completion = completion.strip()
            if len(completion) >= len(self.problem.docstring):
                return True
        if not task.is_complete(completion, self.prompt.format):
            return False
        # At column 0 any character ends a function of Python, also the first one of a stop word, which would be cut off
        # with one line end less.
        words = task.stop_words(self.prompt.format)
        return any(word in completion for word in words) or not any(_begins_at_end(word, completion) for word in words)

    def seed(self, sample: int, run_seed: int) -> int:
        """The seed of one sample: it depends on nothing that a restart or another order of work would change."""
        what = json.dumps([run_seed, self.task, self.problem.task_id, self.problem.candidate, sample])
        return int.from_bytes(hashlib.sha256(what.encode()).digest()[:4], "big") >> 1  # servers take 31 bits

    def room(self, prompt_tokens: int, context_length: int | None) -> int:
        """How many tokens a completion may have; 0 or less where the prompt leaves none."""
        longest = min(self.max_length, context_length or self.max_length)
        return min(longest - prompt_tokens, self.max_new_tokens or longest)


def _begins_at_end(word: str, text: str) -> bool:
    """Whether a text ends with the beginning of a word, but not the whole of it."""
    return any(text.endswith(word[:length]) for length in range(1, len(word)))


@dataclass(frozen=True)
class Completion:
    """What a model wrote.

    Attributes:
        request: What it was asked.
        sample: Which sample it is.
        text: The text after the prompt, as it came.
        tokens: How many tokens the model wrote; None where that is not known.
        finish: Why it ends there.
    """

    request: Request
    sample: int
    text: str
    tokens: int | None
    finish: Finish


class Backend(Protocol):
    """A way of running a model. Close it after use, or use it as a context manager."""

    @property
    def description(self) -> Mapping[str, Any]:
        """What identifies the model and how it runs, as JSON values for the manifest."""

    @property
    def context_length(self) -> int | None:
        """Most tokens that the model can have before it; None where that is not known."""

    def prompt_tokens(self, request: Request) -> int | None:
        """How many tokens the prompt of a request has; None where that is not known."""

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Answer requests.

        Args:
            requests: Read only as far ahead as keeps the model busy.

        Yields:
            Every sample of every request, in the order in which they are finished.

        Raises:
            UserError: The model or its server cannot answer; what was yielded before stands.
        """

    def close(self) -> None:
        """Release the model."""

    def __enter__(self) -> Backend:
        """The backend itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
