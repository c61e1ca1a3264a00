"""How far a run is, again and again, while another process works on it: reads only what is new, writes nothing."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octopack_tasks.errors import UserError
from octopack_tasks.evaluation import load, scored_readings
from octopack_tasks.metrics import Tally, mean_pass_at_k
from octopack_tasks.plans import Work
from octopack_tasks.runs import Log, ProblemKey, Run, undamaged

if TYPE_CHECKING:
    from rich.console import Console, ConsoleDimensions, RenderableType

_WINDOW = 60.0
"""Rates are those of so many seconds."""


@dataclass(frozen=True)
class TaskProgress:
    """How far a task is.

    Attributes:
        name: Name of the task.
        language: Title of its language.
        samples: How many samples there are.
        expected: How many there will be.
        judged: How many are judged, under every reading that the run is scored with; None where they are
            descriptions.
        tallies: What came of each problem that has a verdict, under the first of these readings.
        tokens: How many tokens the model has written, as far as that is known.
    """

    name: str
    language: str
    samples: int
    expected: int
    judged: int | None
    tallies: tuple[Tally, ...]
    tokens: int

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return self.samples >= self.expected and (self.judged is None or self.judged >= self.expected)


@dataclass(frozen=True)
class Snapshot:
    """How far a run is at a moment.

    Attributes:
        seconds: When, on a clock that only goes forward.
        tasks: Its tasks.
        is_in_use: Whether a process works on it.
    """

    seconds: float
    tasks: tuple[TaskProgress, ...]
    is_in_use: bool

    @property
    def samples(self) -> int:
        """Samples of all tasks."""
        return sum(task.samples for task in self.tasks)

    @property
    def judged(self) -> int:
        """Verdicts of all tasks."""
        return sum(task.judged or 0 for task in self.tasks)

    @property
    def tokens(self) -> int:
        """Tokens of all tasks."""
        return sum(task.tokens for task in self.tasks)

    @property
    def samples_left(self) -> int:
        """Samples that are still to come."""
        return sum(max(task.expected - task.samples, 0) for task in self.tasks)

    @property
    def verdicts_left(self) -> int:
        """Verdicts that are still to come."""
        return sum(max(task.expected - task.judged, 0) for task in self.tasks if task.judged is not None)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return all(task.is_complete for task in self.tasks)


@dataclass(frozen=True)
class Pace:
    """How fast a run goes; each is None as long as nothing moves.

    Attributes:
        tokens: Tokens a second.
        programs: Programs judged a second.
        seconds_left: How long the rest will take.
    """

    tokens: float | None
    programs: float | None
    seconds_left: float | None

    @classmethod
    def of(cls, first: Snapshot, last: Snapshot) -> Pace:
        """The pace between two moments."""
        elapsed = last.seconds - first.seconds

        def rate(before: int, after: int) -> float | None:
            return (after - before) / elapsed if elapsed > 0 and after > before else None

        samples, programs = rate(first.samples, last.samples), rate(first.judged, last.judged)
        lefts = [(left, pace) for left, pace in ((last.samples_left, samples), (last.verdicts_left, programs)) if left]
        # Samples and verdicts come at the same time, so the slower of the two decides.
        waits = [left / pace if pace else None for left, pace in lefts]
        known = [wait for wait in waits if wait is not None]
        return cls(
            tokens=rate(first.tokens, last.tokens),
            programs=programs,
            seconds_left=max(known, default=0.0) if len(known) == len(waits) else None,
        )


class _TaskReader:
    """What there is of a task, read on from where the last look ended."""

    def __init__(self, run: Run, work: Work, works: Sequence[Work], *, is_imported: bool) -> None:
        self._folder = run.folder
        self._work = work
        self._expected = None if is_imported else work.expected_samples(works)
        self._tokens: dict[tuple[ProblemKey, int], int] = {}  # of each sample; 0 where that is not known
        self._passed: dict[str, dict[ProblemKey, dict[int, bool]]] = {}  # by reading
        self._offsets: dict[Path, int] = {}

    def look(self, readings: Sequence[str]) -> TaskProgress:
        name = self._work.task.name
        path = self._folder / "samples" / f"{name}.jsonl.gz"
        with undamaged(path):
            for record in self._new(path, self._tokens.clear):
                key = (record["task_id"], record["candidate"]), record["sample"]
                self._tokens.setdefault(key, record.get("tokens") or 0)
        passed = [self._verdicts(reading) for reading in readings]
        return TaskProgress(
            name=name,
            language=self._work.task.language.title,
            samples=len(self._tokens),
            expected=len(self._tokens) if self._expected is None else self._expected,
            judged=min(sum(map(len, each.values())) for each in passed) if self._work.task.is_executed else None,
            tallies=tuple(Tally.of(problem.values()) for problem in passed[0].values()),
            tokens=sum(self._tokens.values()),
        )

    def _verdicts(self, reading: str) -> Mapping[ProblemKey, Mapping[int, bool]]:
        """Whether each sample that is judged under a reading passed."""
        found = self._passed.setdefault(reading, defaultdict(dict))
        path = self._folder / "verdicts" / reading / f"{self._work.task.name}.jsonl.gz"
        with undamaged(path):
            for record in self._new(path, found.clear):
                problem = found[record["task_id"], record["candidate"]]
                problem.setdefault(record["sample"], record["verdict"]["status"] == "passed")
        return found

    def _new(self, path: Path, forget: Callable[[], None]) -> list[dict[str, Any]]:
        offset = self._offsets.get(path, 0)
        try:
            if offset and (not path.exists() or path.stat().st_size < offset):
                raise UserError(f"{path} was begun anew")
            records, self._offsets[path] = Log(path).read_on(offset)
        except UserError:
            if not offset:
                raise
            forget()  # the file was begun anew, as `octopack score --again` does
            records, self._offsets[path] = Log(path).read_on(0)
        return records


class Watcher:
    """Looks at a run; each look reads only what was appended since the last.

    Args:
        run: The run.

    Raises:
        UserError: It is none, or its dataset is not there.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        works = load(run)
        is_imported = run.manifest["settings"]["model"]["backend"] == "recorded"
        self._tasks = [_TaskReader(run, work, works, is_imported=is_imported) for work in works]

    def look(self) -> Snapshot:
        """How far the run is now."""
        is_in_use = self._run.is_in_use  # before reading: a run that nobody works on does not change any more
        readings = scored_readings(self._run.manifest)
        return Snapshot(time.monotonic(), tuple(task.look(readings) for task in self._tasks), is_in_use)


