"""Whether programs pass their tests, in a sandbox. See `octopack_tasks.harnesses.hf_evaluate`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import datasets
import evaluate  # type: ignore[import-untyped]

from octopack_tasks.metrics import Tally, mean_pass_at_k
from sandboxes import Limits, Program, Status, Verdict, open_sandbox
from sandboxes.supervisor.protocol import LANGUAGES
from sandboxes.toolchains import titles

_DESCRIPTION = f"pass@k of programs in {titles()}, run in a sandbox."
_KWARGS = f"""
Args:
    predictions: For each problem a list of candidate programs.
    references: For each problem its test, which is put after a candidate.
    k: The k's of pass@k, or one; reported as far as every problem has as many candidates.
    num_workers: Programs run at once.
    timeout: CPU seconds of a program (its compiler has at least a minute of its own).
    language: {", ".join(LANGUAGES)}; `javascript` for js, too.
    cargo_string: Taken, but not used: Rust programs have the crates of the sandbox.
Returns:
    pass_at_k: Score by name, such as "pass@1".
    results: By number of the problem, a list of (number of the candidate, what came of it).
"""


class CodeEvalOctopack(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """The metric; its interface and results are the reference metric's."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_KWARGS,
            features=datasets.Features(
                {"predictions": datasets.Sequence(datasets.Value("string")), "references": datasets.Value("string")}
            ),
        )

    def _compute(
        self,
        predictions: Sequence[Sequence[str]],
        references: Sequence[str],
        k: Sequence[int] | int = (1, 10, 100),
        num_workers: int = 4,
        timeout: float = 3.0,
        language: str = "python",
        cargo_string: str | None = None,
    ) -> tuple[dict[str, float], dict[int, list[tuple[int, dict[str, Any]]]]]:
        name = {"javascript": "js"}.get(language, language)
        if name not in LANGUAGES:
            raise ValueError(f"unknown language {language!r}; there are: {', '.join(LANGUAGES)}")
        ks = _whole_numbers(k)  # what is wrong with them is said before programs are run
        if cargo_string is not None:
            warnings.warn("cargo_string is not used: Rust programs have the crates of the sandbox", stacklevel=2)
        limits = Limits(cpu_seconds=timeout, compile_cpu_seconds=max(timeout, 60.0))
        places = [(problem, number) for problem, texts in enumerate(predictions) for number in range(len(texts))]
        programs = [
            Program(name, f"{predictions[problem][number]}\n{references[problem]}",
                    len(predictions[problem][number]) + 1, limits)
            for problem, number in places
        ]  # fmt: skip
        with open_sandbox(languages=(name,), workers=num_workers) as sandbox:
            verdicts = sandbox.run(programs)
        results: dict[int, list[tuple[int, dict[str, Any]]]] = {index: [] for index in range(len(predictions))}
        for (problem, number), verdict in zip(places, verdicts, strict=True):
            results[problem].append((number, result_of(problem, number, verdict)))
        tallies = [Tally.of(result["passed"] for _, result in group) for group in results.values()]
        return mean_pass_at_k(tallies, ks), results


def _whole_numbers(k: Any) -> list[int]:
    numbers = k if isinstance(k, Iterable) and not isinstance(k, str) else [k]
    ks = [int(number) for number in numbers if isinstance(number, Integral) and int(number) >= 1]
    if len(ks) < len(list(numbers)):
        raise ValueError(f"k must be whole numbers, 1 or more, not {k!r}")
    return ks


def result_of(problem: int, number: int, verdict: Verdict) -> dict[str, Any]:
    """What came of a candidate, in the reference's words where it has some."""
    words = {Status.PASSED: "passed", Status.TIMEOUT: "timed out"}
    reason = (verdict.stderr.strip().splitlines() or [verdict.detail])[-1]
    kind = "compilation error" if verdict.status is Status.COMPILE_ERROR else "failed"
    return {
        "task_id": problem,
        "passed": verdict.passed,
        "result": words.get(verdict.status, f"{kind}: {reason}"),
        "completion_id": number,
        "verdict": verdict.status.value,
        "stderr": verdict.stderr,
    }
