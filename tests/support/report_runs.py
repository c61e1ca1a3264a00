"""Runs of invented models, as a report sees them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from octopack_tasks.metrics import Tally, score
from octopack_tasks.report.inputs import Origin, ReportResult, ReportRun, Score, Settings
from octopack_tasks.results import BugType

LANGUAGES = ("python", "js", "java", "go", "cpp", "rust")
BUGS = ("missing logic", "excess logic", "value misuse", "operator misuse", "variable misuse", "function misuse")


def invented_run(
    label: str = "my-model",
    *,
    scenarios: Sequence[str] = ("fixtests",),
    languages: Sequence[str] = LANGUAGES,
    readings: Sequence[str] = ("paper",),
    level: float = 0.3,
    problems: int = 8,
    dataset_problems: int = 164,
    settings: Settings = Settings("instruct", 4, 0.2, 0.95, 0, 2048),  # noqa: B008 - frozen
    parameters: float | None = 7e9,
    lacks: Mapping[str, tuple[str, ...]] | None = None,
    notes: tuple[str, ...] = (),
) -> ReportRun:
    """A run whose problems have random tallies, always the same for a label."""
    generator = random.Random(label)
    results = []
    for reading in readings:
        for scenario in scenarios:
            for language in languages:
                task = f"humaneval{scenario}-{language}"
                n = settings.n_samples or 1
                tallies = {
                    (f"{language}/{number}", 0): Tally(n, sum(generator.random() < level for _ in range(n)))
                    for number in range(problems)
                }
                passed = sum(tally.correct for tally in tallies.values())
                failed = n * problems - passed
                outcomes = {"passed": passed, "failed": failed - failed // 2, "timeout": failed // 2}
                is_fix = scenario.startswith("fix")
                results.append(
                    ReportResult(
                        task=task,
                        reading=reading,
                        settings=settings,
                        scores=tuple(map(Score.of, score(list(tallies.values()), [1]))),
                        problems=problems,
                        dataset_problems=dataset_problems,
                        lacks=(lacks or {}).get(task, ()),
                        dataset_sha256="0" * 64,
                        tallies=tallies,
                        outcomes=outcomes,
                        bug_types={kind: BugType(4, generator.random()) for kind in BUGS} if is_fix else {},
                    )
                )
    return ReportRun(label, label, parameters, Origin.OCTOPACK, Path("runs") / label, tuple(results), notes=notes)
