"""The viewer: all samples of any number of runs in one HTML file that needs neither a network nor a server.

The data lies in the page as gzip in base64: an index that is read when the page opens, and parts of about a megabyte
that are read when one of their samples is looked at. Nothing of it is ever HTML: the page's script writes it as text.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from octopack_tasks.languages import LANGUAGES, PAPER_LANGUAGES
from octopack_tasks.problems import Problem, ProblemSet
from octopack_tasks.report.inputs import Details, ReportResult, ReportRun
from octopack_tasks.report.published import PublishedModel
from octopack_tasks.report.standings import benchmark_of, in_order
from octopack_tasks.results import outcome_of
from octopack_tasks.runs import Judgement, ProblemKey, Sample, problem_key
from octopack_tasks.tasks import get_task

FILE = "viewer.html"
"""Name of the page in a report."""
NOT_JUDGED = "not_judged"
"""Stands among the outcomes for samples of an unfinished run that have no verdict yet."""

_PAGE = Path(__file__).parent / "page"
_SCRIPTS = (
    "text.js",
    "highlight.js",
    "diff.js",
    "data.js",
    "state.js",
    "list.js",
    "map.js",
    "overview.js",
    "sample.js",
)
_PART_CHARACTERS = 1_000_000
"""A part ends after so many characters: read within a few hundredths of a second when its first sample is opened."""
_LONGEST_TEXT = 100_000
"""No text of a sample is longer in the page; its middle is left out, and the page says so."""
_LONGEST_OUTPUT = 4_000
"""The same for standard output and error, of which the end tells most."""

Progress = Callable[[str, int, int], None]
"""Called with what is read, how many of its tasks are done, and how many there are."""


def write_viewer(
    runs: Sequence[ReportRun],
    published: Sequence[PublishedModel],
    out: Path,
    progress: Progress = lambda *_: None,
) -> list[Path]:
    """Write the viewer.

    Args:
        runs: The runs; those without details appear with their scores only.
        published: The published models whose scores stand beside theirs.
        out: The folder of the report.
        progress: Called as tasks are read.

    Returns:
        The file that was written.
    """
    path = out / FILE
    path.write_text(page(runs, published, progress), encoding="utf-8", newline="\n")
    return [path]


def page(
    runs: Sequence[ReportRun], published: Sequence[PublishedModel] = (), progress: Progress = lambda *_: None
) -> str:
    """The viewer's page."""
    parts = _Parts()
    index = {**_index(runs, parts, progress), "published": [_published(model) for model in published]}
    scripts = "".join((_PAGE / name).read_text(encoding="utf-8") for name in (*_SCRIPTS, "main.js"))
    script = f'"use strict";(() => {{\n{scripts}}})();\n'
    style = (_PAGE / "style.css").read_text(encoding="utf-8")
    template = (_PAGE / "page.html").read_text(encoding="utf-8")
    # The policy names the two texts that may act, by their hash: nothing else runs, and nothing can be loaded.
    policy = (
        f"default-src 'none'; script-src '{_source_hash(script)}'; style-src '{_source_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    data = [f'<script type="text/plain" id="index">{_packed(index)}</script>']
    data += [
        f'<script type="text/plain" id="part-{number}">{part}</script>' for number, part in enumerate(parts.finished)
    ]
    fields = {"policy": policy, "style": style, "script": script, "data": "\n".join(data)}
    pieces = template.split("{{")
    return pieces[0] + "".join(fields[name] + rest for name, _, rest in (piece.partition("}}") for piece in pieces[1:]))


def _source_hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _packed(values: Any) -> str:
    # ASCII JSON: lone surrogates, which a model may write, survive as escapes.
    content = json.dumps(values, separators=(",", ":")).encode("ascii")
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode("ascii")


class _Parts:
    """The parts of the data that are read when they are needed; each string is in a part once."""

    def __init__(self) -> None:
        self.finished: list[str] = []
        self._strings: dict[str, int] = {}
        self._entries: list[Any] = []
        self._size = 0

    @property
    def number(self) -> int:
        """Number of the part that is being filled."""
        return len(self.finished)

    @property
    def position(self) -> int:
        """Where in that part the next entry will be."""
        return len(self._entries)

    def string(self, text: str | None, longest: int = _LONGEST_TEXT, *, end: bool = False) -> int:
        """The number of a string in the part; -1 for None."""
        if text is None:
            return -1
        text = _shortened(text, longest, end=end)
        if text not in self._strings:
            self._strings[text] = len(self._strings)
            self._size += len(text)
        return self._strings[text]

    def add(self, entry: Any) -> None:
        """Add an entry, and end the part if it is large enough."""
        self._entries.append(entry)
        if self._size > _PART_CHARACTERS:
            self.finish()

    def finish(self) -> None:
        """End the part."""
        if self._entries:
            self.finished.append(_packed([list(self._strings), self._entries]))
            self._strings, self._entries, self._size = {}, [], 0


def _shortened(text: str, longest: int, *, end: bool) -> str:
    if len(text) <= longest:
        return text
    left_out = f"[{len(text) - longest} characters are left out here; the run has them]"
    if end:
        return f"{left_out}\n{text[-longest:]}"
    return f"{text[: longest // 2]}\n{left_out}\n{text[-(longest // 2) :]}"


def _index(runs: Sequence[ReportRun], parts: _Parts, progress: Progress) -> dict[str, Any]:
    names = _Names()
    sets = _ProblemSets(parts, names)
    works: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    tasks = [(number, run, task) for number, run in enumerate(runs) for task in _tasks_of(run)]
    for done, (number, run, task) in enumerate(tasks):
        progress("tasks", done, len(tasks))
        of_task = [result for result in run.results if result.task == task]
        work: _Work | None = None
        if run.details is not None and any(result.tallies for result in of_task):
            work = _Work.read(run.details, of_task)
            works.append(
                {
                    "run": number,
                    "task": task,
                    "set": sets.number_of(of_task[0], work.problems),
                    "groups": work.add_to(parts, names),
                    "readings": list(work.judgements),
                }
            )
        for result in of_task:
            codes = None if work is None else work.codes(result.reading, names)
            results.append({"run": number, "work": len(works) - 1 if work else -1, "codes": codes, **_summary(result)})
    problem_sets = sets.finish()
    progress("tasks", len(tasks), len(tasks))
    return {
        "version": version("octopack"),
        "runs": [_about(run) for run in runs],
        "sets": problem_sets,
        "works": works,
        "results": results,
        "names": list(names),
        "languages": _languages(runs),
    }


def _languages(runs: Sequence[ReportRun]) -> list[list[Any]]:
    """The languages of the runs in the order of all tables: name, title, whether it is one of the paper's."""
    found = {result.language for run in runs for result in run.results}
    ordered = [get_task(task).language for task in in_order(f"humanevalfixtests-{name}" for name in LANGUAGES)]
    return [[each.name, each.title, each.name in PAPER_LANGUAGES] for each in ordered if each.name in found]


def _tasks_of(run: ReportRun) -> list[str]:
    return list(dict.fromkeys(result.task for result in run.results))


def _about(run: ReportRun) -> dict[str, Any]:
    return {
        "label": run.label,
        "model": run.model,
        "parameters": run.parameters,
        "origin": run.origin.value,
        "path": str(run.path),
        "lacks": list(run.lacks),
        "notes": list(run.notes),
    }


def _published(model: PublishedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "scores": {task: _number(value) for task, value in model.scores.items()},
        "means": {scenario: _number(value) for scenario, value in model.means.items()},
        "settings": {name: str(each.settings) for name, each in model.publications.items()},
        "sources": {name: each.source for name, each in model.publications.items()},
    }


def _summary(result: ReportResult) -> dict[str, Any]:
    return {
        "task": result.task,
        "scenario": benchmark_of(result.task),
        "language": result.language,
        "reading": result.reading,
        "settings": str(result.settings),
        "scores": [
            [score.k, *map(_number, (score.value, score.stderr, score.low, score.high))] for score in result.scores
        ],
        "problems": result.problems,
        "datasetProblems": result.dataset_problems,
        "dataset": result.dataset_sha256,
        "lacks": list(result.lacks),
        "outcomes": dict(result.outcomes),
        "bugTypes": {name: [bug.problems, _number(bug.pass_at_1)] for name, bug in result.bug_types.items()},
        "tokens": result.tokens,
        "suspicious": result.suspicious,
    }


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 6)