def watch(run: Run, console: Console, every: float = 2.0) -> Snapshot:
    """Show how far a run is until it is complete, or until Ctrl-C.

    Args:
        run: The run.
        console: Where to show it; where that is no terminal, only the last look is printed.
        every: Seconds between two looks.

    Returns:
        The last look.

    Raises:
        UserError: It is no run, or its dataset is not there.
    """
    from rich.live import Live

    watcher = Watcher(run)
    looks = deque([watcher.look()])
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        try:
            while True:
                pace = Pace.of(looks[0], looks[-1])
                live.update(_shown(run.folder, looks[-1], pace, console.size), refresh=True)
                if looks[-1].is_complete:
                    break
                time.sleep(every)
                looks.append(watcher.look())
                while len(looks) > 2 and looks[-1].seconds - looks[1].seconds > _WINDOW:
                    looks.popleft()
        except KeyboardInterrupt:
            pass  # leaving is no fault; the run goes on
    return looks[-1]


def _shown(folder: Path, snapshot: Snapshot, pace: Pace, size: ConsoleDimensions) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    rows = [(task.name, [task]) for task in snapshot.tasks]
    if len(rows) + 7 > size.height:  # too many for the terminal: a line a language
        languages = dict.fromkeys(task.language for task in snapshot.tasks)
        rows = [(language, [task for task in snapshot.tasks if task.language == language]) for language in languages]
    title = "task" if len(rows) == len(snapshot.tasks) else "language"
    cells = [
        (
            name,
            (sum(task.samples for task in tasks), sum(task.expected for task in tasks)),
            _judged([task for task in tasks if task.judged is not None]),
            _pass_at_1([tally for task in tasks for tally in task.tallies]),
        )
        for name, tasks in rows
    ]
    counts = max((len(_count(*pair)) for _, *pairs, _ in cells for pair in pairs if pair), default=0)
    room = size.width - 13 - 2 * (counts + 1) - max(len("pass@1 so far"), *(len(text) for *_, text in cells), 0)
    longest = max((len(name) for name, *_ in cells), default=0)
    if longest + 8 > room:  # a narrow terminal: names without what all have in common
        cells = [(name.removeprefix("humaneval"), *rest) for name, *rest in cells]  # type: ignore[misc]
        longest = max(len(name) for name, *_ in cells)
    width = min(20, max(0, (room - longest) // 2))
    table = Table(title, title=Text(str(folder)), title_justify="left")
    for name in ("samples", "judged"):
        table.add_column(name, no_wrap=True)
    table.add_column("pass@1 so far", justify="right")
    for name, samples, judged, text in cells:
        table.add_row(name, _bar(*samples, width), _bar(*judged, width) if judged else "-", text)
    return Group(table, Text(_summary(snapshot, pace)))


def _judged(tasks: Sequence[TaskProgress]) -> tuple[int, int] | None:
    """Verdicts that there are and that there will be; None where there are descriptions only."""
    return (sum(task.judged or 0 for task in tasks), sum(task.expected for task in tasks)) if tasks else None


def _count(done: int, total: int) -> str:
    return f"{done:,} of {total:,}"


def _bar(done: int, total: int, width: int) -> str:
    full = width * done // total if total else width
    return f"{'━' * full}{'╌' * (width - full)} {_count(done, total)}".strip()


def _pass_at_1(tallies: Sequence[Tally]) -> str:
    return f"{mean_pass_at_k(tallies, (1,))['pass@1']:.1%} of {len(tallies)}" if tallies else "-"


def _summary(snapshot: Snapshot, pace: Pace) -> str:
    if snapshot.is_complete:
        return "complete"
    parts = [
        f"{pace.tokens:,.0f} tokens/s" if pace.tokens else "- tokens/s",
        f"{pace.programs:,.1f} programs/s" if pace.programs else "- programs/s",
        "time left unknown" if pace.seconds_left is None else f"about {_duration(pace.seconds_left)} left",
    ]
    if not snapshot.is_in_use:
        parts.append("no process works on it")
    return ", ".join([*parts, "Ctrl-C leaves"])


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
