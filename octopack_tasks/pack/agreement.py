"""What a problem says in one language and not in the others."""

from __future__ import annotations

import difflib
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter

from octopack_tasks.corrected import function_name
from octopack_tasks.languages.syntax import leaves, text_of
from octopack_tasks.pack.findings import Check, Finding, Severity
from octopack_tasks.pack.rows import calls_in_tests, tree_of_tests
from octopack_tasks.problems import Problem

# Below this share of common words two descriptions are taken to say different things.
_SAME_WORDS = 0.5
_BOOKS = 2_000**2

_NUMBERS = re.compile(r"integer|float|number|decimal")


def agreement_findings(problems: Mapping[str, Sequence[Problem]]) -> Iterator[Finding]:
    """What differs between the languages of a pack.

    Args:
        problems: The problems by language; those whose names end alike (`Go/7` and `Rust/7`) are the same one.
    """
    if len(problems) < 2:
        return
    same: dict[str, dict[str, Problem]] = defaultdict(dict)
    for language, found in problems.items():
        for problem in found:
            other = same[_number(problem)].setdefault(language, problem)
            if other is not problem:
                message = f"ends like {other.task_id}, which alone is held against the problem of other languages"
                yield _finding(Check.DUPLICATE, Severity.WARNING, problem, "task_id", message)
    for number, by_language in same.items():
        for language in problems:
            if language not in by_language:
                message = f"there is no problem {number!r} in {language}, but in {', '.join(by_language)}"
                yield Finding(Check.MISSING, Severity.ERROR, language, number, "task_id", message)
        if len(by_language) > 1:
            for check in (_kinds, _function_names, _documentation, _examples, _tests):
                yield from check(list(by_language.values()))


def _number(problem: Problem) -> str:
    return problem.task_id.rpartition("/")[2]


def _finding(check: Check, severity: Severity, problem: Problem, field: str, message: str, detail: str = "") -> Finding:
    return Finding(check, severity, problem.language, problem.task_id, field, message, detail)


def _odd_ones(
    problems: Sequence[Problem], value: Callable[[Problem], str | int]
) -> Iterator[tuple[Problem, str | int, str | int]]:
    """The problems whose value is not the usual one, with theirs and the usual one; all, where no value is usual."""
    values = [value(problem) for problem in problems]
    (usual, count), *others = Counter(values).most_common()
    is_tie = any(other_count == count for _, other_count in others)
    for problem, own in zip(problems, values, strict=True):
        if own != usual:
            yield problem, own, usual
        elif is_tie:
            yield problem, own, others[0][0]


def _kinds(problems: Sequence[Problem]) -> Iterator[Finding]:
    for field in ("bug_type", "failure_symptoms"):
        for problem, own, usual in _odd_ones(problems, attrgetter(field)):
            message = f"field `{field}` is {own!r}, in the other languages {usual!r}"
            yield _finding(Check.KIND_DIFFERS, Severity.WARNING, problem, field, message)


def _function_names(problems: Sequence[Problem]) -> Iterator[Finding]:
    def plain(problem: Problem) -> str:
        return function_name(problem).replace("_", "").lower()

    for problem, _, usual in _odd_ones(problems, plain):
        other = next(function_name(each) for each in problems if plain(each) == usual)
        message = f"the function is `{function_name(problem)}`, in other languages `{other}`"
        yield _finding(Check.NAME_DIFFERS, Severity.NOTE, problem, "entry_point", message)


# --- documentation ----------------------------------------------------------------------------------------------------


def _documentation(problems: Sequence[Problem]) -> Iterator[Finding]:
    """Whether the prose says the same; examples are compared apart."""
    prose = [_prose(problem) for problem in problems]
    for problem, words in zip(problems, prose, strict=True):
        others = [other for other, each in zip(prose, problems, strict=True) if each is not problem]
        alike = statistics.median(_likeness(words, other) for other in others)
        if alike < _SAME_WORDS:
            message = f"the documentation shares {alike:.0%} of its words with that of other languages"
            detail = f"here:  {' '.join(words)}\nthere: {' '.join(others[0])}"
            yield _finding(Check.DOCSTRING_DIFFERS, Severity.WARNING, problem, "docstring", message, detail)


def _prose(problem: Problem) -> list[str]:
    name = function_name(problem)
    lines = problem.docstring.split("\n")
    is_example = [line.lstrip().startswith(">>>") or f"{name}(" in line.replace(" (", "(") for line in lines]
    # What an example gives stands in the line after it.
    kept = [
        line
        for index, line in enumerate(lines)
        if not is_example[index] and not (index and is_example[index - 1] and lines[index - 1].lstrip()[:3] == ">>>")
    ]
    return re.findall(r"[a-z]+|\d+", " ".join(kept).lower())


def _likeness(words: Sequence[str], others: Sequence[str]) -> float:
    matcher = difflib.SequenceMatcher(None, words, others, autojunk=False)
    # Of books the order is not looked at: that takes the square of their length.
    return matcher.ratio() if len(words) * len(others) <= _BOOKS else matcher.quick_ratio()


def _examples(problems: Sequence[Problem]) -> Iterator[Finding]:
    def examples(problem: Problem) -> int:
        calls = re.findall(rf"(?<!\w){re.escape(function_name(problem))}\s*\(", problem.docstring)
        return len(calls)

    for problem, own, usual in _odd_ones(problems, examples):
        message = f"the documentation calls the function {own} times, in other languages {usual} times"
        yield _finding(Check.EXAMPLES_DIFFER, Severity.NOTE, problem, "docstring", message)


# --- tests ------------------------------------------------------------------------------------------------------------


def _tests(problems: Sequence[Problem]) -> Iterator[Finding]:
    for problem, own, usual in _odd_ones(problems, calls_in_tests):
        message = f"the tests call the function {own} times, in other languages {usual} times"
        severity = (
            Severity.WARNING if isinstance(own, int) and isinstance(usual, int) and own < usual else Severity.NOTE
        )
        yield _finding(Check.TESTS_DIFFER, severity, problem, "test", message)
    values = [_numbers(problem) for problem in problems]
    if len(problems) < 3:
        return  # of two that differ, neither is the usual one
    everywhere = Counter(number for found in values for number in found)
    usual_numbers = {number for number, count in everywhere.items() if 2 * count > len(problems)}
    for problem, found in zip(problems, values, strict=True):
        lacking = sorted(usual_numbers - found, key=float)
        own_numbers = sorted((n for n in found - {"0", "1"} if 2 * everywhere[n] < len(problems)), key=float)
        if lacking and own_numbers:
            message = (
                f"the tests hold {', '.join(own_numbers)}, and lack {', '.join(lacking)}, which other languages have"
            )
            yield _finding(Check.TESTS_DIFFER, Severity.NOTE, problem, "test", message)


def _numbers(problem: Problem) -> set[str]:
    """The numbers in the tests, strings and comments apart, in one spelling."""
    found = set()
    for leaf in leaves(tree_of_tests(problem)):
        match = re.match(r"\d+(?:\.\d+)?", text_of(leaf))
        if match and _NUMBERS.search(leaf.type):
            found.add(f"{float(match.group()):g}")
    return found
