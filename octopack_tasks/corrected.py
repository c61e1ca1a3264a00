"""The reading `corrected`: what the benchmark meant, where the reference's is `paper` (docs/fidelity.md).

The whole completion is read, with the grammar of its language. A solution is the function that was asked for and what
it uses, wherever that stands; prose, tests, a `main` and other programs that a model goes on to write are left out.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from octopack_tasks.chat import fenced_blocks
from octopack_tasks.languages import Language, get_language
from octopack_tasks.languages.syntax import ALWAYS, FRAME, Item, encoded, has_code
from octopack_tasks.patches import apply_patch
from octopack_tasks.problems import Problem
from octopack_tasks.prompts import CHAT_WITHOUT_PREFILL, stop_words
from octopack_tasks.tasks import Task
from sandboxes import Program

_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
# Tells code that does not parse from prose, which does not either.
_CODE = re.compile(r"[;{}=]|\breturn\b")


def solution_in(task: Task, problem: Problem, completion: str, prompt_format: str) -> str | None:
    """The solution in a completion, as whole code; None where it holds none."""
    for word in stop_words((), prompt_format):  # those of the format: words of the language may stand in a solution
        completion = completion.split(word, 1)[0]
    reader = _Reader(problem, task.language, task.scenario.shown_code(problem, task.language))
    if prompt_format.startswith("diff"):
        buggy = reader.given + problem.buggy_solution
        patched = next(
            filter(None, (apply_patch(buggy, text) for text in (completion, *fenced_blocks(completion)))), None
        )
        return reader.read(completion, is_continued=False) if patched is None else reader.read_whole(patched)
    return reader.read(completion, is_continued=prompt_format != CHAT_WITHOUT_PREFILL)


def solution_in_answer(task: Task, problem: Problem, answer: str, prompt_format: str) -> str | None:
    """The solution in an answer of the reference's generations files, which begins with the code that was given."""
    if prompt_format.startswith("diff"):
        return solution_in(task, problem, answer, prompt_format)
    for given in (task.scenario.shown_code(problem, task.language), problem.prompt):
        if answer.startswith(given.rstrip()):
            return _Reader(problem, task.language, given).read_whole(answer)
    return _Reader(problem, task.language, problem.prompt).read(answer, is_continued=False)


def program_of(task: Task, problem: Problem, solution: str) -> Program:
    """The program that tests a solution."""
    head = task.language.framed(solution, problem) + "\n\n"
    return Program(task.language.name, head + task.language.tests(problem), len(head))


@dataclass(frozen=True)
class _Found:
    """Items that are read out of a completion in one way.

    Attributes:
        items: The items.
        given: How many bytes of the text they were found in were given to the model.
    """

    items: Sequence[Item]
    given: int = 0


