"""Reads a pack to be checked: what is wrong with files and rows is found, and does not end the reading."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.languages import LANGUAGES, get_language
from octopack_tasks.pack.findings import Check, Finding, Severity
from octopack_tasks.problems import Problem, row_faults

# A pack need not have languages that came later.
_PUBLISHED = ("python", "cpp", "js", "java", "go", "rust")
# Columns of HumanEvalPack without which a row can be read, but something is left to wish for.
_EXPECTED = (
    *("canonical_solution", "buggy_solution", "docstring", "instruction"),
    *("signature", "bug_type", "failure_symptoms", "example_test"),
)
# Characters that no code has: most likely something went wrong where the row was written.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

_NOTHING = (None, "", "None")  # the last is what HumanEvalPack's Rust rows hold


@dataclass(frozen=True)
class Contents:
    """What a pack holds.

    Attributes:
        folder: Where it is.
        problems: By language, the rows that can be read.
        findings: What is wrong with the others.
    """

    folder: Path
    problems: Mapping[str, Sequence[Problem]]
    findings: Sequence[Finding]


def read_pack(folder: Path, languages: Sequence[str] | None = None) -> Contents:
    """Read a pack.

    Args:
        folder: It holds `<language>.jsonl` files.
        languages: Only these; None: all that are there.

    Raises:
        UserError: There is nothing to check: no folder, no file of a language, or an unknown language.
    """
    for language in languages or ():
        get_language(language)
    there = [language for language in LANGUAGES if (folder / f"{language}.jsonl").is_file()]
    if not there:
        raise UserError(
            f"{folder} is no pack: it must be a folder with a file <language>.jsonl for a language of "
            f"{', '.join(LANGUAGES)}"
        )
    findings: list[Finding] = []
    problems: dict[str, list[Problem]] = {}
    for language in languages or LANGUAGES:
        if language not in there and language not in (languages or _PUBLISHED):
            continue
        if language not in there:
            findings.append(
                Finding(
                    Check.MISSING,
                    Severity.ERROR if languages else Severity.WARNING,
                    language,
                    "",
                    "",
                    f"no file {language}.jsonl in {folder} (languages there: {', '.join(there)})",
                )
            )
            continue
        problems[language] = []
        for found in _read_file(folder / f"{language}.jsonl", language):
            if isinstance(found, Finding):
                findings.append(found)
            else:
                problems[language].append(found)
    if not languages:
        findings += _unknown_files(folder)
    return Contents(folder, problems, findings)


def _parsed(line: bytes) -> tuple[Any, list[str]]:
    """A line as JSON, and the fields that stand in it more than once."""
    repeated: list[str] = []

    def object_of(fields: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(name for name, _ in fields)
        repeated.extend(name for name, count in counts.items() if count > 1)
        return dict(fields)

    return json.loads(line, object_pairs_hook=object_of), repeated


def _unknown_files(folder: Path) -> Iterator[Finding]:
    for file in sorted(folder.glob("*.jsonl")):
        if file.stem not in LANGUAGES:
            message = f"{file.name} is not checked: {file.stem!r} is none of the languages {', '.join(LANGUAGES)}"
            yield Finding(Check.UNREADABLE, Severity.WARNING, "", "", "", message)


def _read_file(file: Path, language: str) -> Iterator[Problem | Finding]:
    def finding(check: Check, row: str, field: str, message: str, severity: Severity = Severity.ERROR) -> Finding:
        return Finding(check, severity, language, row, field, message)

    try:
        content = file.read_bytes()
    except OSError as error:
        yield finding(Check.UNREADABLE, "", "", f"{file.name} cannot be read: {error.strerror}")
        return
    first: dict[str, str] = {}
    is_empty = True
    # Not splitlines: it also splits at Unicode's line separators, which JSON strings may hold.
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        is_empty = False
        where = f"{file.name} line {number}"
        try:
            row, repeated = _parsed(line)
        except (ValueError, RecursionError) as error:  # malformed JSON, malformed UTF-8, nested too deep
            yield finding(Check.UNREADABLE, where, "", f"not a JSON object: {error}")
            continue
        if not isinstance(row, dict):
            yield finding(Check.UNREADABLE, where, "", f"must be a JSON object, not {type(row).__name__}")
            continue
        name = row.get("task_id")
        named = name if isinstance(name, str) and name.strip() and name.isprintable() else where
        faults = list(row_faults(row, language))
        for column, fault in faults:
            yield finding(Check.FIELD, named, column, f"field `{column}` {fault} ({where})")
        for column in repeated:
            message = f"field `{column}` occurs twice, and the last one counts ({where})"
            yield finding(Check.FIELD, named, column, message, Severity.WARNING)
        for column, value in row.items():
            # what a name may not hold is said below
            if column != "task_id" and isinstance(value, str) and (found := _CONTROL.search(value)):
                line_number = value.count("\n", 0, found.start()) + 1
                message = f"field `{column}` holds the control character {found[0]!r} in line {line_number} ({where})"
                yield finding(Check.FIELD, named, column, message, Severity.WARNING)
        for column in _EXPECTED:
            if row.get(column) in _NOTHING and column not in dict(faults):
                # No scenario uses the examples.
                severity = Severity.NOTE if column == "example_test" else Severity.WARNING
                yield finding(Check.FIELD, named, column, f"field `{column}` is missing or empty ({where})", severity)
        if named != name and not any(column == "task_id" for column, _ in faults):
            message = f"field `task_id` is {name!r}: a name must be printable text in one line"
            yield finding(Check.FIELD, named, "task_id", message)
            continue
        if faults:
            continue
        if first.setdefault(named, where) != where:
            message = f"field `task_id` repeats {named!r} of {first[named]} ({where})"
            yield finding(Check.DUPLICATE, named, "task_id", message)
            continue
        yield Problem.from_row(row, language, where)
    if is_empty:
        yield finding(Check.UNREADABLE, "", "", f"{file.name} is empty")
