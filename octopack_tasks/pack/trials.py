"""Runs a pack's right solutions, buggy ones and changed ones in a sandbox, as often as it takes to trust verdicts."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import math
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from octopack_tasks.pack.mutations import BugType, Mutant, mutants
from octopack_tasks.problems import Problem
from octopack_tasks.prompts import DEFAULT_FORMAT
from octopack_tasks.readings import get_readings
from octopack_tasks.tasks import Task, get_task
from sandboxes import Limits, Program, Sandbox, Status, Verdict
from sandboxes.supervisor.protocol import DEFAULT_LIMITS

Report = Callable[[str, int, int], None]
"""Called with what is being run, how many programs of it are judged, and how many there are."""


class Start(str, enum.Enum):
    """The code after which a solution stands."""

    DECLARATION = "declaration"
    PROMPT = "prompt"


_SCENARIOS = {Start.DECLARATION: "fixtests", Start.PROMPT: "fixdocs"}


class Way(str, enum.Enum):
    """How a completion is made into a program."""

    PAPER = "paper"
    """As the reference does: cut where it takes the function to end."""
    UNCUT = "uncut"
    CORRECTED = "corrected"


@dataclass(frozen=True)
class Setting:
    """How a solution is put into a program.

    Attributes:
        start: After which code.
        way: In which way.
    """

    start: Start
    way: Way = Way.PAPER


class Subject(str, enum.Enum):
    """What is tried."""

    RIGHT = "right"
    BUGGY = "buggy"
    STOPPED = "stopped"
    """The right solution, failing before its first step."""
    EXAMPLES = "examples"
    """The right solution, with the examples of the documentation as its tests."""
    MUTANT = "mutant"


@dataclass(frozen=True)
class Trial:
    """One program of a problem.

    Attributes:
        problem: The problem.
        subject: What is tried.
        setting: In which program.
        program: The program.
        change: What was changed, for a mutant.
    """

    problem: Problem
    subject: Subject
    setting: Setting
    program: Program
    change: str = ""


@dataclass
class Outcomes:
    """What came of the trials of one problem.

    Attributes:
        problem: The problem.
        verdicts: The trials and their verdicts.
    """

    problem: Problem
    verdicts: list[tuple[Trial, Verdict]] = field(default_factory=list)

    def of(self, subject: Subject, setting: Setting | None = None) -> list[Verdict]:
        """The verdicts of a subject, in one setting or in all."""
        return [
            verdict
            for trial, verdict in self.verdicts
            if trial.subject is subject and (setting is None or trial.setting == setting)
        ]

    @property
    def sound(self) -> Setting | None:
        """The first setting in which the right solution passes; None where it passes in none."""
        settings = (Setting(start, way) for way in (Way.PAPER, Way.UNCUT) for start in Start)
        return next((s for s in settings if any(verdict.passed for verdict in self.of(Subject.RIGHT, s))), None)


@dataclass(frozen=True)
class Effort:
    """How much is run.

    Attributes:
        repeat: How often right and buggy solutions are run.
        repeat_chance: The same where the code draws on chance, such as an unseeded generator.
        mutants: How many changed solutions a problem gets.
        timeout: CPU time of a program, in seconds.
    """

    repeat: int = 3
    repeat_chance: int = 15
    mutants: int = 3
    timeout: float = 10.0


def run_trials(sandbox: Sandbox, problems: Sequence[Problem], effort: Effort, report: Report) -> list[Outcomes]:
    """Run everything about the problems of one language.

    Args:
        sandbox: What runs the programs.
        problems: The problems.
        effort: How much is run.
        report: Called as verdicts come.

    Raises:
        SandboxError: Some programs could not be judged.
    """
    outcomes = {problem.task_id: Outcomes(problem) for problem in problems}

    def run(what: str, trials: Iterable[Trial]) -> None:
        listed = list(trials)
        if listed:
            report(what, 0, len(listed))
        verdicts: dict[int, Verdict] = {}
        for index, verdict in sandbox.stream(trial.program for trial in listed):
            verdicts[index] = verdict
            report(what, len(verdicts), len(listed))
        for index, trial in enumerate(listed):  # they come in any order; reports are the same each time
            outcomes[trial.problem.task_id].verdicts.append((trial, verdicts[index]))

    run("right and buggy solutions", (trial for each in outcomes.values() for trial in _first(each, effort)))
    run("the same once more", (trial for each in outcomes.values() for trial in _repeated(each, effort)))
    run("right solutions that failed", (trial for each in outcomes.values() for trial in _diagnosing(each, effort)))
    sources = {each.problem.task_id: _chosen(each) for each in outcomes.values() if each.sound is not None}
    run("solutions that only fail", (trial for each in outcomes.values() for trial in _stopped(each, effort)))
    run("examples", (trial for each in outcomes.values() for trial in _examples(each, effort)))
    for _ in range(_ROUNDS):  # what does not compile is replaced
        wanted: list[Trial] = []
        for name, source in sources.items():
            compiled = sum(v.status is not Status.COMPILE_ERROR for v in outcomes[name].of(Subject.MUTANT))
            wanted += (
                _mutant_trial(outcomes[name], mutant, effort)
                for mutant in itertools.islice(source, effort.mutants - compiled)
            )
        run("changed solutions", wanted)
    return list(outcomes.values())


_ROUNDS = 3


_AT_DECLARATION = Setting(Start.DECLARATION)
_AT_PROMPT = Setting(Start.PROMPT)


def _first(outcomes: Outcomes, effort: Effort) -> Iterator[Trial]:
    for subject, setting in (
        (Subject.RIGHT, _AT_DECLARATION),
        (Subject.BUGGY, _AT_DECLARATION),
        (Subject.RIGHT, _AT_PROMPT),
    ):
        yield _trial(outcomes.problem, subject, setting, effort)


def _repeated(outcomes: Outcomes, effort: Effort) -> Iterator[Trial]:
    problem = outcomes.problem
    (buggy,) = outcomes.of(Subject.BUGGY)
    for repetition in range(1, effort.repeat_chance if draws_on_chance(problem) else effort.repeat):
        yield _trial(problem, Subject.RIGHT, _AT_DECLARATION, effort, repetition)
        if buggy.status is not Status.TIMEOUT:  # an endless loop shows nothing new
            yield _trial(problem, Subject.BUGGY, _AT_DECLARATION, effort, repetition)


def _diagnosing(outcomes: Outcomes, effort: Effort) -> Iterator[Trial]:
    """What tells why a right solution failed, and the buggy one where the right one does pass."""
    for setting, other in ((_AT_DECLARATION, _AT_PROMPT), (_AT_PROMPT, _AT_DECLARATION)):
        if not any(verdict.passed for verdict in outcomes.of(Subject.RIGHT, setting)):
            for way in (Way.UNCUT, Way.CORRECTED):
                yield _trial(outcomes.problem, Subject.RIGHT, Setting(setting.start, way), effort)
            for place in (other, Setting(setting.start, Way.UNCUT)):
                if not outcomes.of(Subject.BUGGY, place):
                    yield _trial(outcomes.problem, Subject.BUGGY, place, effort)


def _stopped(outcomes: Outcomes, effort: Effort) -> Iterator[Trial]:
    problem, setting = outcomes.problem, outcomes.sound
    failing = _FAILING.get(problem.language)
    if failing is not None and setting is not None:
        first = next((line for line in problem.canonical_solution.split("\n") if line.strip()), "")
        indentation = first[: len(first) - len(first.lstrip())]
        body = f"{indentation}{failing}\n{problem.canonical_solution}"
        uncut = Setting(setting.start, Way.UNCUT)
        program = _program(problem, body, uncut, _limits(problem, effort.timeout))
        yield Trial(problem, Subject.STOPPED, uncut, program)


def _examples(outcomes: Outcomes, effort: Effort) -> Iterator[Trial]:
    problem, setting = outcomes.problem, outcomes.sound
    # HumanEvalPack's Rust rows hold the word None.
    if setting is not None and problem.example_test.strip() not in ("", "None"):
        with_examples = dataclasses.replace(problem, test=problem.example_test)
        program = _program(with_examples, problem.canonical_solution, setting, _limits(problem, effort.timeout))
        yield Trial(problem, Subject.EXAMPLES, setting, program)


_FAILING = {
    "python": "raise RuntimeError('not to be reached')",
    "cpp": "abort();",
    "js": "throw new Error('not to be reached');",
    "typescript": "throw new Error('not to be reached');",
    "java": 'if (true) throw new RuntimeException("not to be reached");',  # what follows must stay reachable
    "go": 'panic("not to be reached")',
    "rust": 'if true { panic!("not to be reached") }',
}
"""A statement that fails, by language."""


def _chosen(outcomes: Outcomes) -> Iterator[Mutant]:
    """Changed solutions of every kind in turn; the same ones each time."""
    problem, setting = outcomes.problem, outcomes.sound
    assert setting is not None
    given = _given(_task(problem, setting), problem)
    code = given + problem.canonical_solution
    by_type: dict[BugType, list[Mutant]] = defaultdict(list)
    for mutant in mutants(code, _task(problem, setting).language, within=(len(given), len(code))):
        by_type[mutant.bug_type].append(mutant)
    chance = random.Random(problem.task_id)
    for found in by_type.values():
        chance.shuffle(found)
    kinds = list(by_type.values())
    chance.shuffle(kinds)
    yield from (mutant for turn in itertools.zip_longest(*kinds) for mutant in turn if mutant is not None)


def _mutant_trial(outcomes: Outcomes, mutant: Mutant, effort: Effort) -> Trial:
    problem, setting = outcomes.problem, outcomes.sound
    assert setting is not None
    # Many changes make a loop endless: that shows long before the time limit of an honest solution.
    needed = max(verdict.run_seconds for verdict in outcomes.of(Subject.RIGHT, setting) if verdict.passed)
    limits = _limits(problem, min(effort.timeout, max(2.0, math.ceil(10 * needed))))
    uncut = Setting(setting.start, Way.UNCUT)
    program = _task(problem, uncut).program(problem, mutant.code)
    return Trial(problem, Subject.MUTANT, uncut, dataclasses.replace(program, limits=limits), change=mutant.description)


def _trial(problem: Problem, subject: Subject, setting: Setting, effort: Effort, repetition: int = 0) -> Trial:
    body = problem.canonical_solution if subject is Subject.RIGHT else problem.buggy_solution
    program = _program(problem, body, setting, _limits(problem, effort.timeout))
    # Identical programs are run once: a blank line at the end makes another program that does the same.
    program = dataclasses.replace(program, source=program.source + "\n" * repetition)
    return Trial(problem, subject, setting, program)


def _program(problem: Problem, body: str, setting: Setting, limits: Limits) -> Program:
    task = _task(problem, setting)
    given = _given(task, problem)
    # A prompt is stripped at its end, so a completion begins with what that took away.
    completion = given[len(given.rstrip()) :] + body
    if setting.way is Way.UNCUT:
        program = task.program(problem, given + body)
    elif setting.way is Way.PAPER:
        program = task.program(problem, task.solution(problem, completion))
    else:
        (corrected,) = get_readings("corrected")
        attempt = corrected.attempt(task, problem, completion, DEFAULT_FORMAT)
        (program,) = corrected.programs(task, problem, [attempt.solution])
    return dataclasses.replace(program, limits=limits)


def _task(problem: Problem, setting: Setting) -> Task:
    return get_task(f"humaneval{_SCENARIOS[setting.start]}-{problem.language}")


def _given(task: Task, problem: Problem) -> str:
    return task.scenario.shown_code(problem, task.language)


def _limits(problem: Problem, timeout: float) -> Limits:
    return dataclasses.replace(DEFAULT_LIMITS[problem.language], cpu_seconds=timeout)


_JAVASCRIPT_CHANCE = r"\bMath\.random\b|\bcrypto\b|\bDate\b|\bperformance\b|\bhrtime\b|\bset(?:Timeout|Immediate)\b"
_CHANCE = {
    # The last one is a set that is written out: braces without a colon.
    "python": r"\b(?:u?random|secrets|uuid|time|datetime)\b|\b(?:set|frozenset|hash|id)\(|\{[^{}:]*(?:,| for )",
    "cpp": r"\brandom_device\b|\bchrono\b|\b(?:time|clock)\s*\(|\bsrand\b|\bunordered_|\bthread\b",
    "js": _JAVASCRIPT_CHANCE,
    "typescript": _JAVASCRIPT_CHANCE,
    "java": r"Random\b|\b(?:random|randomUUID|shuffle|currentTimeMillis|nanoTime|now|identityHashCode)\b|\bparallel",
    "go": r"\brand\.|\btime\.|\bmap\[|\bgo func\b",
    "rust": r"\brand::|\bthread_rng\b|\bHashMap\b|\bHashSet\b|\bSystemTime\b|\bInstant\b|\bthread::",
}
"""What may behave in another way each time, by language: generators, clocks, containers without an order."""


def draws_on_chance(problem: Problem) -> bool:
    """Whether solution or tests use something that may behave in another way each time."""
    pattern = _CHANCE.get(problem.language)
    texts = (problem.canonical_solution, problem.buggy_solution, problem.test)
    return pattern is not None and any(re.search(pattern, text) for text in texts)