@dataclass(frozen=True)
class _Reader:
    """Reads the completions of a problem.

    Attributes:
        problem: The problem.
        language: Its language.
        given: The code that a model is to continue.
    """

    problem: Problem
    language: Language
    given: str

    def read(self, text: str, *, is_continued: bool) -> str | None:
        """The solution in a completion.

        Args:
            text: The completion.
            is_continued: Whether the model was to continue the given code; it may have begun anew all the same.
        """
        return self._first_whole(self._ways(text, is_continued=is_continued), text)

    def read_whole(self, code: str) -> str | None:
        """The solution in code that has been put together from what was given."""
        start = self.given.rstrip()
        return self.read(code[len(start) :] if code.startswith(start) else code, is_continued=code.startswith(start))

    def _ways(self, text: str, *, is_continued: bool) -> Iterator[_Found]:
        """The ways in which a completion can be read, the likeliest first."""
        fence = _FENCE.search(text)
        rest = text[: fence.start()] if fence else text
        if is_continued and rest.strip():
            yield from self._continued(self.given, rest)
            if _depth(self.given) != _depth(self.problem.prompt):  # the declaration holds half of a body (CPP/38)
                yield from self._continued(self.problem.prompt, rest)
        blocks = fenced_blocks(text)
        items = functools.cache(self.language.items)  # each block may be looked at again for what others lack
        for whole in (*blocks, text):
            if self.language.defines(whole, function_name(self.problem)):
                yield _Found(self._among(items(whole), [items(block) for block in blocks] if whole in blocks else ()))
        if is_continued and fence:  # the fence may stand in a string or a comment
            yield from self._continued(self.given, text)
        for block in blocks:
            yield from self._continued(self.given, "\n" + block.strip("\n"))

    def _among(self, own: Sequence[Item], blocks: Iterable[Sequence[Item]]) -> list[Item]:
        """The items of a text that defines the function, behind those that only other blocks of the answer define."""
        defined = {name for item in own for name in item.names} | {ALWAYS, function_name(self.problem)}
        others: list[Item] = []
        for items in blocks:
            if not any(item.kind == FRAME for item in items):  # a method has its place in a class
                others += [item for item in items if item.is_whole and item.names and not item.names & defined]
        return [*others, *own]

    def _continued(self, given: str, text: str) -> Iterator[_Found]:
        for code in self.language.joints(given, text):
            yield _Found(self.language.items(code), len(encoded(given.rstrip())))

    def _first_whole(self, ways: Iterable[_Found], text: str) -> str | None:
        name = function_name(self.problem)
        broken: list[tuple[_Found, Item]] = []
        for found in ways:
            for item in found.items:
                if not self._is_new(item, found):
                    continue
                if item.is_whole and name in item.implements:
                    return self._code(found, item)
                if not item.is_whole and self.language.defines(item.text, name):
                    broken.append((found, item))
        if not broken or not _CODE.search(text):
            return None
        return self._code(*next((way for way in broken if way[1].is_closed), broken[0]))

    def _is_new(self, item: Item, found: _Found) -> bool:
        """Whether the model wrote anything of it but comments."""
        written = encoded(item.text)[max(found.given - item.start, 0) :]
        return bool(written.strip()) and has_code(self.language.grammar, written)

    def _code(self, found: _Found, function: Item) -> str:
        """The given items, the function, and all that it and the tests use; nothing twice."""
        name = function_name(self.problem)
        # Neither what the end of the text cuts off, nor the given head when an answer that begins anew stands right
        # behind it: that one is a broken function of the same name.
        usable = (
            item
            for item in found.items
            if item is function or item.is_whole or (item.is_closed and name not in item.names)
        )
        items = _without_repetitions(usable, function)
        preamble = self._preamble()
        always = [item for item in items if item.kind == FRAME or item.end <= found.given]
        kept = self._closure([*always, function], [*items, *preamble])
        last = max(index for index, item in enumerate(items) if id(item) in kept and item.kind != FRAME)
        chosen = [
            item for index, item in enumerate(items) if id(item) in kept or (ALWAYS in item.names and index < last)
        ]
        defined = {ALWAYS, *(name for item in chosen for name in item.names)}
        helpers = [item for item in preamble if id(item) in kept and not item.names & defined]
        # An answer that goes on with the given code has its imports; one that begins anew may rely on them.
        present = {_bare(item) for item in chosen}
        lacking = [item for item in preamble if ALWAYS in item.names and _bare(item) not in present]
        imports = [] if found.given else [replace(item, text=f"\n{item.code}", lead=1) for item in lacking]
        first = next(index for index, item in enumerate(chosen) if not _is_import(item))
        inner = next(index for index, item in enumerate(chosen) if not _is_import(item) and item.kind != FRAME)
        ordered = [*chosen[:first], *imports, *chosen[first:inner], *helpers, *chosen[inner:]]
        code = "".join(_on_own_line(item.text) if index else item.text for index, item in enumerate(ordered))
        return code if found.given else code.strip("\n")

    def _closure(self, start: Iterable[Item], candidates: Sequence[Item]) -> set[int]:
        """The identities of some items, and of all candidates that they, the tests, or one another use."""
        fresh = list(start)
        kept: set[int] = set()
        needed = {function_name(self.problem), *_used_by_tests(self.language.name, self.problem.test)}
        # Not what they are called themselves: that there is a `main` needs no other.
        needed.update(name for item in fresh for name in item.uses - item.names)
        while fresh:
            kept.update(id(item) for item in fresh)
            fresh = [item for item in candidates if id(item) not in kept and item.names & needed]
            needed.update(name for item in fresh for name in item.uses)
        return kept

    def _preamble(self) -> list[Item]:
        """What stands before the function in the row: imports and helper functions."""
        texts = (self.given, self.problem.prompt) if self.given != self.problem.prompt else (self.given,)
        found = [
            item
            for text in texts
            for item in self.language.items(text)
            if item.is_whole and item.kind != FRAME and function_name(self.problem) not in item.names
        ]
        return list({_bare(item): item for item in found}.values())


def _depth(code: str) -> int:
    return code.count("{") - code.count("}")


def _without_repetitions(items: Iterable[Item], function: Item) -> list[Item]:
    """The items without those that an earlier one, or the function itself, makes impossible."""
    taken = {function.signature: function}
    kept = []
    for item in items:
        signature = _bare(item) if _is_import(item) else item.signature
        if not signature or taken.setdefault(signature, item) is item:
            kept.append(item)
    return kept


def _bare(item: Item) -> str:
    """The text of an item without white space, by which equal imports are known."""
    return "".join(item.code.split())


def _is_import(item: Item) -> bool:
    return ALWAYS in item.names or "import" in item.kind or item.kind == "use_declaration"


def _on_own_line(text: str) -> str:
    return text if text[:1].isspace() or text[:1] in ";" else "\n" + text


@functools.lru_cache(maxsize=2048)
def function_name(problem: Problem) -> str:
    """The function that a row asks for: what its code defines, as the column `entry_point` is wrong in some rows."""
    given = len(encoded(problem.prompt.rstrip()))
    for item in get_language(problem.language).items(problem.prompt + problem.canonical_solution):
        if item.end > given and item.implements:
            return problem.entry_point if problem.entry_point in item.implements else min(item.implements)
    return problem.entry_point


@functools.lru_cache(maxsize=2048)
def _used_by_tests(language: str, tests: str) -> frozenset[str]:
    """The names that tests use and do not define themselves."""
    items = get_language(language).items(tests)
    used = frozenset(name for item in items for name in item.uses)
    return used - {name for item in items for name in item.names}
