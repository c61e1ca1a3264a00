"""What the verdicts on a problem's programs say about the problem."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from octopack_tasks.pack.findings import Check, Finding, Severity
from octopack_tasks.pack.rows import print_findings
from octopack_tasks.pack.symptoms import Symptom, symptom_of
from octopack_tasks.pack.trials import Outcomes, Setting, Start, Subject, Way
from octopack_tasks.problems import Problem
from sandboxes import Status, Verdict

SLOW_SECONDS = 2.0
"""CPU time of a right solution's tests above which a problem is called slow."""

_SCENARIOS = {Start.DECLARATION: "fixtests", Start.PROMPT: "fixdocs, synthesize and explainsynthesize"}
_SEGMENTATION_FAULT = (-11, 139)
_DETAIL_CHARACTERS = 1500
# In the others the test runner prints, or a program that prints fails.
_SILENT_LANGUAGES = ("python", "cpp", "java")


def behaviour_findings(outcomes: Outcomes) -> Iterator[Finding]:
    """What is wrong with a problem, by the verdicts on its programs."""
    yield from _right(outcomes)
    yield from _examples(outcomes)
    yield from _buggy(outcomes)
    yield from _tests(outcomes)
    yield from _symptom(outcomes)
    yield from _prints(outcomes)


def _finding(check: Check, severity: Severity, problem: Problem, field: str, message: str, detail: str = "") -> Finding:
    return Finding(check, severity, problem.language, problem.task_id, field, message, detail)


def _right(outcomes: Outcomes) -> Iterator[Finding]:
    problem = outcomes.problem
    by_start = {start: outcomes.of(Subject.RIGHT, Setting(start)) for start in Start}
    together = [verdict for verdicts in by_start.values() for verdict in verdicts]
    if any(len({verdict.passed for verdict in same}) == 2 for same in by_start.values()):
        message = f"the right solution passes in {_share(together)} runs: {_statuses(together)}"
        yield _finding(Check.FLAKY, Severity.ERROR, problem, "test", message, _evidence(together))
    else:
        yield from _unsolvable(outcomes)
    slowest = max((verdict.run_seconds for verdict in together if verdict.passed), default=0.0)
    if slowest > SLOW_SECONDS:
        message = f"the right solution needs {slowest:.1f} s of CPU time"
        yield _finding(Check.SLOW, Severity.WARNING, problem, "canonical_solution", message)


def _unsolvable(outcomes: Outcomes) -> Iterator[Finding]:
    failing = [start for start in Start if not _passes(outcomes, start, Way.PAPER)]
    by_cause: dict[tuple[str, str], list[Start]] = defaultdict(list)
    for start in failing:
        by_cause[_cause(outcomes, start, failing)].append(start)
    for (field, cause), starts in by_cause.items():
        scenarios = _SCENARIOS[starts[0]] if len(starts) == 1 else "any scenario"
        evidence = _evidence(outcomes.of(Subject.RIGHT, Setting(starts[0])))
        message = f"cannot be solved in {scenarios}: {cause}"
        yield _finding(Check.UNSOLVABLE, Severity.ERROR, outcomes.problem, field, message, evidence)


def _passes(outcomes: Outcomes, start: Start, way: Way) -> bool:
    return any(verdict.passed for verdict in outcomes.of(Subject.RIGHT, Setting(start, way)))


def _cause(outcomes: Outcomes, start: Start, failing: Sequence[Start]) -> tuple[str, str]:
    """The field that is to blame, and why the right solution fails after some code."""
    same = failing if len(failing) == len(Start) else [start]
    statuses = _statuses([verdict for each in same for verdict in outcomes.of(Subject.RIGHT, Setting(each))])
    if _passes(outcomes, start, Way.UNCUT):
        field, cause = "canonical_solution", "the reading `paper` cuts it off where it takes the function to end"
    elif len(failing) == len(Start):
        field, cause = "canonical_solution", f"it fails after declaration and prompt alike ({statuses})"
    else:
        other = next(each.value for each in Start if each is not start)
        field, cause = start.value, f"it fails after the {start.value} ({statuses}) and passes after the {other}"
    accepted = "; the reading `corrected` accepts it" if _passes(outcomes, start, Way.CORRECTED) else ""
    return field, cause + accepted


