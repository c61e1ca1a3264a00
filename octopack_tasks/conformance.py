"""Holds this package against recorded facts of the reference, in any folder of the format of `shared/golden`.

Of verdicts only their programs are checked here: the verdicts themselves need a sandbox.
"""

from __future__ import annotations

import dataclasses
import difflib
import gzip
import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from octopack_tasks.descriptions import Missing, in_order, join_descriptions, of_generations
from octopack_tasks.errors import UserError
from octopack_tasks.languages import get_language
from octopack_tasks.metrics import Tally, mean_pass_at_k, pass_at_k
from octopack_tasks.problems import Problem, ProblemSet, load_problems
from octopack_tasks.tasks import TASKS, Task, get_task

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """One row in which this package and the record differ.

    Attributes:
        row: Which row: its line or place in the file, and what it is about.
        detail: What differs, as a diff where both texts are known.
    """

    row: str
    detail: str


@dataclass(frozen=True)
class FileReport:
    """What came of one file.

    Attributes:
        file: Its name, without folder and endings.
        is_present: Whether the folder has it.
        rows: How many rows were checked.
        differing: How many of them differ.
        first: The first few of those.
        notes: Documented differences that do not count, each said once.
    """

    file: str
    is_present: bool
    rows: int = 0
    differing: int = 0
    first: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()


class Note(str):
    """A documented difference: said, not counted (docs/fidelity.md)."""

    __slots__ = ()


@dataclass
class _Facts:
    """The dataset that rows speak about, loaded language by language as they ask for it."""

    dataset: str | None
    _loaded: dict[str, ProblemSet] = field(default_factory=dict)

    def problems(self, language: str) -> ProblemSet:
        if language not in self._loaded:
            self._loaded[language] = load_problems(get_language(language).name, self.dataset)
        return self._loaded[language]

    def problem(self, task: Task, row: Row) -> Problem:
        problem = self.problems(task.language.name).get(row["task_id"])
        if task.needs_descriptions:  # the records describe a problem by its own documentation
            return dataclasses.replace(problem, description=problem.docstring, candidate=0)
        return problem


# A check compares one row and yields what differs: text for a difference, a Note for a documented one.
_Check: TypeAlias = Callable[[Row, _Facts], Iterator[str]]


def _prompts(row: Row, facts: _Facts) -> Iterator[str]:
    task = get_task(row["task"])
    yield from _text("prompt", task.prompt(facts.problem(task, row), row["prompt"]).text, row)


def _prompt_encoder(row: Row, facts: _Facts) -> Iterator[str]:
    task = get_task(row["task"])
    yield from _text("encoder prompt", task.encoder_prompt(facts.problem(task, row), row["prompt"]), row)


def _text(what: str, ours: str, row: Row) -> Iterator[str]:
    if "text" in row:
        yield from _same(what, ours, row["text"])
    if "sha256" in row and not _sha256(ours).startswith(row["sha256"]):
        yield f"{what} has another hash; ours, {len(ours)} characters, is {_shortened(ours)}"
    if "chars" in row:
        yield from _same(f"characters of the {what}", len(ours), row["chars"])
    if "bytes" in row:
        yield from _same(f"bytes of the {what}", len(ours.encode()), row["bytes"])


def _prompt_rejections(row: Row, facts: _Facts) -> Iterator[str]:
    task = get_task(row["task"])
    problem = _any_problem(task)
    ask = task.encoder_prompt if row.get("what") == "get_prompt_encoder" else task.prompt
    try:
        ask(problem, row["prompt"])
    except UserError:
        return
    yield f"the reference refuses it ({row['error']}), we do not"


def _any_problem(task: Task) -> Problem:
    """For rules in which the problem plays no part."""
    columns = dict.fromkeys(("prompt", "declaration", "canonical_solution", "buggy_solution", "test", "docstring"), "x")
    row = {**columns, "task_id": "any", "entry_point": "f", "instruction": "x", "import": "", "test_setup": "x"}
    return dataclasses.replace(Problem.from_row(row, task.language.name), description="x", candidate=0)


def _references(row: Row, facts: _Facts) -> Iterator[str]:
    task = get_task(row["task"])
    problem = facts.problem(task, row)
    tests, solution = "\n" + problem.test, problem.prompt + problem.canonical_solution
    yield from _same("tests", _sha256(tests) if task.is_executed else None, row["reference_sha256"])
    yield from _same("right solution", _sha256(solution) if task.is_executed else None, row["solution_sha256"])


