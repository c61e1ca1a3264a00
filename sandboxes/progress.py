"""A progress bar for long runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

Progress = Callable[[int, int | None], None]
"""Called with how many programs are judged, and of how many (None where that is not known)."""


@contextlib.contextmanager
def reporting(progress: Progress | bool | None, total: int | None) -> Iterator[Progress]:
    """What to call as programs are judged: the caller's function, a bar on standard error for True, or nothing."""
    if callable(progress):
        yield progress
        return
    if not progress:
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("running programs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)
        yield lambda done, total: bar.update(task, completed=done, total=total)
