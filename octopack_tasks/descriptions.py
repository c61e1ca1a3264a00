"""Descriptions of code, written by an explaindescribe run and joined with the problems of explainsynthesize."""

from __future__ import annotations

import dataclasses
import enum
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from octopack_tasks.errors import UserError
from octopack_tasks.problems import Problem, ProblemSet

Descriptions: TypeAlias = Mapping[str, Sequence[str | None]]
"""Descriptions by task_id, several to a problem where several were sampled."""


class Missing(enum.Enum):
    """What to do with a problem that has no description."""

    ERROR = "error"
    """Refuse the whole join."""
    DROP = "drop"
    """Leave the problem out, as the reference does."""
    KEEP = "keep"
    """Keep it; asking for its prompt raises. For runs that ask the first problems only (`--limit`)."""


def join_descriptions(problems: ProblemSet, descriptions: Descriptions, missing: Missing = Missing.ERROR) -> ProblemSet:
    """Pair problems with descriptions: each description gives a problem of its own, with its own single solution.

    Args:
        problems: The problems.
        descriptions: What `read_descriptions` returns.
        missing: What to do with problems that have none.

    Returns:
        The problems in their order, those of one task_id in the order of its descriptions.

    Raises:
        UserError: Descriptions are missing or belong to other problems.
    """
    strangers = [task_id for task_id in descriptions if task_id not in {problem.task_id for problem in problems}]
    if strangers and missing is not Missing.DROP:
        raise UserError(
            f"the descriptions are for {', '.join(strangers[:3])}, which {problems.dataset} ({problems.language}) "
            "does not have; give descriptions of the same dataset and language"
        )
    without = [problem.task_id for problem in problems if not descriptions.get(problem.task_id)]
    if without and missing is Missing.ERROR:
        raise UserError(
            f"{len(without)} of {len(problems)} problems have no description ({', '.join(without[:3])}, ...); "
            f"run humanevalexplaindescribe-{problems.language} on all of them first"
        )
    joined: list[Problem] = []
    for problem in problems:
        candidates = descriptions.get(problem.task_id) or ()
        joined += [
            dataclasses.replace(problem, description=_valid(description), candidate=index)
            for index, description in enumerate(candidates)
        ]
        if not candidates and missing is Missing.KEEP:
            joined.append(problem)
    return ProblemSet(problems.language, problems.dataset, tuple(joined))


def _valid(description: str | None) -> str | None:
    """A description that can be put into a prompt: halves of characters, as servers may send, become U+FFFD."""
    if description is None or description.isascii():
        return description
    return description.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_descriptions(path: str | os.PathLike[str], problems: ProblemSet) -> Descriptions:
    """Read descriptions for `problems`.

    Args:
        path: The reference's generations file (a JSON list, by problem, of lists of strings), samples that lm-eval
            logged for explaindescribe (JSON Lines), or a folder in which the newest such file of the language counts.
        problems: The problems described; the reference's file has no names, so its order is theirs.

    Raises:
        UserError: There is no such file, or it has another shape.
    """
    file = _file_of(Path(path).expanduser(), problems.language)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"could not read the descriptions {file}: {error}") from None
    if file.name.endswith(".jsonl"):
        return _from_samples(text, file)
    try:
        generations = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is not JSON: {error}") from None
    return of_generations(generations, problems, str(file))


def of_generations(generations: Any, problems: ProblemSet, where: str = "the descriptions") -> Descriptions:
    """Descriptions in the shape of the reference's generations files: by problem, in order, a list of strings.

    Raises:
        UserError: They have another shape, or there are more than problems.
    """
    if not isinstance(generations, list):
        raise UserError(f"{where} must hold a list of lists of strings, not a {type(generations).__name__}")
    for index, candidates in enumerate(generations):
        if not isinstance(candidates, list) or not all(isinstance(text, str) for text in candidates):
            raise UserError(f"{where}: item {index} must be a list of strings (the descriptions of problem {index})")
    if len(generations) > len(problems):
        raise UserError(
            f"{where} holds descriptions of {len(generations)} problems, but {problems.dataset} ({problems.language}) "
            f"has {len(problems)}; give descriptions of the same dataset"
        )
    return in_order(generations, problems)


def in_order(generations: Iterable[Iterable[str | None]], problems: ProblemSet) -> Descriptions:
    """Descriptions without names, by the order of the problems; those beyond the shorter of the two do not count."""
    return {problem.task_id: tuple(candidates) for problem, candidates in zip(problems, generations, strict=False)}


def _file_of(path: Path, language: str) -> Path:
    if path.is_file():
        return path
    task = f"humanevalexplaindescribe-{language}"
    if not path.is_dir():
        raise UserError(f"no descriptions at {path}; write them with {task} first, logging its samples")
    found = [file for ending in ("json", "jsonl") for file in path.rglob(f"*{task}*.{ending}")]
    found = [file for file in found if not file.name.startswith(("results_", "references_"))]
    if not found:
        raise UserError(f"{path} has no samples of {task}; run that task first, logging its samples")
    return max(found, key=lambda file: (file.stat().st_mtime_ns, file.name))


def _from_samples(text: str, file: Path) -> Descriptions:
    descriptions: dict[str, tuple[str, ...]] = {}
    first_filter: Any = None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            sample = json.loads(line)
            task_id = sample["doc"]["task_id"]
            responses = sample["filtered_resps"] if "filtered_resps" in sample else sample["resps"]
            solutions = tuple(_solution(response) for response in _flat(responses))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f"{file} line {number} is not a sample logged by lm-eval "
                f"(an object with `doc`, its `task_id`, and `filtered_resps`): {error!r}"
            ) from None
        # lm-eval writes a line for each filter of a task; all describe the same answers.
        first_filter = sample.get("filter") if not descriptions else first_filter
        if sample.get("filter") == first_filter:
            if task_id in descriptions:
                raise UserError(f"{file} line {number}: a second sample of {task_id}; give the samples of one run")
            descriptions[task_id] = solutions
    if not descriptions:
        raise UserError(f"{file} holds no samples")
    return descriptions


def _flat(responses: Any) -> list[str]:
    if isinstance(responses, str):
        return [responses]
    if not isinstance(responses, list):
        raise TypeError(f"responses must be a list, not {type(responses).__name__}")
    return [text for response in responses for text in _flat(response)]


def _solution(response: str) -> str:
    """The description in a response: as it stands, or under `solution` in the JSON text that our filter writes."""
    if response.startswith("{"):
        try:
            record = json.loads(response)
        except (ValueError, RecursionError):
            return response
        if isinstance(record, dict) and isinstance(record.get("solution"), str):
            return str(record["solution"])
    return response
