"""What the benchmark has to know about a programming language."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from octopack_tasks.languages.syntax import Grammar, Item, Pieces, encoded
from octopack_tasks.problems import Problem


@dataclass(frozen=True)
class Execution:
    """How the reference runs programs of a language (kept so that its published scores can be explained).

    Attributes:
        language: The language's name in its executor.
        timeout: Wall-clock limit of a program in seconds, compilation included.
        num_workers: Programs run at once.
    """

    language: str
    timeout: int
    num_workers: int


@dataclass(frozen=True)
class Assembled:
    """A program text and where its tests begin.

    Attributes:
        source: The whole program.
        test_offset: Index in `source` of the problem's test text; what stands before it came from a model.
    """

    source: str
    test_offset: int


class Language(ABC):
    """One language: a subclass in a file of its own, listed in `octopack_tasks.languages`.

    Attributes:
        name: Its name in tasks and datasets.
        title: Its name in prose, as prompts spell it.
        extension: File extension, without the dot.
        fence: Info string of its fenced code blocks in Markdown.
        stop_words: Strings that end a completion.
        execution: How the reference runs it; None: the paper does not have it.
        definition: Regular expression that finds the definition of a function; `{name}` stands for its name.
        grammar: Its syntax, for the reading `corrected`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    extension: ClassVar[str]
    fence: ClassVar[str]
    stop_words: ClassVar[tuple[str, ...]] = ()
    execution: ClassVar[Execution | None]
    definition: ClassVar[str]
    grammar: ClassVar[Grammar]

    @abstractmethod
    def is_complete(self, completion: str) -> bool:
        """Whether the function that a prompt began has ended in `completion` (stop words apart)."""

    @abstractmethod
    def truncate(self, completion: str) -> str:
        """What of `completion` belongs to the function that the prompt began (stop words apart)."""

    def declaration(self, problem: Problem) -> str:
        """The start of the code that a model is given when the documentation is withheld."""
        return problem.declaration

    def candidate(self, solution: str, problem: Problem) -> str:
        """The program before its tests: `solution` with the imports and the frame it needs."""
        return solution

    def candidates(self, solutions: Sequence[str], problem: Problem) -> list[str]:
        """`candidate` for several solutions of one problem, as the reference treats them in one call."""
        return [self.candidate(solution, problem) for solution in solutions]

    def assemble(self, solution: str, problem: Problem) -> Assembled:
        """The program that tests `solution`."""
        return with_tests(self.candidate(solution, problem), problem)

    def without_main(self, code: str) -> str:
        """Whole code, as chat models write it, without what would clash with the program around the tests."""
        return code

    def defines(self, code: str, name: str) -> bool:
        """Whether `code` seems to define the function `name`."""
        return re.search(self.definition.replace("{name}", re.escape(name)), code, re.MULTILINE) is not None

    # --- the reading `corrected` --------------------------------------------------------------------------------------

    def items(self, text: str) -> list[Item]:
        """The items of the program in a text; what else is in it is left out."""
        return [item for items in Pieces(self.grammar, encoded(text)) for item in items]

    def joints(self, given: str, completion: str) -> Iterator[str]:
        """Ways to put given code and its completion together, the likeliest first."""
        yield given.rstrip() + completion

    def framed(self, code: str, problem: Problem) -> str:
        """The program before its tests: whole code with the imports that it may rely on."""
        return self.candidate(code, problem)

    def tests(self, problem: Problem) -> str:
        """The tests, such that a right solution passes them each time."""
        return problem.test

    def __repr__(self) -> str:
        return f"<language {self.name}>"


def with_tests(candidate: str, problem: Problem) -> Assembled:
    """A candidate followed by the tests of its problem."""
    head = candidate + "\n\n"
    return Assembled(head + problem.test, len(head))


class BraceLanguage(Language):
    """A language whose functions end where their braces balance.

    Braces in strings and comments count too, as in the reference.

    Attributes:
        open_braces: How many braces a prompt leaves open.
    """

    open_braces: ClassVar[int] = 1

    def is_complete(self, completion: str) -> bool:
        """Whether there are exactly as many closing braces as it takes; more than that is not complete."""
        return completion.count("{") + self.open_braces == completion.count("}")

    def truncate(self, completion: str) -> str:
        """Everything up to the brace that closes what the prompt opened, else up to the last closing brace."""
        balance = self.open_braces
        for match in re.finditer(r"[{}]", completion):
            balance += 1 if match.group() == "{" else -1
            if balance == 0:
                return completion[: match.end()]
        return self.truncate_unbalanced(completion)

    def truncate_unbalanced(self, completion: str) -> str:
        """What is kept of a completion that never closes what the prompt opened."""
        last = completion.rfind("}")
        return completion if last < 0 else completion[: last + 1]
