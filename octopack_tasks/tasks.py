"""A task is a scenario in a language; the registry of their names, the paper's 30 first, and the groups."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from octopack_tasks.descriptions import Missing, join_descriptions, read_descriptions
from octopack_tasks.errors import UserError
from octopack_tasks.languages import LANGUAGES, PAPER_LANGUAGES, Assembled, Language, with_tests
from octopack_tasks.problems import Problem, ProblemSet, dataset_name, load_problems
from octopack_tasks.prompts import (
    DEFAULT_FORMAT,
    EDIT_FORMATS,
    ENCODER_FORMAT,
    FORMATS,
    Prompt,
    encoder_text,
    render,
    stop_words,
)
from octopack_tasks.quixbugs import LANGUAGES as QUIXBUGS_LANGUAGES
from octopack_tasks.quixbugs import load_quixbugs
from octopack_tasks.scenarios import SCENARIOS, Scenario
from sandboxes import Program


@dataclass(frozen=True)
class Task:
    """One of the tasks: the path of a sample from a problem to a program, each step a pure function.

    `prompt` -> (a model's completion) -> `solution` -> `program` -> (a sandbox's verdict).

    Attributes:
        scenario: What is asked.
        language: In which programming language.
    """

    scenario: Scenario
    language: Language

    @property
    def name(self) -> str:
        """Its name, such as `humanevalfixtests-python`."""
        return f"humaneval{self.scenario.name}-{self.language.name}"

    @property
    def is_executed(self) -> bool:
        """Whether its solutions are programs; the descriptions of explaindescribe are not."""
        return self.scenario.is_executed

    @property
    def needs_descriptions(self) -> bool:
        """Whether its problems come with descriptions that another task wrote."""
        return self.scenario.name == "explainsynthesize"

    @property
    def formats(self) -> tuple[str, ...]:
        """The prompt formats that suit it."""
        is_fix = self.scenario.name in ("fixtests", "fixdocs")
        unsuitable = () if is_fix else EDIT_FORMATS
        if self.scenario.name != "synthesize":
            unsuitable += ("continue",)
        return tuple(name for name in FORMATS if name not in unsuitable)

    def check_format(self, format: str) -> None:  # noqa: A002
        """Raise a `UserError` if the prompt format is unknown or does not suit this task."""
        if format not in FORMATS:
            raise UserError(f"unknown prompt format {format!r}; there are: {', '.join(FORMATS)}")
        if format not in self.formats:
            raise UserError(
                f"prompt format {format!r} does not suit {self.name}; choose from: {', '.join(self.formats)}"
            )

    def load(self, dataset: str | os.PathLike[str] | None = None) -> ProblemSet:
        """Load its problems, without descriptions.

        Args:
            dataset: See `load_problems`.

        Raises:
            UserError: It is not there or malformed.
        """
        return load_problems(self.language.name, dataset)

    def problems(
        self,
        dataset: str | os.PathLike[str] | None = None,
        descriptions: str | os.PathLike[str] | None = None,
        missing: Missing = Missing.ERROR,
    ) -> ProblemSet:
        """Load its problems.

        Args:
            dataset: See `load_problems`.
            descriptions: explainsynthesize only: a file or folder that explaindescribe wrote.
            missing: What to do with problems that have no description.

        Raises:
            UserError: Something is not there or malformed.
        """
        if not self.needs_descriptions:
            return self.load(dataset)
        if descriptions is None:
            raise UserError(
                f"{self.name} needs the descriptions that humanevalexplaindescribe-{self.language.name} wrote: "
                "name its samples file or the folder it is in"
            )
        problems = self.load(dataset)
        return join_descriptions(problems, read_descriptions(descriptions, problems), missing)

    def prompt(self, problem: Problem, format: str = DEFAULT_FORMAT) -> Prompt:  # noqa: A002
        """What a model is given.

        Raises:
            UserError: The format is unknown or does not suit the task.
        """
        return render(self.scenario.question(problem, self.language), format)

    def encoder_prompt(self, problem: Problem, format: str = ENCODER_FORMAT) -> str:  # noqa: A002
        """What the encoder of an encoder-decoder model is given; the decoder starts with `prompt`.

        Raises:
            UserError: The task or the format has no encoder prompt.
        """
        return encoder_text(self.scenario.question(problem, self.language), format)

    def stop_words(self, format: str = DEFAULT_FORMAT, *, whole: bool = False) -> tuple[str, ...]:  # noqa: A002
        """The strings that end a completion.

        Args:
            format: The prompt format.
            whole: Only those of the format: those of the language end the function, but may stand in a solution.
        """
        return stop_words(() if whole else self.language.stop_words, format)

    def is_complete(self, completion: str, format: str = DEFAULT_FORMAT) -> bool:  # noqa: A002
        """Whether generation can stop: a stop word has come, or the function has ended."""
        return self.scenario.is_complete(completion, self.language, format)

    def answer(self, problem: Problem, completion: str, format: str = DEFAULT_FORMAT) -> str:  # noqa: A002
        """What a completion says, as the reference's generations files keep it.

        It is the solution itself, except in the formats `diff` and `diff-carper`, where it is an edit ("" for none).

        Args:
            problem: The problem.
            completion: What the model wrote after the prompt.
            format: The prompt format.
        """
        return self.scenario.answer(completion, problem, self.language, format)

    def solution(self, problem: Problem, completion: str, format: str = DEFAULT_FORMAT) -> str:  # noqa: A002
        """The solution in a completion: code, or a description in explaindescribe.

        Args:
            problem: The problem.
            completion: What the model wrote after the prompt.
            format: The prompt format.
        """
        return self.solution_of_answer(problem, self.answer(problem, completion, format), format)

    def solution_of_answer(self, problem: Problem, answer: str, format: str = DEFAULT_FORMAT) -> str:  # noqa: A002
        """The solution that an entry of a generations file amounts to."""
        return self.scenario.solution(answer, problem, self.language, format)

    def program(self, problem: Problem, solution: str) -> Program:
        """The program that tests a solution.

        Raises:
            UserError: The task's solutions are not programs.
        """
        self._check_executed()
        return self._program(self.language.assemble(solution, problem))

    def programs_in_one_call(self, problem: Problem, solutions: Sequence[str]) -> list[Program]:
        """The programs of several solutions of one problem as the reference makes them in one call.

        In Go an import that one solution brings along is missing from all later programs then, so they can fail
        where `program` would pass; everywhere else it is the same.
        """
        self._check_executed()
        candidates = self.language.candidates(solutions, problem)
        return [self._program(with_tests(candidate, problem)) for candidate in candidates]

    def _program(self, assembled: Assembled) -> Program:
        return Program(self.language.name, assembled.source, assembled.test_offset)

    def _check_executed(self) -> None:
        if not self.is_executed:
            raise UserError(
                f"{self.name} writes descriptions, which are scored by humanevalexplainsynthesize-{self.language.name}"
            )


class QuixBugsTask(Task):
    """Fix a program of QuixBugs, given its documentation: as humanevalfixdocs, with problems from a checkout."""

    @property
    def name(self) -> str:
        """Its name, such as `quixbugs-python`."""
        return f"quixbugs-{self.language.name}"

    def load(self, dataset: str | os.PathLike[str] | None = None) -> ProblemSet:
        """Load its problems from a checkout of QuixBugs; see `load_quixbugs`."""
        return load_quixbugs(self.language.name, dataset_name(dataset))


def _tasks(languages: Collection[str]) -> dict[str, Task]:
    tasks = (Task(scenario, LANGUAGES[name]) for scenario in SCENARIOS.values() for name in languages)
    return {task.name: task for task in tasks}


TASKS: dict[str, Task] = _tasks(PAPER_LANGUAGES)
"""The paper's 30."""

