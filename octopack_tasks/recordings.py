"""Completions that were made elsewhere: the reference's generations, lm-eval's samples, plain JSON Lines, runs."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octopack_tasks.descriptions import Descriptions
from octopack_tasks.errors import UserError
from octopack_tasks.problems import Problem, ProblemSet
from octopack_tasks.prompts import CHAT_FORMATS, DEFAULT_FORMAT
from octopack_tasks.readings import PAPER
from octopack_tasks.runs import Run, Sample
from octopack_tasks.tasks import FURTHER_TASKS, TASKS, Task, get_task

_TASK_NAME = re.compile("|".join(sorted(map(re.escape, TASKS | FURTHER_TASKS), key=len, reverse=True)))


@dataclass(frozen=True)
class Recording:
    """The recorded samples of a task.

    Attributes:
        task: The task.
        prompt: The prompt format that they answer.
        samples: The samples.
        source: The file they were read from.
    """

    task: Task
    prompt: str
    samples: tuple[Sample, ...]
    source: Path

    @property
    def n_samples(self) -> int:
        """The most samples that a problem has."""
        return max(sample.sample for sample in self.samples) + 1

    @property
    def fewest_samples(self) -> int:
        """The fewest samples that a problem has."""
        return min(Counter(sample.key for sample in self.samples).values())


def read_recordings(
    paths: Iterable[Path],
    dataset: str | None = None,
    task: str | None = None,
    prompt: str | None = None,
    limit: int | None = None,
) -> list[Recording]:
    """Read files of completions, of any number of tasks.

    Args:
        paths: Files, or folders of them: `generations_*.json` of the reference, `samples_*.jsonl` of lm-eval, or JSON
            Lines with `task_id` and `completion` (and `task` where the file's name does not tell it).
        dataset: The problems they answer.
        task: The task, where neither the file's name nor its lines tell it.
        prompt: The prompt format; None: what is recorded with the samples, else the default.
        limit: The reference's files: only the first problems were asked.

    Raises:
        UserError: A file has another shape or length, answers another dataset, or its task is not known.
    """
    if limit is not None and limit < 1:
        raise UserError(f"--limit must be 1 or more, not {limit}")
    recordings: dict[str, Recording] = {}
    for file in (file for path in paths for file in _files(path)):
        for recording in _read(file, dataset, task, prompt, limit):
            name = recording.task.name
            if name in recordings:
                raise UserError(
                    f"both {recordings[name].source} and {file} hold samples of {name}; score one at a time, or put "
                    "parts of one run together with `octopack merge`"
                )
            recordings[name] = recording
    return list(recordings.values())


def read_completions(path: Path) -> Mapping[tuple[str, str, int, int], str]:
    """Raw completions by task, task_id, description and sample, of a run or a file of completions.

    The task is "" where a file does not tell it.

    Raises:
        UserError: It holds none, or answers only.
    """
    run = Run(path)
    if run.exists:
        completions = {
            (name, sample.task_id, sample.candidate, sample.sample): sample.completion
            for name in run.manifest["settings"]["tasks"]
            for sample in run.samples(name)
            if sample.completion is not None
        }
    else:
        completions = {
            (record.task, record.task_id, sample.candidate, sample.sample): text
            for file in _files(path)
            for record in _records(file, _text(file), None, "")
            for sample, text in zip(record.samples, record.texts, strict=True)
        }
    if not completions:
        raise UserError(f"{path} holds no completions")
    return completions


def descriptions_of_run(run: Run, language: str, problems: ProblemSet) -> Descriptions:
    """The descriptions that a run wrote with explaindescribe.

    Raises:
        UserError: It wrote none.
    """
    task = get_task(f"humanevalexplaindescribe-{language}")
    planned = run.manifest["settings"]["tasks"].get(task.name)
    if planned is None:
        raise UserError(f"the run {run.folder} has no {task.name}")
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for sample in run.samples(task.name):
        problem = problems.get(sample.task_id)
        if sample.completion is not None:
            attempt = PAPER.attempt(task, problem, sample.completion, planned["prompt"])
            found[sample.task_id].setdefault(sample.sample, attempt.solution)
    return {task_id: tuple(texts[number] for number in sorted(texts)) for task_id, texts in found.items()}


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"there is no file or folder {path}")
    found = [
        file
        for file in sorted(path.rglob("*.json*"))
        if _TASK_NAME.search(file.name)
        and file.suffix in (".json", ".jsonl")
        and not file.name.startswith(("references_", "results_"))
    ]
    if not found:
        raise UserError(
            f"{path} is neither a run nor holds completions (generations_<task>.json or samples_<task>_*.jsonl)"
            f"{Run(path).shards_hint}"
        )
    return found


def _read(
    path: Path, dataset: str | None, task: str | None, prompt: str | None, limit: int | None
) -> Iterator[Recording]:
    text = _text(path)
    known = task or _task_named(path)
    if path.suffix == ".json" and _list_of_objects(text) is None:
        if known is None:
            raise UserError(f"{path}: name the task whose generations it holds with --tasks")
        yield _generations(path, text, get_task(known), prompt or DEFAULT_FORMAT, dataset, limit)
    else:
        yield from _recordings(path, _records(path, text, known), prompt, dataset)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors put a mark at the beginning
    except UnicodeDecodeError as error:
        is_compressed = error.object.startswith(b"\x1f\x8b")
        reason = f"it is compressed: gunzip -k {path}" if is_compressed else error
        raise UserError(f"could not read {path}: {reason}") from None
    except OSError as error:
        raise UserError(f"could not read {path}: {error}") from None


def _task_named(path: Path) -> str | None:
    """The task in the name of a file."""
    in_name = _TASK_NAME.search(path.name)
    return in_name.group() if in_name else None


def _list_of_objects(text: str) -> list[Any] | None:
    """The items of a JSON list of objects, as old versions of lm-eval wrote samples; None if it is none."""
    if not re.match(r"\s*\[\s*\{", text):
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if all(isinstance(item, dict) for item in content) else None


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is not JSON: {error}") from None


def _generations(path: Path, text: str, task: Task, prompt: str, dataset: str | None, limit: int | None) -> Recording:
    """The reference's shape: by problem, in order, a list of answers."""
    generations = _parsed(text, str(path))
    if not isinstance(generations, list) or not generations:
        raise UserError(f"{path} must hold a list of lists of strings, one inner list a problem")
    for index, answers in enumerate(generations):
        # A null is what the reference keeps of an edit that could not be read.
        if not isinstance(answers, list) or not all(isinstance(answer, str | None) for answer in answers):
            raise UserError(f"{path}: item {index} must be a list of strings (the samples of problem {index})")
        if not answers:
            raise UserError(f"{path}: item {index} is empty: problem {index} has no sample")
    problems = task.load(dataset)
    asked = problems[:limit]
    candidates, rest = divmod(len(generations), len(asked)) if task.needs_descriptions else (1, 0)
    if rest or not candidates or (not task.needs_descriptions and len(generations) != len(asked)):
        raise UserError(
            f"{path} holds samples of {len(generations)} problems, but {problems.dataset} ({problems.language}) has "
            f"{len(asked)}{f' up to the limit of {limit}' if limit else ''}; name the right --dataset, or --limit "
            "if only the first problems were asked"
        )
    owners = [(problem, candidate) for problem in asked for candidate in range(candidates)]
    samples = [
        Sample(problem.task_id, candidate, number, None, answer or "")
        for (problem, candidate), answers in zip(owners, generations, strict=True)
        for number, answer in enumerate(answers)
    ]
    if task.is_executed and not prompt.startswith("diff"):
        strangers = sum(
            all(answer and problem.entry_point not in answer for answer in answers)
            for (problem, _), answers in zip(owners, generations, strict=True)
        )
        if strangers > len(owners) / 2:
            raise UserError(
                f"{path}: {strangers} of {len(owners)} answers do not mention the function they should define, so "
                f"they seem to answer another dataset or task than {task.name} of {problems.dataset}"
            )
    return Recording(task, prompt, tuple(samples), path)


@dataclass(frozen=True)
class _Record:
    """Samples of a problem, as a line of a file or an item of a list has them.

    Attributes:
        where: The place, for messages.
        task: Name of the task that they answer.
        task_id: The problem.
        texts: The completions.
        samples: The same as samples, numbered among those of the file.
        content: All that the line holds.
    """

    where: str
    task: str
    task_id: str
    texts: Sequence[str]
    samples: Sequence[Sample]
    content: Mapping[str, Any]


def _records(path: Path, text: str, known: str | None, unknown: str | None = None) -> Iterator[_Record]:
    """lm-eval's samples, or one object a sample: lines, or items of a list.

    Args:
        path: The file.
        text: Its content.
        known: The task, where neither the file's name nor the object tells it.
        unknown: What stands for the task where nothing tells it; None refuses that.
    """
    counts: dict[tuple[str, str], int] = defaultdict(int)
    first_filter: Any = None
    known = known or _task_named(path) or unknown
    for where, content in _objects(path, text):
        name = content.get("task", known)
        if not isinstance(name, str):
            raise UserError(f"{where}: name the task that it answers with --tasks (or a field `task`)")
        by_description = bool(name) and get_task(name).needs_descriptions
        if "doc" in content:
            # lm-eval writes a line for each filter of a task; all hold the same raw responses.
            first_filter = content.get("filter") if not counts else first_filter
            if content.get("filter") != first_filter:
                continue
            task_id, texts = _lm_eval_sample(content, where)
        else:
            task_id, texts = _plain_sample(content, where)
        index = counts[name, task_id]
        counts[name, task_id] += 1
        if "doc" in content and index and not by_description:
            raise UserError(f"{where}: a second line for {task_id}; give the samples of one run")
        # Of a task with descriptions every record is about one; else plain samples of a problem are counted through.
        candidate, first = (index, 0) if by_description else (0, index)
        samples = [Sample(task_id, candidate, number, text) for number, text in enumerate(texts, start=first)]
        yield _Record(where, name, task_id, texts, samples, content)


def _objects(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of a list or of lines, with their places."""
    items = _list_of_objects(text)
    if items is not None:
        yield from ((f"{path} item {index}", item) for index, item in enumerate(items))
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        content = _parsed(line, where)
        if not isinstance(content, dict):
            raise UserError(f"{where} must be an object, not {type(content).__name__}")
        yield where, content


def _recordings(path: Path, records: Iterable[_Record], prompt: str | None, dataset: str | None) -> Iterator[Recording]:
    """The samples of a file by task, after a look whether they answer the dataset."""
    samples: dict[str, list[Sample]] = {}
    problem_sets: dict[str, ProblemSet] = {}
    formats: dict[str, str] = {}
    for record in records:
        task = get_task(record.task)
        if record.task not in samples:
            problem_sets[record.task] = task.load(dataset)
        problem = _known_problem(problem_sets[record.task], record)
        if record.task not in samples:
            formats[record.task] = prompt or _recorded_prompt(path, task, problem, record)
        samples.setdefault(record.task, []).extend(record.samples)
    if not samples:
        raise UserError(f"{path} holds no samples")
    for name, found in samples.items():
        yield Recording(get_task(name), formats[name], tuple(found), path)


def _lm_eval_sample(record: Mapping[str, Any], where: str) -> tuple[str, list[str]]:
    try:
        task_id, responses = record["doc"]["task_id"], record["resps"]
        texts = [text for response in responses for text in ([response] if isinstance(response, str) else response)]
        if not isinstance(task_id, str) or not texts or not all(isinstance(text, str) for text in texts):
            raise TypeError("`resps` must hold strings")
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{where} is not a sample logged by lm-eval (an object with `doc`, its `task_id`, and `resps`): {error!r}"
        ) from None
    return task_id, texts


def _plain_sample(record: Mapping[str, Any], where: str) -> tuple[str, list[str]]:
    for field in ("task_id", "completion"):
        if not isinstance(record.get(field), str):
            raise UserError(f"{where} must have a string `{field}`, has {record.get(field)!r}")
    return record["task_id"], [record["completion"]]


def _known_problem(problems: ProblemSet, record: _Record) -> Problem:
    """The problem of a record: one of the dataset, and the one that was asked, as far as that was logged."""
    try:
        problem = problems.get(record.task_id)
    except UserError as error:
        raise UserError(f"{record.where}: {error}; name the --dataset and the --tasks that the file answers") from None
    logged = record.content.get("doc", {})
    for column in ("prompt", "declaration", "test"):  # names are often the same in versions of a dataset
        if logged.get(column, getattr(problem, column)) != getattr(problem, column):
            raise UserError(
                f"{record.where}: the samples answer another {problem.task_id}, its `{column}` differs; name the "
                "--dataset that was asked"
            )
    return problem


def _recorded_prompt(path: Path, task: Task, problem: Problem, record: _Record) -> str:
    """The prompt format of samples: in the record, in the results beside lm-eval's samples, or by the prompt logged."""
    named = record.content.get("prompt_format")
    if isinstance(named, str):
        task.check_format(named)
        return named
    results = path.with_name(path.name.replace(f"samples_{task.name}_", "results_", 1)).with_suffix(".json")
    try:
        config = json.loads(results.read_text(encoding="utf-8"))["configs"][task.name]
        return str(config["metadata"]["octopack"]["prompt"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        asked = _logged_prompt(record.content["arguments"]["gen_args_0"]["arg_0"])
    except (LookupError, TypeError, ValueError, AttributeError):
        return DEFAULT_FORMAT
    if task.needs_descriptions:
        problem = dataclasses.replace(problem, description=record.content["doc"].get("description"), candidate=0)
    found = _format_of(asked, task, problem)
    if found is None:
        raise UserError(f"{record.where}: its prompt is of no format that we know; name the format with --prompt")
    return found


def _logged_prompt(logged: Any) -> str:
    """The prompt that lm-eval logged: a text, or the messages for a server as JSON, which may stand in a list."""
    text = logged[0] if isinstance(logged, list) else logged
    messages = json.loads(text) if text.startswith("[{") else [{"content": text}]
    return "\n".join(message["content"] for message in messages)


def _format_of(text: str, task: Task, problem: Problem) -> str | None:
    """The prompt format in which a problem's prompt is that text; a chat's prompt stands in the text of a template."""
    for name in dict.fromkeys((DEFAULT_FORMAT, *task.formats)):
        prompt = task.prompt(problem, name)
        is_whole = text.strip() == prompt.text.strip()
        begins_answer = text.rstrip().endswith(prompt.prefill.rstrip())
        if (prompt.text.strip() in text and begins_answer) if name in CHAT_FORMATS else is_whole:
            return name
    return None


def merged_generations(parts: Sequence[tuple[Path, Any]]) -> list[list[Any]]:
    """Parts of a generations file, put together as the reference does: in order of the number in their names.

    A part whose items are several lists of one string each is one problem's samples; other parts follow each other.

    Raises:
        UserError: A part has another shape.
    """
    whole: list[list[Any]] = []
    for path, part in sorted(parts, key=lambda item: _trailing_number(item[0])):
        if not isinstance(part, list) or not all(isinstance(item, list) for item in part):
            raise UserError(f"{path} must hold a list of lists of strings")
        if len(part) > 1 and all(len(item) == 1 for item in part):
            whole.append([item[0] for item in part])
        else:
            whole += part
    return whole


def _trailing_number(path: Path) -> tuple[int, str]:
    numbers = re.findall(r"\d+", path.stem)
    return (int(numbers[-1]) if numbers else -1, path.name)
