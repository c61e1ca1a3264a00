"""What a pack is built from: problems and bugs by language, and the problems' names."""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.languages import LANGUAGES, get_language

PROBLEMS_FILE = "humaneval.jsonl"
BUGS_FILE = "bugs.json"
NAMES_FILE = "HumanEval_original.jsonl"

BUG_KIND_LANGUAGE = "python"
"""The language whose bugs say of what kind they are; the bugs of the others are the same ones."""

_PROBLEM_FIELDS = ("task_id", "prompt", "declaration", "canonical_solution", "test")
_BUG_FIELDS = ("buggy_solution",)
_KIND_FIELDS = ("bug_type", "failure_symptoms")
# What a new bugs.json says of every bug until somebody has put one in, as the paper's authors began theirs.
_FIRST_KIND = {"bug_type": "variable misuse", "failure_symptoms": "incorrect output"}


@dataclass(frozen=True)
class BugKind:
    """Of what kind a bug is.

    Attributes:
        bug_type: One of the six kinds of the paper, such as `missing logic`.
        failure_symptoms: What the bug does, such as `incorrect output`.
    """

    bug_type: str
    failure_symptoms: str


@dataclass(frozen=True)
class SourceRow:
    """One problem in one language.

    Attributes:
        where: File and line, for messages.
        fields: The row as it is in the file.
        buggy_solution: The body with a bug.
    """

    where: str
    fields: Mapping[str, str]
    buggy_solution: str


@dataclass(frozen=True)
class Source:
    """What a pack is built from; everything is in the order of the problems.

    Attributes:
        entry_points: The function's name in Python.
        kinds: Of what kind the bugs are.
        rows: By language.
    """

    entry_points: Sequence[str]
    kinds: Sequence[BugKind]
    rows: Mapping[str, Sequence[SourceRow]]


def read_source(folder: Path, languages: Sequence[str] | None = None) -> Source:
    """Read the source of a pack.

    Args:
        folder: It holds `<language>/humaneval.jsonl`, `<language>/bugs.json` and `HumanEval_original.jsonl`.
        languages: Only these; None: all that are there.

    Raises:
        UserError: Something is missing, malformed, or does not fit together; the message names file, row and field.
    """
    chosen = source_languages(folder, languages)
    names = list(_objects(folder / NAMES_FILE, ("entry_point",)))
    kinds = _bugs(folder / BUG_KIND_LANGUAGE / BUGS_FILE, (*_BUG_FIELDS, *_KIND_FIELDS))
    _check_length(folder / BUG_KIND_LANGUAGE / BUGS_FILE, kinds, folder / NAMES_FILE, names)
    rows: dict[str, list[SourceRow]] = {}
    for language in chosen:
        file = folder / language / PROBLEMS_FILE
        problems = _problems(file)
        bugs = _bugs(folder / language / BUGS_FILE, _BUG_FIELDS)
        _check_length(file, problems, folder / NAMES_FILE, names)
        _check_length(folder / language / BUGS_FILE, bugs, file, problems)
        for (where, problem), (name_where, name) in zip(problems, names, strict=True):
            _check_same_problem(where, problem, name_where, name)
        rows[language] = [
            SourceRow(where, problem, bug["buggy_solution"])
            for (where, problem), (_, bug) in zip(problems, bugs, strict=True)
        ]
    return Source(
        entry_points=[name["entry_point"] for _, name in names],
        kinds=[BugKind(bug["bug_type"], bug["failure_symptoms"]) for _, bug in kinds],
        rows=rows,
    )


def prepare_bugs(folder: Path, languages: Sequence[str] | None = None) -> Iterator[Path]:
    """Begin the files of bugs that are missing: with the right solutions, to be edited by hand.

    Yields:
        The files that were written; those that exist are left as they are.

    Raises:
        UserError: A problem is malformed, or there is nothing to prepare.
    """
    found = {language: _problems(folder / language / PROBLEMS_FILE) for language in source_languages(folder, languages)}
    for language, problems in found.items():
        file = folder / language / BUGS_FILE
        if not file.exists():
            kind = _FIRST_KIND if language == BUG_KIND_LANGUAGE else {}
            bugs = [{"buggy_solution": problem["canonical_solution"], **kind} for _, problem in problems]
            write_whole({file: json.dumps(bugs, indent=4)})
            yield file


