"""The five scenarios: what is asked of a model about a problem, and how its answer is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from octopack_tasks import diffs
from octopack_tasks.chat import code_of_answer, is_closed
from octopack_tasks.errors import UserError
from octopack_tasks.languages import Language
from octopack_tasks.problems import Problem
from octopack_tasks.prompts import CHAT, CHAT_FORMATS, Question, render, stop_words


class Scenario(ABC):
    """One thing that a model is asked to do.

    Attributes:
        name: Its name in task names, after `humaneval`.
        title: What it asks, in one line.
        is_executed: Whether its answers are programs that tests judge.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    is_executed: ClassVar[bool] = True

    @abstractmethod
    def question(self, problem: Problem, language: Language) -> Question:
        """What is asked about `problem`."""

    def shown_code(self, problem: Problem, language: Language) -> str:
        """The code that a model is shown to continue; none where it writes prose."""
        return ""

    @abstractmethod
    def is_complete(self, completion: str, language: Language, prompt_format: str) -> bool:
        """Whether more text would not change how a completion is read."""

    @abstractmethod
    def answer(self, completion: str, problem: Problem, language: Language, prompt_format: str) -> str:
        """What a completion says: code, a description, or an edit in the formats that ask for one.

        This is what the reference keeps in its generations files.
        """

    def solution(self, answer: str, problem: Problem, language: Language, prompt_format: str) -> str:
        """The solution that an answer amounts to: the answer, unless that is an edit which has to be applied."""
        return answer


class _WritesCode(Scenario):
    """Common to all scenarios whose answer is code."""

    @abstractmethod
    def given_code(self, problem: Problem, language: Language) -> str:
        """The code that stands before the completion in a solution."""

    def shown_code(self, problem: Problem, language: Language) -> str:
        """The code that a model is shown to continue."""
        return self.given_code(problem, language)

    def is_complete(self, completion: str, language: Language, prompt_format: str) -> bool:
        """Whether a stop word has come or, where that means the end, the function has ended."""
        if any(word in completion for word in stop_words(language.stop_words, prompt_format)):
            return True
        if prompt_format.startswith("diff"):
            return False  # an edit does not end with the function
        if prompt_format in CHAT_FORMATS:
            return prompt_format == CHAT and is_closed(completion)
        return language.is_complete(completion)

    def answer(self, completion: str, problem: Problem, language: Language, prompt_format: str) -> str:
        """The code that was given, then what the completion adds to its function."""
        given = self.given_code(problem, language)
        if prompt_format in CHAT_FORMATS:
            return code_of_answer(completion, given, problem, language, is_continued=prompt_format == CHAT)
        return given.rstrip() + _function_end(completion, language, prompt_format)


def _function_end(completion: str, language: Language, prompt_format: str) -> str:
    """The completion without what follows the function: cut at each stop word in turn, then by the language."""
    completion = completion.rstrip()
    for word in stop_words(language.stop_words, prompt_format):
        completion = completion.split(word, 1)[0]
    return language.truncate(completion)


class _Fix(_WritesCode):
    """A function with a bug is shown; the fixed function, or an edit of it, is asked for."""

    def question(self, problem: Problem, language: Language) -> Question:
        """The buggy code, and what tells how it should behave."""
        start = self.given_code(problem, language)
        return Question(
            instruction=f"Fix bugs in {problem.entry_point}.",
            context=self.buggy_code(problem, language) + self.evidence(problem),
            start=start,
            file_name=f"{problem.entry_point}.{language.extension}",
            fence=language.fence,
        )

    def evidence(self, problem: Problem) -> str:
        """What follows the buggy code and tells what it should do."""
        return ""

    def buggy_code(self, problem: Problem, language: Language) -> str:
        """The code to be fixed."""
        return self.given_code(problem, language) + problem.buggy_solution

    def answer(self, completion: str, problem: Problem, language: Language, prompt_format: str) -> str:
        """The fixed code, or the edit where the format asks for one."""
        if prompt_format == "diff":
            return _function_end(completion, language, prompt_format)
        if prompt_format == "diff-carper":
            prompt = render(self.question(problem, language), prompt_format).text
            # Text that the four tags are not in is no edit at all: the program is empty then.
            return diffs.carper_hunks(prompt + _function_end(completion, language, prompt_format)) or ""
        return super().answer(completion, problem, language, prompt_format)

    def solution(self, answer: str, problem: Problem, language: Language, prompt_format: str) -> str:
        """The fixed code."""
        if prompt_format == "diff":
            return diffs.apply_diff(self.buggy_code(problem, language), answer)
        if prompt_format == "diff-carper":
            return diffs.apply_carper_hunks(self.buggy_code(problem, language), answer) if answer else ""
        return answer


