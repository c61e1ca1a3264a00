"""`octopack report`: everything that is to be looked at, written into one folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

if TYPE_CHECKING:
    from octopack_tasks.report.inputs import ReportRun
    from octopack_tasks.report.published import PublishedModel
    from octopack_tasks.report.viewer import Progress

# ruff: noqa: UP045 - typer on Python 3.10 reads Optional only

RECORD = "report.json"
"""The file of a report that says what it was made of, and which files are its own."""


def report(
    out: Annotated[Path, typer.Option(help="Folder of the report; a report that is there is replaced.")],
    runs: Annotated[
        Optional[list[str]],
        typer.Argument(
            metavar="[RUN...]",
            help="Run folders, results of lm-eval, result files of the reference; LABEL=RUN names one.",
        ),
    ] = None,
    published: Annotated[
        Optional[list[str]],
        typer.Option("--with", help="Published models to set beside: octocoder,gpt-4; `all`; `ablations`."),
    ] = None,
    allow_mixed: Annotated[
        bool, typer.Option("--allow-mixed", help="Accept runs of different datasets; they are labelled.")
    ] = False,
    dataset: Annotated[
        Optional[str],
        typer.Option(help="Where the dataset of the runs is now, if it is not where they were made."),
    ] = None,
) -> None:
    """Write tables, figures, a viewer of all samples and a model card, from one or many runs.

    Examples:
        octopack report runs/octocoder --out report

        octopack report runs/mine runs/theirs --with octocoder,gpt-4 --out report

        octopack report mine=runs/a before=lm_eval_results/my-model evaluation_results.json --out report --allow-mixed

        octopack report --with all --with ablations --out paper
    """
    from octopack_tasks.errors import UserError
    from octopack_tasks.report.loading import load_runs
    from octopack_tasks.report.published import find_published

    beside = find_published(published or ())
    if not runs and not beside:
        raise UserError("name at least one run, or published models with --with (`--with all` for the paper's)")
    before = _own_files(out)
    with _progress_bar() as step:
        step("reading runs", 0, 1)
        loaded = load_runs(runs, dataset=dataset, allow_mixed=allow_mixed) if runs else ()
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent, ignore_cleanup_errors=True) as scratch:
                written = _write(loaded, beside, Path(scratch), step)
                _move(Path(scratch), out, before)
        except OSError as error:
            raise UserError(f"could not write {out}: {error.strerror or error}") from None
    _print_summary(loaded, out, written)


def _write(
    runs: Sequence[ReportRun], published: Sequence[PublishedModel], out: Path, step: Progress
) -> Mapping[str, list[Path]]:
    """Write all parts; what was written, by part, relative to `out`."""
    from importlib.util import find_spec

    from octopack_tasks.report.contents import write_contents
    from octopack_tasks.report.figures import write_figures
    from octopack_tasks.report.model_card import write_model_card
    from octopack_tasks.report.tables import write_tables
    from octopack_tasks.report.viewer import write_viewer

    parts: dict[str, Callable[[], list[Path]]] = {
        "viewer": lambda: write_viewer(runs, published, out, step),
        "tables": lambda: write_tables(runs, published, out / "tables"),
        "figures": lambda: write_figures(runs, published, out / "figures"),
        "model card": lambda: write_model_card(runs, published, out / "model-card"),
    }
    if find_spec("matplotlib") is None:
        del parts["figures"]
    if not runs:
        del parts["viewer"], parts["model card"]
    written: dict[str, list[Path]] = {}
    for number, (name, write) in enumerate(parts.items()):
        step(name, number, len(parts))
        written[name] = write()
    write_contents(runs, published, [file for files in written.values() for file in files], out)
    return {name: [file.relative_to(out) for file in files] for name, files in written.items()}


def _own_files(out: Path) -> list[str]:
    """The files of the report that is in the folder already.

    Raises:
        UserError: The folder is something else.
    """
    from octopack_tasks.errors import UserError

    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file; name a folder")
    if (out / "manifest.json").exists():
        raise UserError(f"--out {out} is a run; give the report a folder of its own")
    try:
        record = json.loads((out / RECORD).read_text(encoding="utf-8"))
        return [name for name in record["files"] if isinstance(name, str)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{out / RECORD} is not the record of a report; give another --out") from None


def _move(scratch: Path, out: Path, before: Sequence[str]) -> None:
    """Put a finished report in its place, file by file, and clear away what only the report before it had."""
    names = sorted(path.relative_to(scratch).as_posix() for path in scratch.rglob("*") if path.is_file())
    record = {"files": names}
    (scratch / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    for name in [*names, RECORD]:
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).replace(target)
    for name in set(before) - set(names):
        old = out / name
        if out.resolve() in old.resolve().parents:  # a record could name anything
            old.unlink(missing_ok=True)


def _print_summary(runs: Sequence[ReportRun], out: Path, written: Mapping[str, Sequence[Path]]) -> None:
    from octopack_tasks.report.contents import FILE
    from octopack_tasks.report.viewer import FILE as VIEWER

    for run in runs:
        if run.lacks:
            more = f"; and {len(run.lacks) - 2} more tasks" if len(run.lacks) > 2 else ""
            typer.echo(f"{run.label} is not whole, and labelled so: {'; '.join(run.lacks[:2])}{more}", err=True)
        for note in run.notes:
            typer.echo(f"{run.label}: {note}", err=True)
    if "figures" not in written:
        typer.echo("no figures: they need matplotlib (pip install 'octopack[report]')", err=True)
    parts = [f"{len(files)} files of {name}" for name, files in written.items() if name != "viewer"]
    if "viewer" in written:
        parts.insert(0, f"{VIEWER} ({(out / VIEWER).stat().st_size / 1e6:.1f} MB)")
    typer.echo(f"{out / FILE}: {len(runs)} run(s); {', '.join(parts)}")


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    """A bar on standard error: what is being made, and how far it is."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        line: Any = bars.add_task("", total=None)

        def step(what: str, done: int, total: int) -> None:
            bars.update(line, description=what, completed=done, total=total)

        yield step
