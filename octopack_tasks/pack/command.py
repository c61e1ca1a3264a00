"""`octopack pack`: build, check and write your own problems."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional, cast

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID

    from octopack_tasks.pack.bugs import Proposal
    from octopack_tasks.pack.trials import Report

# ruff: noqa: UP045 - typer on Python 3.10 reads Optional only


def register(application: typer.Typer) -> None:
    """Add the commands to `application`."""
    pack = typer.Typer(help="Make your own problems: build, check, write.", no_args_is_help=True)
    application.add_typer(pack, name="pack")
    pack.command("prepare")(prepare)
    pack.command("build")(build)
    pack.command("validate")(validate)
    pack.command("new")(new)
    pack.command("bug")(bug)
    pack.command("rows")(rows)


_Languages = Annotated[
    Optional[list[str]],
    typer.Option("--language", "-l", help="Only this language; may be repeated.", show_default="all that are there"),
]


def prepare(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Folder with <language>/humaneval.jsonl.")],
    languages: _Languages = None,
) -> None:
    """Begin a bugs.json beside each humaneval.jsonl: the right solutions, into which you then put bugs by hand.

    A file that is there already is left as it is.

    Example: octopack pack prepare my-problems
    """
    from octopack_tasks.pack.sources import prepare_bugs

    for file in prepare_bugs(source, languages):
        typer.echo(f"wrote {file}")


def build(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Folder with <language>/humaneval.jsonl, <language>/bugs.json and HumanEval_original.jsonl.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for <language>.jsonl.")],
    languages: _Languages = None,
    corrections: Annotated[
        Optional[Path],
        typer.Option(help="YAML file of names and texts that the rules cannot find.", show_default="HumanEval-X's"),
    ] = None,
) -> None:
    """Build a pack from problems and hand-made bugs, by the rules with which HumanEvalPack was built.

    Examples:
        octopack pack build humaneval-x my-pack

        octopack pack build my-problems my-pack --language python --language rust
    """
    from octopack_tasks.pack.building import build_pack

    built = build_pack(source, out, languages, corrections)
    for language, rows in built.rows.items():
        typer.echo(f"{out / language}.jsonl: {rows} rows")
    for note in built.notes:
        typer.echo(f"note: {note}", err=True)


def validate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The pack: a folder of <language>.jsonl files.")],
    languages: _Languages = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only read the rows: run nothing.")] = False,
    mutants: Annotated[int, typer.Option(min=0, help="Changes to each right solution that the tests must notice.")] = 3,
    repeat: Annotated[int, typer.Option(min=1, help="How often right and buggy solutions run.")] = 3,
    repeat_chance: Annotated[
        int, typer.Option(min=1, help="The same where the code draws on chance: generators, clocks, unordered maps.")
    ] = 15,
    timeout: Annotated[float, typer.Option(min=0.1, help="CPU time of a program, in seconds.")] = 10.0,
    sandbox: Annotated[Optional[str], typer.Option(help="auto, docker or bubblewrap.", show_default="auto")] = None,
    workers: Annotated[Optional[int], typer.Option(min=1, help="Programs run at a time.")] = None,
    cache: Annotated[
        bool, typer.Option("--verdict-cache/--no-verdict-cache", help="Whether verdicts may come from the cache.")
    ] = True,
    show: Annotated[
        int, typer.Option(min=0, help="How many errors and warnings of each check are printed; notes, where no more.")
    ] = 10,
    html: Annotated[Optional[Path], typer.Option(help="Write the whole report to this page.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON instead.")] = False,
) -> None:
    """Check a pack: its rows, its languages against each other, its programs in a sandbox.

    Right solutions must pass and buggy ones fail, as often as they run; tests must notice small changes to the right
    solution. The exit code is 1 if there is an error among the findings.

    Examples:
        octopack pack validate my-pack

        octopack pack validate my-pack --quick

        octopack pack validate my-pack -l python --mutants 10 --html report.html
    """
    import json

    from octopack_tasks.pack.findings import Severity
    from octopack_tasks.pack.report import html_report, print_report
    from octopack_tasks.pack.sources import write_whole
    from octopack_tasks.pack.trials import Effort
    from octopack_tasks.pack.validation import SandboxChoice, validate_pack

    effort = None if quick else Effort(repeat, max(repeat, repeat_chance), mutants, timeout)
    with _progress_bars() as report:
        validation = validate_pack(folder, languages, effort, SandboxChoice(cast(Any, sandbox), workers, cache), report)
    if as_json:
        typer.echo(json.dumps(validation.to_json(), indent=2))
    else:
        from rich.console import Console

        # A file or a pipe has no width: names must not be cut there.
        print_report(validation, Console(width=None if sys.stdout.isatty() else 160, highlight=False), show)
    if html is not None:  # last: where it cannot be written, what took minutes has been said
        write_whole({html: html_report(validation)})
    raise typer.Exit(1 if validation.count(Severity.ERROR) else 0)


@contextmanager
def _progress_bars() -> Iterator[Report]:
    """A bar on standard error for everything that is being run."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        lines: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in lines or done == 0:
                lines[what] = bars.add_task(what, total=total)
            bars.update(lines[what], completed=done, total=total)

        yield report