class FixTests(_Fix):
    """Fix a function, given its tests."""

    name = "fixtests"
    title = "fix a function, given its unit tests"

    def given_code(self, problem: Problem, language: Language) -> str:
        """The declaration."""
        return language.declaration(problem)

    def evidence(self, problem: Problem) -> str:
        """The tests."""
        return "\n" + problem.test


class FixDocs(_Fix):
    """Fix a function, given its documentation."""

    name = "fixdocs"
    title = "fix a function, given its documentation"

    def given_code(self, problem: Problem, language: Language) -> str:
        """The declaration and its documentation."""
        return problem.prompt


class ExplainDescribe(Scenario):
    """Describe code in natural language; `ExplainSynthesize` measures how much the description tells."""

    name = "explaindescribe"
    title = "describe a function in natural language (read by explainsynthesize)"
    is_executed = False

    def question(self, problem: Problem, language: Language) -> Question:
        """The right code, and how long its description may be."""
        return Question(
            instruction="Provide a concise natural language description of the code using at most "
            f"{len(problem.docstring)} characters.",
            context=language.declaration(problem) + problem.canonical_solution,
            start="",
        )

    def is_complete(self, completion: str, language: Language, prompt_format: str) -> bool:
        """Whether a stop word has come; prose has no other end."""
        return any(word in completion for word in stop_words(language.stop_words, prompt_format))

    def answer(self, completion: str, problem: Problem, language: Language, prompt_format: str) -> str:
        """The completion cut at the length limit and at stop words, without lines of the code."""
        description = completion.strip()[: len(problem.docstring)]
        for word in stop_words(language.stop_words, prompt_format):
            description = description.split(word, 1)[0]
        description = description.rstrip()
        # A description must not hand on the code: its lines are deleted, unless they are too short to tell much.
        for line in problem.canonical_solution.split("\n"):
            if len(line.strip()) > 20:
                description = description.replace(line.strip(), "")
        return description


class ExplainSynthesize(_WritesCode):
    """Write a function again from a description that a model gave of it."""

    name = "explainsynthesize"
    title = "write a function from a model's description of it"

    def given_code(self, problem: Problem, language: Language) -> str:
        """The declaration and its documentation, which comes back though the model was not shown it."""
        return problem.prompt

    def shown_code(self, problem: Problem, language: Language) -> str:
        """The declaration alone."""
        return language.declaration(problem)

    def question(self, problem: Problem, language: Language) -> Question:
        """The description."""
        if problem.candidate is None:
            raise UserError(
                f"{problem.task_id} has no description; give the descriptions that "
                f"humanevalexplaindescribe-{language.name} wrote for it"
            )
        return Question(
            instruction=f"Write functional code in {language.title} according to the description.",
            context=problem.description,
            start=self.shown_code(problem, language),
            fence=language.fence,
        )


class Synthesize(_WritesCode):
    """Write a function from its documentation."""

    name = "synthesize"
    title = "write a function from its documentation"

    def given_code(self, problem: Problem, language: Language) -> str:
        """The declaration and its documentation."""
        return problem.prompt

    def question(self, problem: Problem, language: Language) -> Question:
        """The request in natural language alone; the code it is about starts the answer."""
        return Question(
            instruction=problem.instruction.strip(), context=None, start=problem.prompt, fence=language.fence
        )


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (FixTests(), FixDocs(), ExplainDescribe(), ExplainSynthesize(), Synthesize())
}
