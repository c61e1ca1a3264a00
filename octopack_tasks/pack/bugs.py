"""Bugs for a problem: small mutations of its right solutions, the same in every language, that compile and fail."""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from octopack_tasks.errors import UserError
from octopack_tasks.languages import get_language
from octopack_tasks.pack.mutations import BugType, Mutant, mutants, normalized
from octopack_tasks.pack.scaffold import ProblemFolder
from octopack_tasks.pack.symptoms import Symptom, is_crash, symptom_of
from octopack_tasks.problems import Problem
from sandboxes import Limits, Program, Sandbox, Verdict
from sandboxes.supervisor.protocol import DEFAULT_LIMITS

_CPU_SECONDS = 5.0
"""Enough for small tests, and an endless loop costs no more."""


@dataclass(frozen=True)
class Proposal:
    """One bug in all languages that have it.

    Attributes:
        bug_type: Of which type it is.
        symptom: What it does, in all these languages.
        mutants: By language, the code with the bug.
        crashes: The languages in which it dies of an exception: a bug that gives itself away.
        similar: The languages whose change is not the very same: one of the same kind, the only one there is.
        lacking: The languages without it: no such place, no program, no failing test, or another symptom.
    """

    bug_type: BugType
    symptom: Symptom
    mutants: Mapping[str, Mutant]
    crashes: tuple[str, ...]
    similar: tuple[str, ...]
    lacking: tuple[str, ...]

    @property
    def description(self) -> str:
        """The change in the first language that has it."""
        return next(iter(self.mutants.values())).description


def propose_bugs(
    problem: ProblemFolder,
    sandbox: Sandbox,
    bug_types: Sequence[BugType] = tuple(BugType),
    limit: int = 40,
) -> list[Proposal]:
    """Propose bugs: those of most languages first, and of these one of each type in turn.

    Args:
        problem: The problem.
        sandbox: What runs its programs.
        bug_types: Only these.
        limit: How many changes are tried, each in all languages that have it.

    Raises:
        UserError: A right solution does not pass its tests.
        SandboxError: Some programs could not be judged.
    """
    problems = {language: problem.problem(language) for language in problem.solutions}
    _check_solutions(problems, sandbox)
    changes = _changes(problems, bug_types)[:limit]
    tried = [(change, language) for change in changes for language in change.mutants]
    programs = [_program(problems[language], change.mutants[language].code) for change, language in tried]
    judged: dict[int, dict[str, Verdict]] = defaultdict(dict)
    for (change, language), verdict in zip(tried, sandbox.run(programs, progress=True), strict=True):
        judged[id(change)][language] = verdict
    proposals = [proposal for change in changes if (proposal := _proposal(change, judged[id(change)], tuple(problems)))]
    return _in_turn(proposals)


def buggy_files(problem: ProblemFolder, proposal: Proposal) -> dict[str, str]:
    """The whole files with the bug, by language."""
    return {language: mutant.code.lstrip("\n") for language, mutant in proposal.mutants.items()}


@dataclass(frozen=True)
class _Change:
    """The mutants of several languages that are the same change."""

    bug_type: BugType
    mutants: Mapping[str, Mutant]
    similar: tuple[str, ...]
    crashes: tuple[str, ...] = ()
    """Not known before it is run."""


def _check_solutions(problems: Mapping[str, Problem], sandbox: Sandbox) -> None:
    programs = [_program(problem, _right_code(problem)) for problem in problems.values()]
    for language, verdict in zip(problems, sandbox.run(programs), strict=True):
        if not verdict.passed:
            said = " ".join((verdict.stderr.strip() or verdict.detail).split())[-300:]
            raise UserError(
                f"the right solution in {language} does not pass the tests ({verdict.status.value}): {said}. Mend the "
                "solution or the tests first"
            )


def _right_code(problem: Problem) -> str:
    return problem.declaration + problem.canonical_solution


def _program(problem: Problem, code: str) -> Program:
    language = get_language(problem.language)
    assembled = language.assemble(code, problem)
    usual = DEFAULT_LIMITS.get(problem.language, Limits())
    limits = dataclasses.replace(usual, cpu_seconds=min(usual.cpu_seconds, _CPU_SECONDS))
    return Program(problem.language, assembled.source, assembled.test_offset, limits)


def _changes(problems: Mapping[str, Problem], bug_types: Sequence[BugType]) -> list[_Change]:
    """The changes, those of most languages first, and of these one of each type in turn."""
    by_key: dict[str, dict[str, Mutant]] = defaultdict(dict)
    by_kind: dict[str, dict[str, list[Mutant]]] = defaultdict(lambda: defaultdict(list))
    for language, problem in problems.items():
        code = _right_code(problem)
        seen: dict[str, int] = defaultdict(int)
        for mutant in mutants(code, get_language(language), bug_types, within=(len(problem.declaration), len(code))):
            seen[mutant.change] += 1
            by_key[f"{mutant.change} #{seen[mutant.change]}"][language] = mutant
            by_kind[_kind(mutant, code)][language].append(mutant)
    changes = []
    for found in by_key.values():
        first_language, first = next(iter(found.items()))
        of_kind = by_kind[_kind(first, _right_code(problems[first_language]))]
        similar = {
            language: of_kind[language][0]
            for language in problems
            if language not in found and len(of_kind.get(language, ())) == 1 == len(of_kind[first_language])
        }
        ordered = {language: (found | similar)[language] for language in problems if language in found | similar}
        changes.append(_Change(first.bug_type, ordered, tuple(similar)))
    unique = {frozenset((language, mutant.code) for language, mutant in c.mutants.items()): c for c in changes}
    return _in_turn(unique.values())


def _kind(mutant: Mutant, code: str) -> str:
    """What is replaced by what, wherever it stands."""
    first, last = mutant.span
    return f"{mutant.bug_type.value}: {normalized(code[first:last])} -> {normalized(mutant.replacement)}"


def _proposal(change: _Change, verdicts: Mapping[str, Verdict], languages: Sequence[str]) -> Proposal | None:
    symptoms = {language: symptom for language, verdict in verdicts.items() if (symptom := symptom_of(verdict))}
    if not symptoms:
        return None
    found = list(symptoms.values())
    symptom = max(found, key=found.count)
    kept = {language: change.mutants[language] for language in symptoms if symptoms[language] is symptom}
    return Proposal(
        bug_type=change.bug_type,
        symptom=symptom,
        mutants=kept,
        crashes=tuple(language for language in kept if is_crash(verdicts[language])),
        similar=tuple(language for language in change.similar if language in kept),
        lacking=tuple(language for language in languages if language not in kept),
    )


_Item = TypeVar("_Item", _Change, Proposal)


def _in_turn(items: Iterable[_Item]) -> list[_Item]:
    """Those of most languages first; of as many languages one of each bug type in turn, the clearest of them first."""
    by_size: dict[int, dict[BugType, list[_Item]]] = defaultdict(lambda: defaultdict(list))
    for item in sorted(items, key=lambda item: len(item.crashes) + len(item.similar)):
        by_size[len(item.mutants)][item.bug_type].append(item)
    return [
        item
        for size in sorted(by_size, reverse=True)
        for row in itertools.zip_longest(*(by_size[size][bug_type] for bug_type in BugType))
        for item in row
        if item is not None
    ]