def _stop_words(row: Row, facts: _Facts) -> Iterator[str]:
    task = get_task(row["task"])
    yield from _same("stop words", list(task.stop_words(row["prompt"])), row["stop_words"])


def _postprocess(row: Row, facts: _Facts) -> Iterator[str]:
    task = get_task(row["task"])
    problem = facts.problem(task, row)
    yield from _same("answer", task.answer(problem, row["continuation"], row["prompt"]), row["expected"])
    yield from _same("complete", task.is_complete(row["continuation"], row["prompt"]), row["complete"])


def _programs(row: Row, facts: _Facts) -> Iterator[str]:
    task = get_task(row["task"])
    yield from _program(task.program(facts.problem(task, row), row["generation"]).source, row)


def _program(ours: str, row: Row) -> Iterator[str]:
    if "sha256_sorted_imports" in row:
        if _sha256(_sorted_imports(ours)) != row["sha256_sorted_imports"]:
            yield from _same("program", _sorted_imports(ours), _sorted_imports(row["program"]))
    elif _sha256(ours) != row["sha256"]:
        yield from _same("program", ours, row["program"])


def _programs_multi(row: Row, facts: _Facts) -> Iterator[str]:
    task = get_task(row["task"])
    programs = task.programs_in_one_call(facts.problem(task, row), row["generations"])
    ours, theirs = [program.source for program in programs], row["programs"]
    if "programs_sorted_imports" in row:
        ours, theirs = [_sorted_imports(text) for text in ours], row["programs_sorted_imports"]
    yield from _same("programs", len(ours), len(theirs))
    for index, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        yield from _same(f"program {index} ({row['kinds'][index]})", mine, other)


def _verdict_program(row: Row, facts: _Facts) -> Iterator[str]:
    task = get_task(row.get("task", f"humanevalfixtests-{row['language']}"))
    problem = facts.problem(task, row)
    body = problem.buggy_solution if row["kind"] == "buggy" else problem.canonical_solution
    if row["kind"] == "check_references":
        solution = problem.prompt + body
    else:  # a model's completion begins with the white space that a prompt is stripped of
        start = task.scenario.question(problem, task.language).start
        solution = task.solution(problem, start[len(start.rstrip()) :] + body)
    program = task.program(problem, solution).source
    if not any(_sha256(text) == row["sha256"] for text in _import_orders(program)):
        yield f"program of the {row['kind']} solution has another hash; ours is {_shortened(program)}"


def _diff(row: Row, facts: _Facts) -> Iterator[str]:
    task = get_task(row["task"])
    problem = facts.problem(task, row)
    # A null answer is the reference's "this is no edit", which is an empty one here.
    answer = row["generation"] or ""
    if row["stage"] == "full":
        ours = task.answer(problem, row["continuation"], row["prompt"])
        yield from _same("answer", ours, answer)
        yield from _same("complete", task.is_complete(row["continuation"], row["prompt"]), row["complete"])
        answer = ours
    yield from _program(task.program(problem, task.solution_of_answer(problem, answer, row["prompt"])).source, row)


def _exec_params(row: Row, facts: _Facts) -> Iterator[str]:
    execution = get_language(row["name"]).execution
    ours = None if execution is None else dataclasses.asdict(execution)
    yield from _same("parameters", ours, dict(row["parameters"]))


def _process_results_status(row: Row, facts: _Facts) -> Iterator[str]:
    task = get_task(row["task"])
    problem = _any_problem(task)
    try:
        task.program(problem, problem.prompt + problem.canonical_solution)
        is_scored = True
    except UserError:
        is_scored = False
    if is_scored and row["status"].startswith("AttributeError: 'list' object"):
        yield Note("explainsynthesize in Go and Rust crashes in the reference; here it is scored")
    elif is_scored != (row["status"] == "ok"):
        yield f"the reference says {row['status']!r}, but it is {'scored' if is_scored else 'refused'} here"


def _merge(row: Row, facts: _Facts) -> Iterator[str]:
    if row["section"] == "explain":
        yield from _merge_descriptions(row, facts)
    elif row["section"] == "no_load_data_path":
        try:
            TASKS["humanevalexplainsynthesize-python"].problems(facts.dataset)
        except UserError:
            return
        yield "the reference refuses to run without descriptions, we do not"
    elif row["section"] == "pass_at_k_table":
        yield from _same("pass@k", pass_at_k(row["n"], row["c"], row["k"]), row["value"])
    else:
        tallies = [Tally.of(passed) for passed in row["passed"]]
        yield from _same("score", mean_pass_at_k(tallies), row["result"])


