"""A model and a sandbox that need neither weights nor compilers, and answer the same on every day."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from octopack_tasks.generation import Completion, Finish, Request
from octopack_tasks.generation.backends import Closing
from sandboxes import Environment, Program, Status, Verdict


def is_even(source: str) -> bool:
    """A property of half of all programs."""
    return hashlib.sha256(source.encode()).digest()[0] % 2 == 0


class StandInSandbox:
    """Passes those programs of which a function says so; all of a stream is judged in reverse order."""

    def __init__(self, passes: Callable[[str], bool] = is_even, digest: str = "0123", seconds: float = 0) -> None:
        self.passes = passes
        self.seconds = seconds
        self.judged = 0
        self.environment = Environment(
            backend="stand-in",
            image="none",
            digest=digest,
            toolchains={"python": "3"},
            octopack_version="0",
            limits=None,
            workers=1,
        )

    def __enter__(self) -> StandInSandbox:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def stream(self, programs: Iterable[Program]) -> Iterator[tuple[int, Verdict]]:
        for index, program in enumerate(programs):
            time.sleep(self.seconds)
            self.judged += 1
            yield index, Verdict(Status.PASSED if self.passes(program.source) else Status.FAILED)


class StandInModel(Closing):
    """Writes the canonical or the buggy solution, as the seed of a sample has it.

    Args:
        context_length: Most tokens of prompt and completion; a token is a character.
        seconds: How long it takes for a sample.
        fails_after: How many samples it writes before it breaks down.
    """

    def __init__(self, context_length: int | None = None, seconds: float = 0, fails_after: int | None = None) -> None:
        self.context_length = context_length
        self.seconds = seconds
        self.fails_after = fails_after
        self.asked: list[Request] = []
        self.closed = False

    @property
    def description(self) -> Mapping[str, Any]:
        return {"model": "stand-in"}

    def prompt_tokens(self, request: Request) -> int:
        return len(request.prompt.text)

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        for request in requests:
            self.asked.append(request)
            for sample in request.samples:
                if self.fails_after is not None:
                    self.fails_after -= 1
                    if self.fails_after < 0:
                        raise ConnectionError("the model is gone")
                time.sleep(self.seconds)
                drawn = random.Random(request.seed(sample, 0)).random()
                body = request.problem.canonical_solution if drawn < 0.5 else request.problem.buggy_solution
                yield Completion(request, sample, f"\n{body}# {drawn}\n", 7, Finish.END)

    def close(self) -> None:
        self.closed = True