class _Names:
    """Short strings that occur often, by number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)


class _ProblemSets:
    """The problems of each dataset and language, once however many runs answer them."""

    def __init__(self, parts: _Parts, names: _Names) -> None:
        self._parts = parts
        self._names = names
        self._numbers: dict[tuple[str, str], int] = {}
        self._sets: list[dict[str, Problem]] = []

    def number_of(self, result: ReportResult, problems: ProblemSet) -> int:
        """The number of the set to which a task's problems belong."""
        key = (result.language, result.dataset_sha256 or problems.sha256)
        if key not in self._numbers:
            self._numbers[key] = len(self._sets)
            self._sets.append({})
        number = self._numbers[key]
        for problem in problems:
            self._sets[number].setdefault(problem.task_id, problem)
        return number

    def finish(self) -> list[dict[str, Any]]:
        """The sets for the index; what the problems say goes into parts."""
        keys = {number: key for key, number in self._numbers.items()}
        found_sets = [
            {
                "language": keys[number][0],
                "dataset": keys[number][1],
                "problems": [self._entry(problem) for problem in found.values()],
            }
            for number, found in enumerate(self._sets)
        ]
        self._parts.finish()
        return found_sets

    def _entry(self, problem: Problem) -> list[Any]:
        text = self._parts.string
        place = [self._parts.number, self._parts.position]
        self._parts.add(
            [
                text(each)
                for each in (
                    problem.instruction,
                    problem.prompt,
                    problem.declaration,
                    problem.buggy_solution,
                    problem.canonical_solution,
                    problem.test,
                )
            ]
        )
        bug_type, symptoms = self._names[problem.bug_type], self._names[problem.failure_symptoms]
        return [problem.task_id, self._names[problem.entry_point], bug_type, symptoms, *place]