def _merge_descriptions(row: Row, facts: _Facts) -> Iterator[str]:
    problems = facts.problems(row["language"])
    descriptions = row["descriptions"]
    if isinstance(descriptions, str):  # written down in words: "170 lists of one string d0..d169"
        words = re.fullmatch(r"(\d+) lists of one string (\w+?)0\.\.\w+", descriptions)
        if words is None:
            yield f"cannot read the descriptions {descriptions!r}"
            return
        descriptions = [[f"{words[2]}{index}"] for index in range(int(words[1]))]
    if "creation_error" in row:
        try:
            join_descriptions(problems, of_generations(descriptions, problems))
        except UserError:
            return
        yield f"the reference refuses these descriptions ({row['creation_error']}), we do not"
        return
    task = get_task(f"humanevalexplainsynthesize-{row['language']}")
    joined = join_descriptions(problems, in_order(descriptions, problems), Missing.DROP)
    yield from _same("number of problems", len(joined), row["dataset_length"])
    for expected in row["rows"]:
        problem = joined[expected["index"]]
        yield from _same("task_id", problem.task_id, expected["task_id"])
        yield from _same("description", problem.description, expected["description"])
        yield from _same("hash of the prompt", _sha256(task.prompt(problem).text), expected["prompt_sha256"])
        yield from _same("hash of the tests", _sha256("\n" + problem.test), expected["reference_sha256"])
        answer = task.answer(problem, _RETURN_1)
        yield from _same("answer", answer, expected["postprocess_of_newline_return"])


# The answer after which `postprocess_of_newline_return` is named; in Python the brace ends the function.
_RETURN_1 = "\n    return 1\n}"


def _same(what: str, ours: Any, theirs: Any) -> Iterator[str]:
    if _equal(ours, theirs):
        return
    if isinstance(ours, str) and isinstance(theirs, str):
        lines = difflib.unified_diff(
            theirs.split("\n"), ours.split("\n"), f"{what} (recorded)", f"{what} (ours)", lineterm="", n=1
        )
        yield "\n".join(lines)
    else:
        yield f"{what}: recorded {_shortened(theirs)}, ours {_shortened(ours)}"


def _equal(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and isinstance(theirs, (int, float)):  # products in another order end in other bits
        return math.isclose(ours, theirs, rel_tol=0, abs_tol=1e-12)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_equal(ours[key], theirs[key]) for key in ours)
    return bool(ours == theirs)


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_IMPORT_BLOCK = re.compile(r"(?<=import \(\n)(?:    .+\n)+(?=\))")


def _sorted_imports(program: str) -> str:
    """A Go program with sorted import blocks: the reference adds imports in the order of Python's hash seed."""
    return _IMPORT_BLOCK.sub(lambda block: "".join(sorted(block.group().splitlines(keepends=True))), program)


def _import_orders(program: str) -> Iterator[str]:
    """A Go program with the imports that were added to it in every order; any other program as it is."""
    added = next((block for block in _IMPORT_BLOCK.finditer(program) if "testing" not in block.group()), None)
    if added is None:
        yield program
        return
    for lines in itertools.permutations(added.group().splitlines(keepends=True)):
        yield program[: added.start()] + "".join(lines) + program[added.end() :]


def _json_lines(text: str) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            row = json.loads(line)
            label = " ".join(str(row[key]) for key in ("task", "prompt", "task_id", "kind", "case") if key in row)
            yield f"line {number}: {label}", row


def _rejection_rows(text: str) -> Iterator[tuple[str, Row]]:
    for number, row in enumerate(json.loads(text)):
        yield f"item {number}: {row['task']} {row['prompt']}", row


def _stop_word_rows(text: str) -> Iterator[tuple[str, Row]]:
    record = json.loads(text)
    for family, languages in record["stop_words"].items():
        for language, formats in languages.items():
            for prompt, words in formats.items():
                task = f"{family}-{language}"
                yield f"{task} {prompt}", {"task": task, "prompt": prompt, "stop_words": words}
    # Of each demonstration that the lists leak from one task of a process to the next, only its first task is fresh.
    for number, (first, *_) in enumerate(record.get("leak_demonstrations", [])):
        row = {**first, "task": f"{first['task']}-{first['language']}", "stop_words": first["stop_words_at_creation"]}
        yield f"leak demonstration {number}", row


