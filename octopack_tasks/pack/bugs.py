"""Bugs for a problem: small mutations of its right solutions, the same in every language, that compile and fail."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from octopack_tasks.errors import UserError
from octopack_tasks.languages import LANGUAGES, get_language
from octopack_tasks.pack.mutations import BugType, Mutant, mutants, normalized
from octopack_tasks.pack.sources import write_whole
from octopack_tasks.pack.symptoms import Symptom, is_crash, symptom_of
from octopack_tasks.problems import Problem, load_problems
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
    problems: Mapping[str, Problem],
    sandbox: Sandbox,
    bug_types: Sequence[BugType] = tuple(BugType),
    limit: int = 40,
) -> list[Proposal]:
    """Propose bugs: those of most languages first, and of these one of each type in turn.

    Args:
        problems: One problem by language.
        sandbox: What runs its programs.
        bug_types: Only these.
        limit: How many changes are tried, each in all languages that have it.

    Raises:
        UserError: A right solution does not pass its tests.
        SandboxError: Some programs could not be judged.
    """
    _check_solutions(problems, sandbox)
    changes = _changes(problems, bug_types)[:limit]
    tried = [(change, language) for change in changes for language in change.mutants]
    programs = [_program(problems[language], change.mutants[language].code) for change, language in tried]
    judged: dict[int, dict[str, Verdict]] = defaultdict(dict)
    for (change, language), verdict in zip(tried, sandbox.run(programs, progress=True), strict=True):
        judged[id(change)][language] = verdict
    proposals = [proposal for change in changes if (proposal := _proposal(change, judged[id(change)], tuple(problems)))]
    return _in_turn(proposals)


def problems_of_pack(folder: Path, name: str, languages: Sequence[str] | None = None) -> dict[str, Problem]:
    """One problem of a pack by language.

    Args:
        folder: The pack.
        name: What its task ids end with, such as `17` in `Python/17`.
        languages: Only these; None: those of the pack.

    Raises:
        UserError: A language of the pack, or of those named, has no such problem.
    """
    chosen = languages or [language for language in LANGUAGES if (folder / f"{language}.jsonl").is_file()]
    if not chosen:
        raise UserError(f"{folder} is neither a problem (problem.yaml) nor a pack (<language>.jsonl)")
    found = {}
    for language in chosen:
        get_language(language)
        problems = load_problems(language, folder)
        of_name = [problem for problem in problems if problem.task_id.rpartition("/")[2] == name]
        if len(of_name) != 1:
            raise UserError(
                f"{folder / f'{language}.jsonl'} has {len(of_name)} problems whose task_id ends with /{name}"
            )
        found[language] = of_name[0]
    return found


def write_bug_rows(folder: Path, problems: Mapping[str, Problem], proposal: Proposal) -> list[Path]:
    """Put a bug into the rows of a pack; all else stays as it is.

    Args:
        folder: The pack.
        problems: The problem by language.
        proposal: The bug.

    Returns:
        The files that were written.
    """
    texts = {}
    for language, mutant in proposal.mutants.items():
        file, problem = folder / f"{language}.jsonl", problems[language]
        # Bytes, as reading text changes how lines end; json understands those that begin with a byte order mark.
        lines = file.read_bytes().split(b"\n")
        for index, line in enumerate(lines):
            row = json.loads(line) if line.strip() else {}
            if row.get("task_id") == problem.task_id:
                row["buggy_solution"] = mutant.code.removeprefix(problem.declaration)
                row["bug_type"], row["failure_symptoms"] = proposal.bug_type.value, proposal.symptom.value
                lines[index] = json.dumps(row).encode() + b"\r" * line.endswith(b"\r")
        texts[file] = b"\n".join(lines).decode("utf-8")
    write_whole(texts)
    return list(texts)


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
