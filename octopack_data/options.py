"""The command line options that all data steps share, and the one way to run a step with them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from rich.console import Console
from rich.table import Table

from octopack_data.errors import DataError
from octopack_data.executors import Cluster, Executor, run_units, submit
from octopack_data.pipeline import (
    Job,
    Judgement,
    Progress,
    Step,
    Summary,
    Unit,
    check_output,
    cpu_count,
    fault_of,
    find_row,
    parse_share,
    pending,
    summarise,
    take_share,
)
from octopack_data.shards import ShardFormat
from octopack_tasks.errors import UserError

_INPUT_HELP = (
    "Shard or folder of shards (*.jsonl, .jsonl.gz, .jsonl.zst, .parquet), hub files as hf://datasets/ORG/NAME/..."
)

Inputs = Annotated[list[str], typer.Argument(help=_INPUT_HELP, show_default=False)]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the results.", show_default=False)]
Format = Annotated[ShardFormat, typer.Option("--format", help="Format of the output shards.")]
Workers = Annotated[int, typer.Option(help="Processes on this machine; 0 takes one for each core.", min=0)]
Share = Annotated[str, typer.Option("--shard", help="Do part i of n (i from 0), for job arrays.", metavar="i/n")]
Where = Annotated[Executor, typer.Option("--executor", help="Run here, or through datatrove on Slurm or Ray.")]
Tasks = Annotated[int, typer.Option(help="Cluster tasks the shards are spread over.", min=1)]
Partition = Annotated[str, typer.Option(help="Slurm partition.")]
TimeLimit = Annotated[str, typer.Option("--time", help="Slurm time limit of a task.")]
Limit = Annotated[int | None, typer.Option(help="Take only the first N rows of every shard.", min=1)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")]
KeepDropped = Annotated[bool, typer.Option("--keep-dropped", help="Write dropped rows and reasons to _dropped/.")]
Explain = Annotated[str, typer.Option(help="Say which rules the row with this id passes.", metavar="ROW_ID")]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of every step; a command takes them all by a parameter of this type (see `takes_run_options`)."""

    output: Output
    kind: Format = ShardFormat.JSONL
    workers: Workers = 1
    share: Share = ""
    executor: Where = Executor.LOCAL
    tasks: Tasks = 16
    partition: Partition = ""
    time: TimeLimit = "24:00:00"
    limit: Limit = None
    dry_run: DryRun = False
    keep_dropped: KeepDropped = False
    explain: Explain = ""