def new(
    signature: Annotated[str, typer.Argument(metavar="SIGNATURE", help="Such as 'count_vowels(text: str) -> int'.")],
    into: Annotated[Path, typer.Option(help="Folder of your problems.")] = Path("problems"),
    languages: _Languages = None,
) -> None:
    """Begin a problem in all languages: a folder to fill in, named after its function.

    Types are int, float, str, bool and list[...]; the signature is spelled in each language from this one.

    Examples:
        octopack pack new "count_vowels(text: str) -> int"

        octopack pack new "longest(words: list[str]) -> str" --into my-problems
    """
    from octopack_tasks.pack.scaffold import new_problem

    for file in new_problem(signature, into, languages):
        typer.echo(f"wrote {file}")


def bug(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="A problem with its right solutions, or a pack of <language>.jsonl."),
    ],
    task: Annotated[
        Optional[str], typer.Option(help="Of a pack: which problem, by the end of its task ids, such as 17.")
    ] = None,
    bug_types: Annotated[
        Optional[list[str]],
        typer.Option("--type", "-t", help="Only this bug type, such as 'value misuse'; may be repeated."),
    ] = None,
    choose: Annotated[Optional[int], typer.Option(min=1, help="Write the bug of this number into the folder.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many changes are tried in all languages.")] = 40,
    languages: _Languages = None,
    sandbox: Annotated[Optional[str], typer.Option(help="auto, docker or bubblewrap.", show_default="auto")] = None,
) -> None:
    """Propose bugs for a problem, the same in all languages: small changes that compile and fail its tests.

    Without --choose nothing is written. The same command gives the same numbers. In a pack --choose puts another bug
    into the rows of the problem.

    Examples:
        octopack pack bug problems/count_vowels

        octopack pack bug problems/count_vowels --choose 3

        octopack pack bug my-pack --task 17 --type "operator misuse"
    """
    from octopack_tasks.errors import UserError
    from octopack_tasks.languages import LANGUAGES
    from octopack_tasks.pack.bugs import problems_of_pack, propose_bugs, write_bug_rows
    from octopack_tasks.pack.mutations import BugType
    from octopack_tasks.pack.scaffold import buggy_file, read_problem, write_bug
    from octopack_tasks.pack.sources import BugKind
    from sandboxes import SandboxUnavailable, open_sandbox

    known = [bug_type.value for bug_type in BugType]
    for name in bug_types or ():
        if name not in known:
            raise UserError(f"unknown bug type {name!r}; there are: {', '.join(known)}")
    problems = problems_of_pack(folder, task, languages) if task else read_problem(folder, languages).problems()
    try:
        opened = open_sandbox(cast(Any, sandbox), languages=tuple(problems))
    except (SandboxUnavailable, ValueError) as error:
        raise UserError(str(error)) from error
    with opened:
        proposals = propose_bugs(problems, opened, [BugType(name) for name in bug_types or known], limit)
    if not proposals:
        raise UserError(f"no change that was tried is a bug: raise --limit (it is {limit}), or write more tests")
    if choose is None:
        _print_proposals(proposals)
        typer.echo(f"write one into {folder} with --choose NUMBER")
        return
    if choose > len(proposals):
        raise UserError(f"--choose {choose}: there are {len(proposals)} proposals")
    chosen = proposals[choose - 1]
    if task:
        written = write_bug_rows(folder, problems, chosen)
    else:
        kind = BugKind(chosen.bug_type.value, chosen.symptom.value)
        codes = {language: mutant.code for language, mutant in chosen.mutants.items()}
        written = write_bug(folder, kind, codes, chosen.description)
    for file in written:
        typer.echo(f"wrote {file}")
    for language in chosen.lacking:
        is_other = bool(task) or (folder / buggy_file(language)).exists()
        other = "; the one there is of another bug" if is_other else ""
        typer.echo(f"{language} has no such change: write its buggy solution by hand{other}", err=True)
    for language in LANGUAGES:
        place = folder / (f"{language}.jsonl" if task else buggy_file(language))
        if language not in problems and place.exists():
            typer.echo(f"{place} has another bug: --language left it out", err=True)


def _print_proposals(proposals: Sequence[Proposal]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "bug type", "change", "symptom", "languages")
    for number, proposal in enumerate(proposals, start=1):
        languages = " ".join(
            name + "*" * (name in proposal.similar) + "!" * (name in proposal.crashes) for name in proposal.mutants
        )
        if not (proposal.lacking or proposal.similar or proposal.crashes):
            languages = "all"
        change = Text(proposal.description)
        table.add_row(str(number), proposal.bug_type.value, change, proposal.symptom.value, languages)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    typer.echo("* a change of the same kind, elsewhere in the code; ! ends in an exception")


def rows(
    problems: Annotated[Path, typer.Argument(metavar="PROBLEMS", help="Folder of your problems.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for <language>.jsonl.")],
    name: Annotated[str, typer.Option(help="What the task ids begin with, such as My in MyPython/count_vowels.")] = "",
    languages: _Languages = None,
) -> None:
    """Write your problems as rows of HumanEvalPack's schema, one file a language.

    Example: octopack pack rows problems my-pack --name My
    """
    from octopack_tasks.pack.scaffold import write_rows

    for language, count in write_rows(problems, out, name, languages).items():
        typer.echo(f"{out / language}.jsonl: {count} rows")