def _buggy(outcomes: Outcomes) -> Iterator[Finding]:
    problem = outcomes.problem
    # Where not even the right solution passes, a failure says nothing.
    verdicts = outcomes.of(Subject.BUGGY, outcomes.sound) or outcomes.of(Subject.BUGGY)
    passed = sum(verdict.passed for verdict in verdicts)
    if passed and passed == len(verdicts):
        message = "the buggy solution passes the tests"
        yield _finding(Check.BUGGY_PASSES, Severity.ERROR, problem, "buggy_solution", message)
    elif passed:
        message = f"the buggy solution passes in {_share(verdicts)} runs"
        yield _finding(Check.FLAKY, Severity.ERROR, problem, "buggy_solution", message)


def _examples(outcomes: Outcomes) -> Iterator[Finding]:
    verdicts = outcomes.of(Subject.EXAMPLES)
    if verdicts and not any(verdict.passed for verdict in verdicts):
        message = f"the right solution fails the examples in `example_test` ({_statuses(verdicts)})"
        evidence = _evidence(verdicts)
        yield _finding(Check.EXAMPLES_FAIL, Severity.WARNING, outcomes.problem, "example_test", message, evidence)


def _tests(outcomes: Outcomes) -> Iterator[Finding]:
    problem = outcomes.problem
    if any(verdict.passed for verdict in outcomes.of(Subject.STOPPED)):
        message = "a solution that fails at its first step passes: the tests do not call it, or do not notice"
        yield _finding(Check.UNTESTED, Severity.ERROR, problem, "test", message)
    changed = [
        (trial.change, verdict)
        for trial, verdict in outcomes.verdicts
        if trial.subject is Subject.MUTANT and verdict.status is not Status.COMPILE_ERROR
    ]
    survivors = [change for change, verdict in changed if verdict.passed]
    if survivors:
        is_all = len(survivors) == len(changed) > 2
        message = f"{len(survivors)} of {len(changed)} changes to the right solution pass: {survivors[0]}"
        severity = Severity.ERROR if is_all else Severity.WARNING
        yield _finding(Check.WEAK_TESTS, severity, problem, "test", message, "\n".join(survivors))


def _symptom(outcomes: Outcomes) -> Iterator[Finding]:
    problem, sound = outcomes.problem, outcomes.sound
    verdicts = [] if sound is None else outcomes.of(Subject.BUGGY, sound)
    if not problem.failure_symptoms or not verdicts or any(verdict.passed for verdict in verdicts):
        return
    first = verdicts[0]
    symptom = symptom_of(first)
    if first.exit_code in _SEGMENTATION_FAULT and problem.failure_symptoms == Symptom.STACK_OVERFLOW.value:
        return  # a stack that overflows looks like that, too
    if symptom is not None and symptom.value == problem.failure_symptoms:
        return
    if first.status is Status.COMPILE_ERROR:
        observed, severity = "a compile error, before any test", Severity.WARNING
    elif symptom is None:
        observed, severity = "an error that compilers of other languages find before any test", Severity.NOTE
    else:
        observed, severity = repr(symptom.value), Severity.NOTE
    message = f"the row says {problem.failure_symptoms!r}, but the bug gives {observed}"
    yield _finding(Check.SYMPTOM, severity, problem, "failure_symptoms", message, _evidence(verdicts))


def _share(verdicts: Sequence[Verdict]) -> str:
    return f"{sum(verdict.passed for verdict in verdicts)} of {len(verdicts)}"


def _statuses(verdicts: Sequence[Verdict]) -> str:
    counts = Counter(verdict.status.value for verdict in verdicts)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{status} {count}" for status, count in counts.most_common())


def _evidence(verdicts: Sequence[Verdict]) -> str:
    """Why the first failing one failed."""
    failing = next((verdict for verdict in verdicts if not verdict.passed), None)
    if failing is None:
        return ""
    return "\n".join(filter(None, (failing.detail, failing.stderr.strip()[-_DETAIL_CHARACTERS:])))


def _prints(outcomes: Outcomes) -> Iterator[Finding]:
    problem = outcomes.problem
    printed = [verdict.stdout for verdict in outcomes.of(Subject.RIGHT) if verdict.passed and verdict.stdout.strip()]
    if printed and problem.language in _SILENT_LANGUAGES and not any(print_findings(problem)):
        message = f"tests or right solution print: {printed[0].strip().splitlines()[0][:80]!r}"
        yield _finding(Check.PRINTS, Severity.WARNING, problem, "test", message, printed[0][-_DETAIL_CHARACTERS:])