def takes_run_options(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a command that has a parameter `run: RunOptions` take each of those options on the command line.

    Args:
        left_out: Fields that this command does not offer; they keep their defaults.
    """

    def spread(command: Callable[..., None]) -> Callable[..., None]:
        fields = [each for each in dataclasses.fields(RunOptions) if each.name not in left_out]
        hints = {**get_type_hints(command, include_extras=True), **get_type_hints(RunOptions, include_extras=True)}

        def parameter(name: str, default: Any) -> inspect.Parameter:
            return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])

        parameters = []
        for name, one in inspect.signature(command).parameters.items():
            if name != "run":
                parameters.append(parameter(name, one.default))
                continue
            for each in fields:
                none = each.default is dataclasses.MISSING
                parameters.append(parameter(each.name, inspect.Parameter.empty if none else each.default))

        @functools.wraps(command)
        def call(**values: Any) -> None:
            run = RunOptions(**{each.name: values.pop(each.name) for each in fields})
            command(**values, run=run)

        parameters.sort(key=lambda each: each.default is not inspect.Parameter.empty)  # what must be given comes first
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        call.__annotations__ = {each.name: each.annotation for each in parameters}
        return call

    return spread


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn an error that the user can mend into one line on standard error and exit code 2."""
    try:
        yield
    except (DataError, UserError) as error:
        _print_error(str(error))
        raise typer.Exit(error.exit_code) from None
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("octopack"):
            raise
        _print_error(f"this needs the package {error.name}; install it with: pip install 'octopack[data]'")
        raise typer.Exit(2) from None
    except BrokenPipeError:
        raise
    except OSError as error:  # of a file that the user named
        _print_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted; finished shards are kept, run the same command again to continue")
        raise typer.Exit(130) from None


def _print_error(text: str) -> None:
    Console(stderr=True).print(f"[bold red]error:[/] {plain(text)}", soft_wrap=True, highlight=False)


def printable(text: str) -> str:
    """Leave out what could steer a terminal: text of strangers is shown, not obeyed."""
    return "".join(c if c.isprintable() or c in "\t\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def plain(text: str) -> str:
    """Return text as rich shows it unchanged: no markup, no control characters."""
    from rich.markup import escape

    return escape(printable(text))


def run_step(step: Step, units: Sequence[Unit], options: RunOptions, console: Console | None = None) -> Summary | None:
    """Run a step over units as the shared options say: explain, dry run, cluster, job array share, or processes.

    Returns:
        The state of the output folder, or None where nothing was run (explanation, dry run, Slurm).

    Raises:
        DataError: anything the user can mend.
    """
    console = console or Console(stderr=True)
    job = Job(step, options.output, options.kind, options.limit, options.keep_dropped)
    if options.explain:
        _print_explanation(step, units, options.explain)
        return None
    mine = take_share(units, *parse_share(options.share)) if options.share else list(units)
    check_output(job, units)
    missing = pending(job, mine)
    if options.dry_run:
        _print_plan(job, units, mine, missing)
        return None
    if options.executor is not Executor.LOCAL:
        if options.share:
            raise DataError("--shard and --executor exclude each other: the executor gives each task its share")
        workers = options.workers if options.workers > 1 else -1
        cluster = Cluster(options.tasks, workers, options.partition, options.time)
        console.print(submit(options.executor, job, units, cluster), highlight=False, soft_wrap=True)
        if options.executor is Executor.SLURM:
            return None
    else:
        with progress(console, step.name, missing) as report:
            run_units(job, missing, options.workers or cpu_count(), report)
    summary = summarise(job, units)
    print_summary(job, summary, done_before=len(mine) - len(missing), console=console)
    return summary


@contextmanager
def progress(console: Console, title: str, units: Sequence[Unit]) -> Iterator[Callable[[Progress], None]]:
    """Show a bar over the bytes of the input, with rows/s, MB/s and the time left."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    total = sum(path.stat().st_size for unit in units for path in unit.inputs if path.is_file())
    began = time.monotonic()
    rows = size = 0
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]}"))
    with Bar(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total or None, rate="")

        def report(done: Progress) -> None:
            nonlocal rows, size
            rows += done.rows
            size += done.bytes_read
            bar.update(task, advance=done.bytes_read, rate=_rate(rows, size, time.monotonic() - began))

        yield report
    if rows:
        seconds = time.monotonic() - began
        console.print(f"{title}: {rows:,} rows in {seconds:,.1f} s ({_rate(rows, size, seconds)})", highlight=False)


def _rate(rows: int, size: int, seconds: float) -> str:
    seconds = max(seconds, 1e-6)
    return f"{rows / seconds:,.0f} rows/s, {size / seconds / 1e6:,.1f} MB/s"


def print_summary(job: Job, summary: Summary, done_before: int, console: Console) -> None:
    """Print the funnel: rows dropped by each rule and rows left after it."""
    counts = summary.statistics
    if summary.missing:
        console.print(
            f"{summary.units - summary.missing} of {summary.units} shards are there; "
            "the manifest is written when all are",
            highlight=False,
        )
    table = Table()
    table.add_column("rule")
    table.add_column("dropped", justify="right")
    table.add_column("left", justify="right")
    table.add_row("(rows read)", "", f"{counts.rows_in:,}")
    for reason, dropped, left in counts.funnel(job.step.reasons):
        table.add_row(reason, f"{dropped:,}", f"{left:,}")
    if job.step.reasons:
        Console().print(f"{job.step.name}: rows left after each rule", highlight=False)
        Console().print(table)
    if done_before:
        console.print(f"{done_before} shard(s) were there already and up to date", highlight=False)
    if counts.broken:
        example = summary.broken_examples[0]
        console.print(
            f"[yellow]{counts.broken:,} broken line(s)[/] kept aside in {plain(str(job.output / '_broken'))}; "
            f"first: {plain(str(example['file']))} line {example['line']}: {plain(str(example['error']))}",
            highlight=False,
            soft_wrap=True,
        )
    if not job.step.counts_only:
        console.print(f"{counts.rows_out:,} rows in {plain(str(job.output))}", highlight=False, soft_wrap=True)


def _print_plan(job: Job, units: Sequence[Unit], mine: Sequence[Unit], missing: Sequence[Unit]) -> None:
    console = Console()
    names = {unit.name for unit in missing}
    size = sum(path.stat().st_size for unit in missing for path in unit.inputs)
    console.print(f"step    {job.step.name} (configuration {job.config_hash()[:12]})", highlight=False)
    console.print(f"output  {plain(str(job.output))} as {job.kind.value}", highlight=False, soft_wrap=True)
    console.print(
        f"shards  {len(units)} in all, {len(mine)} in this share, {len(missing)} to do ({size / 1e6:,.1f} MB)",
        highlight=False,
    )
    for unit in mine[:20]:
        console.print(f"  {'to do' if unit.name in names else 'done '}  {plain(unit.name)}", highlight=False)
    if len(mine) > 20:
        console.print(f"  ... and {len(mine) - 20} more", highlight=False)


def _print_explanation(step: Step, units: Sequence[Unit], row_id: str) -> None:
    unit, row = find_row(units, step.row_id, row_id)
    Console().print(plain(f"{row_id} in {unit.name}"), highlight=False)
    table = Table()
    for name in ("rule", "", "decided on"):
        table.add_column(name)
    fault = fault_of(row, step.columns, step.row_types)
    for judgement in [Judgement("columns", False, fault)] if fault else step.explain(row):
        mark = "[green]passes[/]" if judgement.passed else "[red]DROPS[/]"
        table.add_row(plain(judgement.rule), mark, plain(judgement.detail))
    Console().print(table)