@dataclass(frozen=True)
class _Work:
    """The samples of a task, and what came of them under each reading.

    Attributes:
        problems: The problems that were asked.
        prompts: What the model was given, by problem.
        samples: What it wrote, by task_id.
        judgements: What came of it, by reading.
    """

    problems: ProblemSet
    prompts: Mapping[ProblemKey, str]
    samples: Mapping[str, Sequence[Sample]]
    judgements: Mapping[str, Mapping[tuple[ProblemKey, int], Judgement]]

    @classmethod
    def read(cls, details: Details, results: Sequence[ReportResult]) -> _Work:
        """Read a task from the results that belong to it."""
        task = results[0].task
        problems = details.problems(task)
        samples: dict[str, list[Sample]] = {problem.task_id: [] for problem in problems}
        for sample in sorted(details.samples(task), key=lambda each: (each.candidate, each.sample)):
            if sample.task_id in samples:
                samples[sample.task_id].append(sample)
        return cls(
            problems,
            {problem_key(problem): details.prompt(task, problem) for problem in problems},
            {task_id: group for task_id, group in samples.items() if group},
            {
                result.reading: {
                    (judgement.key, judgement.sample): judgement
                    for group in details.judgements(task, result.reading).values()
                    for judgement in group
                }
                for result in results
            },
        )

    def codes(self, reading: str, names: _Names) -> list[list[int]]:
        """How the samples ended, by problem."""
        judgements = self.judgements[reading]
        return [
            [names[_outcome(judgements.get((sample.key, sample.sample)))] for sample in group]
            for group in self.samples.values()
        ]

    def add_to(self, parts: _Parts, names: _Names) -> list[list[Any]]:
        """Put the samples into parts; a group for each problem tells where."""
        groups: list[list[Any]] = []
        for task_id, group in self.samples.items():
            keys = [[sample.candidate, sample.sample] for sample in group]
            is_plain = keys == [[0, number] for number in range(len(group))]
            groups.append([task_id, parts.number, parts.position, len(group) if is_plain else keys])
            parts.add([self._sample(sample, parts, names) for sample in group])
        return groups

    def _sample(self, sample: Sample, parts: _Parts, names: _Names) -> list[Any]:
        found = [judgements.get((sample.key, sample.sample)) for judgements in self.judgements.values()]
        return [
            parts.string(self.prompts.get(sample.key)),
            parts.string(sample.completion),
            parts.string(sample.answer),
            sample.tokens,
            names[sample.finish.value],
            [judgement and _judgement(judgement, parts, names) for judgement in found],
        ]


def _outcome(judgement: Judgement | None) -> str:
    return NOT_JUDGED if judgement is None else outcome_of(judgement)


def _judgement(judgement: Judgement, parts: _Parts, names: _Names) -> list[Any]:
    verdict = judgement.verdict
    # A program is mostly its solution and tests that other samples share: only the solution is told again.
    before, solution, after = judgement.program.partition(judgement.solution or "\0no solution")
    return [
        parts.string(judgement.solution),
        parts.string(before),
        parts.string(after) if solution else -1,
        names[verdict.status.value],
        parts.string(verdict.detail),
        parts.string(verdict.stdout, _LONGEST_OUTPUT, end=True),
        parts.string(verdict.stderr, _LONGEST_OUTPUT, end=True),
        names[verdict.stage],
        verdict.exit_code,
        round(verdict.compile_seconds, 3),
        round(verdict.run_seconds, 3),
        round(verdict.wall_seconds, 3),
        verdict.memory_bytes,
        int(verdict.cached),
        int(verdict.reference_passed),
        list(verdict.suspicious),
    ]
