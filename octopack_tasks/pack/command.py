"""`octopack pack`: build, check and write your own problems."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

# ruff: noqa: UP045 - typer on Python 3.10 reads Optional only


def register(application: typer.Typer) -> None:
    """Add the commands to `application`."""
    pack = typer.Typer(help="Make your own problems: build, check, write.", no_args_is_help=True)
    application.add_typer(pack, name="pack")
    pack.command("prepare")(prepare)
    pack.command("build")(build)


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