FURTHER_TASKS: dict[str, Task] = {
    **_tasks([name for name in LANGUAGES if name not in PAPER_LANGUAGES]),
    **{
        task.name: task for task in (QuixBugsTask(SCENARIOS["fixdocs"], LANGUAGES[name]) for name in QUIXBUGS_LANGUAGES)
    },
}
"""Tasks in further languages and of other benchmarks: a pattern means them only where it means none of the paper's."""


def _groups() -> dict[str, tuple[str, ...]]:
    """The paper's groups have the paper's languages; each language has groups of its own."""
    families = {
        "humanevalpack": tuple(SCENARIOS),
        "humanevalfix": ("fixtests", "fixdocs"),
        "humanevalexplain": ("explaindescribe", "explainsynthesize"),
    }
    groups: dict[str, tuple[str, ...]] = {}
    for family, scenarios in families.items():
        groups[family] = _names(scenarios, PAPER_LANGUAGES)
        for language in LANGUAGES:
            groups[f"{family}-{language}"] = _names(scenarios, (language,))
    for scenario in SCENARIOS:
        groups[f"humaneval{scenario}"] = _names((scenario,), PAPER_LANGUAGES)
    return groups


def _names(scenarios: Iterable[str], languages: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"humaneval{scenario}-{language}" for scenario in scenarios for language in languages)


GROUPS: dict[str, tuple[str, ...]] = _groups()
"""Names of tasks by name of group."""


def get_task(name: str) -> Task:
    """The task of that name.

    Raises:
        UserError: There is none.
    """
    try:
        return (TASKS | FURTHER_TASKS)[name]
    except KeyError:
        raise UserError(
            f"unknown task {name!r}{_meant(name, TASKS | FURTHER_TASKS)}; `octopack tasks list` shows the "
            f"{len(TASKS)} there are"
        ) from None


def find_tasks(names: Iterable[str]) -> list[Task]:
    """The tasks meant by names of tasks, names of groups and patterns such as `humanevalfix*-go`, each once.

    Raises:
        UserError: A name means no task.
    """
    found: dict[str, Task] = {}
    for name in names:
        members = GROUPS.get(name) or _matching(TASKS, name) or _matching(FURTHER_TASKS, name)
        if not members:
            meant = _meant(name, (*GROUPS, *TASKS, *FURTHER_TASKS))
            raise UserError(f"no task or group {name!r}{meant}; `octopack tasks list` shows what there is")
        found.update((member, get_task(member)) for member in members)
    if not found:
        raise UserError("name at least one task; `octopack tasks list` shows what there is")
    return list(found.values())


def _meant(name: str, names: Iterable[str]) -> str:
    """A name that a misspelt one is likely to mean."""
    close = get_close_matches(name, list(names), n=1, cutoff=0.8)
    return f", perhaps {close[0]}" if close else ""


def _matching(tasks: Iterable[str], pattern: str) -> tuple[str, ...]:
    return tuple(task for task in tasks if fnmatchcase(task, pattern))
