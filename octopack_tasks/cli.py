"""The `octopack` command: every package adds its own commands through the entry point group `octopack.commands`."""

# ruff: noqa: UP045 - typer on Python 3.10 reads Optional only

from __future__ import annotations

import inspect
import json
import re
import sys
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from octopack_tasks.terminal import printable

if TYPE_CHECKING:
    from rich.console import Console

    from octopack_tasks.conformance import FileReport
    from octopack_tasks.problems import Problem
    from octopack_tasks.prompts import Prompt
    from octopack_tasks.tasks import Task


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"octopack {version('octopack')}")
        raise typer.Exit


def octopack(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Evaluate and build code language models."""


def application() -> typer.Typer:
    """The whole command line: the commands of every installed package.

    A package whose commands cannot be loaded costs one line, not the others' commands.
    """
    app = typer.Typer(
        name="octopack",
        help="Evaluate and build code language models.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(octopack)
    for entry_point in sorted(entry_points(group="octopack.commands"), key=lambda point: point.name):
        try:
            entry_point.load()(app)
        except Exception as error:
            reason = " ".join(str(error).split())
            message = f"octopack: the commands of {entry_point.name!r} are missing: {type(error).__name__}: {reason}"
            typer.echo(message, err=True)
    _unwrap(app)
    return app


def _unwrap(app: typer.Typer) -> None:
    """Let the terminal wrap the paragraphs of help: typer keeps the line ends of the source."""
    for command in app.registered_commands:
        text = command.help or inspect.getdoc(command.callback) or ""
        command.help = re.sub(r"(?<!\n)\n(?![\n ])", " ", text)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _unwrap(group.typer_instance)


def register(app: typer.Typer) -> None:
    """Add the benchmark's own commands to `app`."""
    tasks = typer.Typer(help="The tasks and their prompts.", no_args_is_help=True)
    app.add_typer(tasks, name="tasks")
    tasks.command("list")(list_tasks)
    tasks.command("show")(show_task)
    tasks.command("stats")(show_statistics)
    app.command("lm-eval-path")(print_lm_eval_path)
    app.command("conformance")(check_conformance)


_Dataset = Annotated[
    Optional[str],
    typer.Option(
        help="Folder of <language>.jsonl files, name on the Hugging Face hub, or `starter` (built in).",
        envvar="OCTOPACK_DATASET",
        show_default="bigcode/humanevalpack",
    ),
]


def list_tasks() -> None:
    """List the tasks and the groups.

    Example: octopack tasks list
    """
    from rich.console import Console
    from rich.table import Table

    from octopack_tasks.tasks import FURTHER_TASKS, GROUPS, TASKS, QuixBugsTask

    tasks = Table("task", "language", "what it asks", title=f"{len(TASKS)} tasks", title_justify="left")
    for task in TASKS.values():
        tasks.add_row(task.name, task.language.title, task.scenario.title)
    further = Table("task", "language", "its --dataset", title="further tasks", title_justify="left")
    for task in FURTHER_TASKS.values():
        is_quixbugs = isinstance(task, QuixBugsTask)
        source = "a checkout of QuixBugs (docs/quixbugs.md)" if is_quixbugs else "rows of your own, or starter"
        further.add_row(task.name, task.language.title, source)
    groups = Table("group", "tasks", title="groups", title_justify="left")
    for name, members in GROUPS.items():
        groups.add_row(name, str(len(members)))
    # A file or a pipe has no width: names must not be cut there.
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(tasks, groups, further)


def show_task(
    name: Annotated[str, typer.Argument(metavar="TASK", help="Name of the task.")],
    index: Annotated[int, typer.Option(min=0, help="Which problem, counted from 0.")] = 0,
    task_id: Annotated[Optional[str], typer.Option(help="Which problem, by its name.")] = None,
    prompt: Annotated[str, typer.Option(help="Prompt format.")] = "instruct",
    dataset: _Dataset = None,
    descriptions: Annotated[
        Optional[Path],
        typer.Option(help="Descriptions for explainsynthesize; without them the documentation stands in."),
    ] = None,
) -> None:
    """Print a prompt, exactly as a model receives it.

    Examples:
        octopack tasks show humanevalfixtests-python --dataset starter

        octopack tasks show humanevalsynthesize-go --task-id Go/7 --prompt octocoder
    """
    from octopack_tasks.tasks import get_task

    task = get_task(name)
    task.check_format(prompt)
    problem = _chosen_problem(task, index, task_id, dataset, descriptions)
    _print_prompt(task.prompt(problem, prompt))


def show_statistics(
    dataset: _Dataset = None,
    out: Annotated[
        Optional[Path],
        typer.Option(help="Folder for the tables (Markdown, LaTeX, CSV, JSON) and a figure (PNG, PDF, SVG)."),
    ] = None,
) -> None:
    """Show what the problems are like: lengths, kinds of bug and symptoms by language.

    Examples:
        octopack tasks stats

        octopack tasks stats --dataset my-pack --out statistics
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from octopack_tasks.report.problem_statistics import load_pack, tables, write_statistics

    pack = load_pack(dataset)
    console = Console(width=None if sys.stdout.isatty() else 120)
    for table in tables(pack):
        shown = Table(title=table.caption, title_justify="left")
        for column in table.columns:
            shown.add_column(column.title, justify="right" if column.is_number else "left")
        for row in table.rows:
            shown.add_row(*(Text(cell.text) for cell in row))
        console.print(shown)
    if out is not None:
        written = write_statistics(pack, out)
        typer.echo(f"{len(written)} files in {out}")


def _chosen_problem(
    task: Task, index: int, task_id: str | None, dataset: str | None, descriptions: Path | None
) -> Problem:
    import dataclasses

    from octopack_tasks.errors import UserError

    stands_in = task.needs_descriptions and descriptions is None
    problems = task.load(dataset) if stands_in else task.problems(dataset, descriptions)
    if task_id is not None:
        problem = problems.get(task_id)
    elif index < len(problems):
        problem = problems[index]
    else:
        raise UserError(
            f"--index {index} is too large: {problems.dataset} has {len(problems)} problems for {task.name}"
        )
    return dataclasses.replace(problem, description=problem.docstring, candidate=0) if stands_in else problem


def _print_prompt(prompt: Prompt) -> None:
    if not prompt.is_chat:
        typer.echo(prompt.text)
        return
    for message in prompt.messages:
        typer.echo(f"[{message['role']}]\n{message['content']}")


def print_lm_eval_path() -> None:
    """Print the folder of our task files for lm-eval.

    It is needed only where `OCTOPACK_LM_EVAL_AUTOLOAD=0` has switched off that lm-eval finds them itself.

    Example: lm_eval --include_path "$(octopack lm-eval-path)" --tasks humanevalfixtests-python ...
    """
    from octopack_tasks.harnesses.lm_eval import TASK_FOLDER

    typer.echo(TASK_FOLDER)


def check_conformance(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of recorded facts.")],
    dataset: _Dataset = None,
    show: Annotated[int, typer.Option(min=0, help="How many differences to show of each file.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Hold this package against recorded facts of the reference; exit code 1 if a row differs.

    The folder has prompts, answers, programs and scores that the reference made from the rows of a dataset
    (prompts.jsonl.gz, postprocess.jsonl.gz, programs.jsonl.gz, ...).

    Example: octopack conformance golden --dataset humanevalpack
    """
    import dataclasses

    from rich.console import Console

    from octopack_tasks.conformance import check_folder
    from octopack_tasks.problems import dataset_name

    reports = []
    console = Console(highlight=False, soft_wrap=True)
    for report in check_folder(folder, dataset, show):
        reports.append(report)
        if not as_json:
            _print_report(report, console)
    rows, differing = sum(report.rows for report in reports), sum(report.differing for report in reports)
    if as_json:
        record = {
            "folder": str(folder),
            "dataset": dataset_name(dataset),
            "rows": rows,
            "differing": differing,
            "files": [dataclasses.asdict(report) for report in reports],
        }
        typer.echo(json.dumps(record, indent=2))
    else:
        console.print(f"{rows} rows checked, {differing} differ")
    raise typer.Exit(1 if differing else 0)


def _print_report(report: FileReport, console: Console) -> None:
    if not report.is_present:
        console.print(f"{report.file:<24} absent", style="yellow", markup=False)
        return
    line = f"{report.file:<24} {report.rows:>6} rows checked, {report.differing} differ"
    console.print(line, style="red" if report.differing else None, markup=False)
    for note in report.notes:
        console.print(f"    note: {note} (docs/fidelity.md)", markup=False)
    for difference in report.first:
        console.print(f"  {difference.row}", markup=False)
        console.print("\n".join(f"    {line}" for line in difference.detail.split("\n")), markup=False)


def main() -> None:
    """Run the command line.

    An exception with an integer `exit_code` is the user's to mend: its message is printed as one line, and it is the
    exit code.
    """
    try:
        application()()
    except Exception as error:
        exit_code = getattr(error, "exit_code", None)
        if not isinstance(exit_code, int):
            raise
        typer.echo(printable(f"octopack: {' '.join(str(error).split())}"), err=True)
        sys.exit(exit_code)
