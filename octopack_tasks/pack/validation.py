"""Checks a pack: its rows, its languages against each other, and its programs in a sandbox."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.pack.agreement import agreement_findings
from octopack_tasks.pack.behaviour import behaviour_findings
from octopack_tasks.pack.contents import Contents, read_pack
from octopack_tasks.pack.findings import Check, Finding, Severity
from octopack_tasks.pack.rows import assembly_findings, repetition_findings, row_findings
from octopack_tasks.pack.trials import Effort, Report, run_trials
from octopack_tasks.problems import Problem
from sandboxes import SandboxError, SandboxUnavailable, open_sandbox
from sandboxes.backends import BackendName


@dataclass(frozen=True)
class Validation:
    """What was checked, and what was found.

    Attributes:
        folder: The pack.
        problems: How many were read, by language.
        settings: How it was checked, and with which sandbox.
        findings: What was found, errors first.
    """

    folder: str
    problems: Mapping[str, int]
    settings: Mapping[str, Any]
    findings: Sequence[Finding]

    def count(self, severity: Severity) -> int:
        """How many findings are that bad."""
        return sum(finding.severity is severity for finding in self.findings)

    def by_check(self) -> dict[Check, Counter[Severity]]:
        """How many findings of each check are how bad, in the order of the checks."""
        counts: dict[Check, Counter[Severity]] = {}
        for check in Check:
            found = Counter(finding.severity for finding in self.findings if finding.check is check)
            if found:
                counts[check] = found
        return counts

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "folder": self.folder,
            "problems": dict(self.problems),
            "settings": dict(self.settings),
            "counts": {severity.value: self.count(severity) for severity in Severity},
            "findings": [finding.to_json() for finding in self.findings],
        }


@dataclass(frozen=True)
class SandboxChoice:
    """Where programs are run.

    Attributes:
        backend: Name of the sandbox; None: see `open_sandbox`.
        workers: Programs at a time; None: one a core.
        cache: Whether verdicts may come from the cache.
    """

    backend: BackendName | None = None
    workers: int | None = None
    cache: bool = True


def validate_pack(
    folder: Path,
    languages: Sequence[str] | None = None,
    effort: Effort | None = Effort(),  # noqa: B008 - frozen
    sandbox: SandboxChoice = SandboxChoice(),
    report: Report = lambda what, done, total: None,
) -> Validation:
    """Check a pack.

    Args:
        folder: It holds `<language>.jsonl` files.
        languages: Only these; None: all that are there.
        effort: How much is run; None: nothing is.
        sandbox: Where programs are run.
        report: Called as verdicts come.

    Raises:
        UserError: There is no pack, or no sandbox to run it in.
    """
    contents = read_pack(folder, languages)
    findings = [*contents.findings, *_static_findings(contents)]
    settings: dict[str, Any] = {"executed": effort is not None}
    if effort is not None:
        settings["effort"] = dataclasses.asdict(effort)
        settings["sandboxes"] = {}
        for language, readable in contents.problems.items():
            problems = [problem for problem in readable if not any(assembly_findings(problem))]
            if problems:
                environment, found = _executed(language, problems, effort, sandbox, report)
                settings["sandboxes"][language] = environment
                findings += found
    order = list(Severity)
    findings = sorted(
        dict.fromkeys(findings), key=lambda each: (order.index(each.severity), list(Check).index(each.check))
    )
    counts = {language: len(problems) for language, problems in contents.problems.items()}
    return Validation(str(folder), counts, settings, findings)


def _static_findings(contents: Contents) -> Iterator[Finding]:
    for problems in contents.problems.values():
        for problem in problems:
            yield from row_findings(problem)
        yield from repetition_findings(problems)
    yield from agreement_findings(contents.problems)


def _executed(
    language: str, problems: Sequence[Problem], effort: Effort, choice: SandboxChoice, report: Report
) -> tuple[dict[str, Any], list[Finding]]:
    try:
        # One language at a time: a machine need not hold the workers of six.
        sandbox = open_sandbox(choice.backend, [language], choice.workers, cache=choice.cache)
    except (SandboxUnavailable, ValueError) as error:
        raise UserError(f"{error} (--quick checks without running anything)") from error
    with sandbox:
        try:
            outcomes = run_trials(
                sandbox, problems, effort, lambda what, done, total: report(f"{language}: {what}", done, total)
            )
        except SandboxError as error:
            raise UserError(str(error)) from error
        environment = sandbox.environment.to_json()
    return environment, [finding for each in outcomes for finding in behaviour_findings(each)]
