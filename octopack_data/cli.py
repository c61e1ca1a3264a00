"""`octopack data ...`: the commands that build the training sets."""

from __future__ import annotations

import typer

data_app = typer.Typer(
    name="data",
    help="Build CommitPack, CommitPackFT and the other training sets.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def register(app: typer.Typer) -> None:
    """Add `octopack data` to the command line."""
    from octopack_data.commitpack import cli as commitpack_cli

    commitpack_cli.register(data_app)
    app.add_typer(data_app, name="data")
