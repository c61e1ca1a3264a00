"""Runs as `octopack evaluate` leaves them, without a model or a sandbox: made-up completions with made-up verdicts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from octopack_tasks.evaluation import ModelChoice, start
from octopack_tasks.generation import Finish, Sampling
from octopack_tasks.generation.protocol import Stop
from octopack_tasks.judging import read_sample
from octopack_tasks.plans import Plan, TaskPlan, Work
from octopack_tasks.problems import Problem
from octopack_tasks.readings import PAPER
from octopack_tasks.runs import Judgement, Run, Sample, problem_key
from sandboxes import Status, Verdict

ENDS = (
    (Status.PASSED, "", ""),
    (Status.FAILED, "an assertion did not hold", "AssertionError: expected {number}, got {other} in {name}\n"),
    (Status.COMPILE_ERROR, "the compiler refused it", "error: expected ';' before '}}' in {name} at line {number}\n"),
    (Status.RUNTIME_ERROR, "it crashed", 'Traceback:\n  File "{name}.py", line {number}\nIndexError: {other}\n'),
    (Status.TIMEOUT, "over its 10 s of CPU time", ""),
)

Write = Callable[[Problem, int, random.Random], str]
"""Writes the completion of a sample."""


def edited(problem: Problem, number: int, generator: random.Random) -> str:
    """The canonical solution with some lines changed, as a model that is wrong now and then."""
    lines = problem.canonical_solution.split("\n")
    for _ in range(generator.randrange(4)):
        at = generator.randrange(len(lines))
        words = lines[at].split(" ")
        words[generator.randrange(len(words))] += generator.choice(("", " + 1", f" - {generator.randrange(999)}", "_"))
        lines[at] = " ".join(words)
    return "\n" + "\n".join(lines)  # prompts end with the head of the function


def rambling(problem: Problem, number: int, generator: random.Random) -> str:
    """A body of words drawn at random: unlike any other completion, so that it hardly compresses."""
    lines = []
    for _ in range(generator.randrange(6, 18)):
        words = " + ".join(f"word_{generator.randrange(5000)}" for _ in range(generator.randrange(4, 12)))
        lines.append(f"    name_{generator.randrange(5000)} = {words}")
    return "\n" + "\n".join([*lines, f"    return name_{generator.randrange(5000)}"]) + "\n"


def judged(
    problem: Problem, sample: Sample, generator: random.Random, skill: float, messages: Sequence[str]
) -> Verdict:
    """A verdict; the better the skill, the more pass. Messages stand in for standard error where there are any."""
    weights = [skill, 0.6 * (1 - skill), 0.15 * (1 - skill), 0.2 * (1 - skill), 0.05 * (1 - skill)]
    status, detail, stderr = generator.choices(ENDS, weights)[0]
    values = {"number": generator.randrange(99), "other": generator.randrange(9999), "name": problem.entry_point}
    return Verdict(
        status,
        status is Status.PASSED,
        stderr=messages[sample.sample] if messages else stderr.format(**values) * generator.randrange(1, 8),
        detail=messages[sample.sample] if messages else detail,
        stage="compile" if status is Status.COMPILE_ERROR else "run",
        exit_code=0 if status is Status.PASSED else 1,
        compile_seconds=generator.random(),
        run_seconds=generator.random(),
        wall_seconds=1 + generator.random(),
        memory_bytes=generator.randrange(1 << 20, 1 << 26),
    )


def write_run(
    folder: Path,
    tasks: Sequence[str],
    *,
    model: str = "made/up-1B",
    dataset: str = "starter",
    n_samples: int = 2,
    skill: float = 0.4,
    seed: int = 0,
    limit: int | None = None,
    judge_share: float = 1.0,
    write: Write = edited,
    temperature: float = 0.2,
    stderr: Sequence[str] = (),
    descriptions: str | None = None,
) -> Path:
    """Write a run.

    Args:
        folder: Its folder.
        tasks: Its tasks.
        model: The model that it says it asked.
        dataset: Its dataset.
        n_samples: Samples of each problem.
        skill: About how many pass.
        seed: What the run's chances follow from.
        limit: Only the first problems.
        judge_share: Less than 1 leaves the last problems of each task without samples, as in a run that was killed.
        write: Writes the completions.
        temperature: What the run says it sampled with.
        stderr: Standard error by number of sample; empty: made up.
        descriptions: Descriptions for explainsynthesize.
    """
    plan = Plan(
        tuple(TaskPlan(name, n_samples=n_samples) for name in tasks),
        dataset,
        Sampling(temperature=temperature),
        Stop.PAPER,
        limit,
        descriptions=descriptions,
    )
    works = plan.load()
    generator = random.Random(seed)
    with Run(folder).locked() as run:
        start(run, plan, works, ModelChoice("vllm", model), ["octopack", "evaluate"])
        for work in works:
            kept = work.problems[: round(len(work.problems) * judge_share)]
            samples: list[Sample] = []
            judgements: list[Judgement] = []
            for problem in kept:
                hardness = max(0.02, min(0.98, skill + generator.uniform(-0.5, 0.5)))
                group = _samples(problem, n_samples, write, generator)
                samples += group
                judgements += _judgements(work, problem, group, generator, hardness, stderr)
            run.add_samples(work.task.name, samples)
            run.add_judgements(work.task.name, PAPER.name, judgements)
    return folder


def _samples(problem: Problem, n_samples: int, write: Write, generator: random.Random) -> list[Sample]:
    return [
        Sample(*problem_key(problem), number, write(problem, number, generator), None, 100 + number, Finish.COMPLETE)
        for number in range(n_samples)
    ]


def _judgements(
    work: Work,
    problem: Problem,
    samples: Sequence[Sample],
    generator: random.Random,
    skill: float,
    stderr: Sequence[str],
) -> Iterable[Judgement]:
    attempts = [read_sample(PAPER, work, problem, sample) for sample in samples]
    programs = PAPER.programs(work.task, problem, [attempt.solution for attempt in attempts])
    for sample, attempt, program in zip(samples, attempts, programs, strict=True):
        verdict = judged(problem, sample, generator, skill, stderr)
        yield Judgement(
            *problem_key(problem), sample.sample, attempt.solution, program.source, attempt.has_answer, verdict
        )