def write_whole(texts: Mapping[Path, str]) -> None:
    """Write files such that each is there whole, or none is.

    Raises:
        UserError: One cannot be written.
    """
    written: dict[Path, Path] = {}
    try:
        for file, text in texts.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.is_dir():
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
            handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
            written[file] = Path(name)
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
                out.write(text)
            Path(name).chmod(0o644)
        for file, whole in written.items():
            whole.replace(file)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}") from None
    finally:
        for whole in written.values():
            whole.unlink(missing_ok=True)


def source_languages(folder: Path, languages: Sequence[str] | None) -> list[str]:
    """The languages that are meant, in the usual order.

    Raises:
        UserError: One is unknown or not there, or there is none.
    """
    for language in languages or ():
        get_language(language)
        if not (folder / language / PROBLEMS_FILE).is_file():
            raise UserError(f"{folder / language / PROBLEMS_FILE} is missing: it holds the problems in {language}")
    chosen = [
        language
        for language in LANGUAGES
        if language in (languages or LANGUAGES) and (folder / language / PROBLEMS_FILE).is_file()
    ]
    if not chosen:
        raise UserError(
            f"{folder} holds no problems: there must be a file <language>/{PROBLEMS_FILE} for a language of "
            f"{', '.join(LANGUAGES)}"
        )
    return chosen


def _problems(file: Path) -> list[tuple[str, dict[str, Any]]]:
    problems = list(_objects(file, _PROBLEM_FIELDS))
    seen: dict[str, str] = {}
    for where, problem in problems:
        if seen.setdefault(problem["task_id"], where) != where:
            raise UserError(f"{where}: field `task_id` repeats {problem['task_id']!r} of {seen[problem['task_id']]}")
    return problems


def _bugs(file: Path, fields: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    if not file.is_file():
        advice = f"`octopack pack prepare {file.parents[1]}` begins it"
        if not (file.parent / PROBLEMS_FILE).is_file():
            advice = "it says the bug_type and failure_symptoms of every problem, for all languages"
        raise UserError(f"{file} is missing: {advice}")
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: not JSON: {error}") from None
    if not isinstance(found, list):
        raise UserError(f"{file}: must be a list with an object for each problem, not {type(found).__name__}")
    bugs = [(f"{file} item {number}", bug) for number, bug in enumerate(found, start=1)]
    for where, bug in bugs:
        _check_fields(where, bug, fields)
    return bugs


def _objects(file: Path, fields: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    # Not splitlines: it also splits at Unicode's line separators, which JSON strings may hold.
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            where = f"{file} line {number}"
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{where}: not a JSON object: {error}") from None
            _check_fields(where, row, fields)
            yield where, row


def _check_fields(where: str, row: Any, required: Iterable[str]) -> None:
    if not isinstance(row, dict):
        raise UserError(f"{where}: must be a JSON object, not {type(row).__name__}")
    for field in required:
        if field not in row:
            raise UserError(f"{where}: field `{field}` is missing")
        if not isinstance(row[field], str):
            raise UserError(f"{where}: field `{field}` must be a string, not {type(row[field]).__name__}")


def _check_length(file: Path, rows: Sequence[Any], other_file: Path, others: Sequence[Any]) -> None:
    if len(rows) != len(others):
        raise UserError(
            f"{file} has {len(rows)} problems and {other_file} has {len(others)}: the files go together row by row"
        )


def _check_same_problem(where: str, row: Mapping[str, str], name_where: str, name: Mapping[str, Any]) -> None:
    """Names like Go/7 and HumanEval/7 must stand in the same row, else the bugs would be another problem's."""
    number, other = (re.search(r"/(.+)$", str(each.get("task_id", ""))) for each in (row, name))
    if number and other and number[1] != other[1]:
        raise UserError(
            f"{where}: field `task_id` is {row['task_id']!r}, but the same row of {name_where.split(' line ')[0]} is "
            f"{name['task_id']!r}: the files go together row by row"
        )
