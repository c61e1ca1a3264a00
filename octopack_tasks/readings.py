"""A reading: which program a completion amounts to. The same completions can be scored under several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from octopack_tasks import corrected
from octopack_tasks.errors import UserError
from octopack_tasks.problems import Problem
from octopack_tasks.tasks import Task
from sandboxes import Program


@dataclass(frozen=True)
class Attempt:
    """One sample, read.

    Attributes:
        solution: The solution in the completion; in explaindescribe the description.
        has_answer: Whether the completion held any: False tells a failure of extraction from wrong code.
    """

    solution: str
    has_answer: bool


class Reading(Protocol):
    """How completions are read and made into programs."""

    @property
    def name(self) -> str:
        """Its name, as in `--reading`."""

    @property
    def needs_whole_completions(self) -> bool:
        """Whether it also reads what follows the first complete function (`Stop.NEVER`)."""

    def attempt(self, task: Task, problem: Problem, completion: str, prompt_format: str) -> Attempt:
        """Read a completion."""

    def attempt_of_answer(self, task: Task, problem: Problem, answer: str, prompt_format: str) -> Attempt:
        """Read an entry of the reference's generations files, which was already cut out of a completion."""

    def programs(self, task: Task, problem: Problem, solutions: Sequence[str]) -> list[Program]:
        """The programs that test all solutions of one problem."""

    def changed_tests(self, task: Task, problems: Iterable[Problem]) -> tuple[str, ...]:
        """The problems whose tests are not quite the dataset's; a result says so."""


class PaperReading:
    """Exactly the reference, its quirks included (docs/fidelity.md)."""

    name = "paper"
    needs_whole_completions = False

    def attempt(self, task: Task, problem: Problem, completion: str, prompt_format: str) -> Attempt:
        """See `Reading`."""
        return self.attempt_of_answer(task, problem, task.answer(problem, completion, prompt_format), prompt_format)

    def attempt_of_answer(self, task: Task, problem: Problem, answer: str, prompt_format: str) -> Attempt:
        """See `Reading`."""
        nothing = task.answer(problem, "", prompt_format)
        return Attempt(
            solution=task.solution_of_answer(problem, answer, prompt_format),
            has_answer=bool(answer.strip()) and answer.strip() != nothing.strip(),
        )

    def programs(self, task: Task, problem: Problem, solutions: Sequence[str]) -> list[Program]:
        """See `Reading`: all solutions of a problem in one call, as the reference does (it shows in Go)."""
        return task.programs_in_one_call(problem, solutions)

    def changed_tests(self, task: Task, problems: Iterable[Problem]) -> tuple[str, ...]:
        """See `Reading`: none."""
        return ()


class CorrectedReading:
    """What the benchmark meant: whole completions, parsed (docs/fidelity.md); descriptions are read as in `paper`."""

    name = "corrected"
    needs_whole_completions = True

    def attempt(self, task: Task, problem: Problem, completion: str, prompt_format: str) -> Attempt:
        """See `Reading`."""
        if not task.is_executed:
            return PAPER.attempt(task, problem, completion, prompt_format)
        return self._attempt(corrected.solution_in, task, problem, completion, prompt_format)

    def attempt_of_answer(self, task: Task, problem: Problem, answer: str, prompt_format: str) -> Attempt:
        """See `Reading`."""
        if not task.is_executed:
            return PAPER.attempt_of_answer(task, problem, answer, prompt_format)
        return self._attempt(corrected.solution_in_answer, task, problem, answer, prompt_format)

    def _attempt(
        self, read: Callable[[Task, Problem, str, str], str | None], task: Task, problem: Problem, text: str, form: str
    ) -> Attempt:
        try:
            solution = read(task, problem, text, form)
        except RecursionError:  # patterns or types nested a thousand deep: no answer, and no end of the run
            solution = None
        return Attempt(solution or "", has_answer=solution is not None)

    def programs(self, task: Task, problem: Problem, solutions: Sequence[str]) -> list[Program]:
        """See `Reading`: each solution alone."""
        return [corrected.program_of(task, problem, solution) for solution in solutions]

    def changed_tests(self, task: Task, problems: Iterable[Problem]) -> tuple[str, ...]:
        """See `Reading`: those in which chance decides over right solutions."""
        if not task.is_executed:
            return ()
        changed = [problem.task_id for problem in problems if task.language.tests(problem) != problem.test]
        return tuple(dict.fromkeys(changed))


PAPER = PaperReading()
CORRECTED = CorrectedReading()
READINGS: Mapping[str, Reading] = MappingProxyType({PAPER.name: PAPER, CORRECTED.name: CORRECTED})


BOTH = "both"
"""Stands for all readings where one or several may be named."""


def get_readings(name: str) -> tuple[Reading, ...]:
    """The reading of that name, or all of them for `both`.

    Raises:
        UserError: There is none.
    """
    if name != BOTH and name not in READINGS:
        raise UserError(f"unknown reading {name!r}; there are: {', '.join((*READINGS, BOTH))}")
    return tuple(READINGS.values()) if name == BOTH else (READINGS[name],)


def get_reading(name: str) -> Reading:
    """The reading of that name.

    Raises:
        UserError: There is none.
    """
    try:
        return READINGS[name]
    except KeyError:
        raise UserError(f"unknown reading {name!r}; there are: {', '.join(READINGS)}") from None