def _exec_rows(text: str) -> Iterator[tuple[str, Row]]:
    for name, parameters in json.loads(text).items():
        yield name, {"name": name, "parameters": parameters}


def _status_rows(text: str) -> Iterator[tuple[str, Row]]:
    for task, status in json.loads(text).items():
        yield task, {"task": task, "status": status}


def _merge_rows(text: str) -> Iterator[tuple[str, Row]]:
    record = json.loads(text)
    for language, cases in record.get("explain", {}).items():
        for case, row in cases.items():
            yield f"explain {language} {case}", {**row, "section": "explain", "language": language}
    if "no_load_data_path" in record:
        yield "no_load_data_path", {"section": "no_load_data_path"}
    for section in ("pass_at_k_table", "pass_at_k_aggregate"):
        for number, row in enumerate(record.get(section, [])):
            yield f"{section} {number}", {**row, "section": section}


_FILES: Mapping[str, tuple[str, Callable[[str], Iterator[tuple[str, Row]]], _Check]] = {
    "prompts": ("jsonl", _json_lines, _prompts),
    "prompt_texts": ("jsonl", _json_lines, _prompts),
    "prompt_encoder": ("jsonl", _json_lines, _prompt_encoder),
    "prompt_rejections": ("json", _rejection_rows, _prompt_rejections),
    "references": ("jsonl", _json_lines, _references),
    "stop_words": ("json", _stop_word_rows, _stop_words),
    "postprocess": ("jsonl", _json_lines, _postprocess),
    "programs": ("jsonl", _json_lines, _programs),
    "programs_multi": ("jsonl", _json_lines, _programs_multi),
    "diff": ("jsonl", _json_lines, _diff),
    "verdicts": ("jsonl", _json_lines, _verdict_program),
    "verdicts_extra": ("jsonl", _json_lines, _verdict_program),
    "merge": ("json", _merge_rows, _merge),
    "exec_params": ("json", _exec_rows, _exec_params),
    "process_results_status": ("json", _status_rows, _process_results_status),
}
FILES = tuple(_FILES)
"""The files that are checked, by name without ending."""


def check_folder(folder: Path, dataset: str | None = None, show: int = 3) -> Iterator[FileReport]:
    """Check every file of a folder, and report each as soon as it is done.

    Args:
        folder: The folder; its files may be compressed with gzip or not.
        dataset: The problems that the rows speak about; see `load_problems`.
        show: How many differences to keep of each file.

    Raises:
        UserError: The folder holds none of the files, or one is not what its name says.
    """
    found = {name: _find(folder, name, ending) for name, (ending, _, _) in _FILES.items()}
    if not any(found.values()):
        raise UserError(f"{folder} holds none of the files of recorded facts: {', '.join(FILES)}")
    facts = _Facts(dataset)
    for name, file in found.items():
        yield _check_file(name, file, facts, show) if file else FileReport(name, is_present=False)


def _find(folder: Path, name: str, ending: str) -> Path | None:
    candidates = (folder / f"{name}.{ending}", folder / f"{name}.{ending}.gz")
    return next((file for file in candidates if file.is_file()), None)


def _check_file(name: str, file: Path, facts: _Facts, show: int) -> FileReport:
    _, rows_of, check = _FILES[name]
    rows = differing = 0
    first: list[Difference] = []
    notes: dict[str, None] = {}
    for label, row in _read(file, rows_of):
        rows += 1
        details = list(_details(check, row, facts, f"{file} {label}"))
        notes.update((detail, None) for detail in details if isinstance(detail, Note))
        differences = [detail for detail in details if not isinstance(detail, Note)]
        if differences:
            differing += 1
            if len(first) < show:
                first.append(Difference(label, "\n".join(differences)))
    return FileReport(name, True, rows, differing, tuple(first), tuple(notes))


def _read(file: Path, rows_of: Callable[[str], Iterator[tuple[str, Row]]]) -> Sequence[tuple[str, Row]]:
    try:
        data = file.read_bytes()
        return list(rows_of((gzip.decompress(data) if file.suffix == ".gz" else data).decode()))
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is not a file of recorded facts of that name: {error!r}") from None


def _details(check: _Check, row: Row, facts: _Facts, where: str) -> Iterator[str]:
    try:
        yield from check(row, facts)
    except UserError as error:  # an unknown task or problem, or a prompt that we refuse
        yield str(error)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{where}: the row cannot be checked: {error!r}") from error
