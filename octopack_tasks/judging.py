"""Judging: what a run's samples amount to under a reading, tested in a sandbox while more are being written."""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from octopack_tasks.errors import UserError
from octopack_tasks.plans import Work, differences
from octopack_tasks.problems import Problem
from octopack_tasks.readings import Attempt, Reading
from octopack_tasks.runs import Judgement, Run, Sample, problem_key
from sandboxes import Program, Sandbox, SandboxError, Verdict

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is counted ("samples" or "verdicts"), how many are done, and how many there will be."""


class Judge:
    """Judges the samples of whole problems, in a thread of its own, while more are being generated.

    Args:
        run: Where verdicts are kept.
        reading: How completions are read.
        sandbox: What runs the programs.
        report: Called with how many samples are judged.
    """

    def __init__(self, run: Run, reading: Reading, sandbox: Sandbox, report: Callable[[int], None]) -> None:
        self._run = run
        self._reading = reading
        self._sandbox = sandbox
        self._report = report
        self._waiting: queue.SimpleQueue[tuple[Work, Problem, Sequence[Sample]] | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._judge, name="judge", daemon=True)
        self._thread.start()

    def submit(self, work: Work, problem: Problem, samples: Sequence[Sample]) -> None:
        """Queue all samples of a problem."""
        self._waiting.put((work, problem, samples))

    def finish(self) -> None:
        """Wait until everything is judged.

        Raises:
            UserError: Something could not be judged; all else is kept.
        """
        self._waiting.put(None)
        self._thread.join()
        if isinstance(self._error, SandboxError):
            raise UserError(
                f"{self._error} Completions and verdicts are kept in {self._run.folder}: run the same command again, "
                f"or `octopack score {self._run.folder}`"
            ) from self._error
        if self._error is not None:
            raise self._error

    def _judge(self) -> None:
        groups: dict[int, _Group] = {}
        judged = 0
        try:
            for index, verdict in self._sandbox.stream(self._programs(groups)):
                group = groups.pop(index)
                group.verdicts[index - group.first] = verdict
                if len(group.verdicts) == len(group.programs):
                    self._run.add_judgements(group.task, self._reading.name, group.judgements())
                judged += 1
                self._report(judged)
        except BaseException as error:  # it is raised again by the thread that waits
            self._error = error

    def _programs(self, groups: dict[int, _Group]) -> Iterator[Program]:
        count = 0
        while (item := self._waiting.get()) is not None:
            work, problem, samples = item
            attempts = [read_sample(self._reading, work, problem, sample) for sample in samples]
            programs = self._reading.programs(work.task, problem, [attempt.solution for attempt in attempts])
            group = _Group(work.task.name, samples, attempts, programs, first=count)
            for program in programs:
                groups[count] = group
                count += 1
                yield program


@dataclasses.dataclass
class _Group:
    """The samples of a problem on their way through the sandbox."""

    task: str
    samples: Sequence[Sample]
    attempts: Sequence[Attempt]
    programs: Sequence[Program]
    first: int
    verdicts: dict[int, Verdict] = dataclasses.field(default_factory=dict)

    def judgements(self) -> Iterator[Judgement]:
        for index, (sample, attempt, program) in enumerate(
            zip(self.samples, self.attempts, self.programs, strict=True)
        ):
            yield Judgement(
                task_id=sample.task_id,
                candidate=sample.candidate,
                sample=sample.sample,
                solution=attempt.solution,
                program=program.source,
                has_answer=attempt.has_answer,
                verdict=self.verdicts[index],
            )


def read_sample(reading: Reading, work: Work, problem: Problem, sample: Sample) -> Attempt:
    """A sample under a reading."""
    if sample.completion is None:
        return reading.attempt_of_answer(work.task, problem, sample.answer or "", work.plan.prompt)
    return reading.attempt(work.task, problem, sample.completion, work.plan.prompt)


class judging:  # noqa: N801 - a context manager, used like a function
    """While it is open, problems are judged; at its end everything is, and the environment is in the manifest."""

    def __init__(self, run: Run, works: Sequence[Work], reading: Reading, sandbox: Sandbox, progress: Progress) -> None:
        self._run = run
        self._reading = reading
        self._done = {
            work.task.name: {judgement.key for judgement in run.judgements(work.task.name, reading.name)}
            for work in works
        }
        note_environment(run, reading, sandbox)
        self._submitted = 0
        self._progress = progress
        self._judge = Judge(run, reading, sandbox, self._report)

    def __enter__(self) -> Callable[[Work, Problem, Sequence[Sample]], None]:
        return self._submit

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            self._judge.finish()  # also where generation failed: what it wrote before is judged
        except UserError:
            if error is None:
                raise

    def _submit(self, work: Work, problem: Problem, samples: Sequence[Sample]) -> None:
        if work.task.is_executed and problem_key(problem) not in self._done[work.task.name]:
            self._submitted += len(samples)
            self._judge.submit(work, problem, samples)

    def _report(self, judged: int) -> None:
        self._progress("verdicts", judged, self._submitted)


def note_environment(run: Run, reading: Reading, sandbox: Sandbox) -> None:
    """Keep in the manifest where a run is judged under a reading, which is from then on missing until it is done.

    Raises:
        UserError: It was judged elsewhere before: verdicts of one run come from one environment, as another one's could
            differ for no reason of the model.
    """
    manifest = run.manifest
    environment = sandbox.environment.to_json()
    before = manifest.get("scoring", {}).get(reading.name)
    if before is not None and run.has_judgements(reading.name):
        fixed = ("backend", "image", "digest", "toolchains", "limits")
        now, then = ({key: values.get(key) for key in fixed} for values in (environment, before))
        differing = list(differences(now, then))
        if differing:
            raise UserError(
                f"{run.folder} holds verdicts from another environment: {'; '.join(differing[:3])}. Use that one, or "
                f"judge everything anew: octopack score {run.folder} --again"
            )
    scoring = {**manifest.get("scoring", {}), reading.name: environment}
    run.write_manifest({**manifest, "scoring": scoring})
