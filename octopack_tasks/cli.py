"""The `octopack` command: every package adds its own commands through the entry point group `octopack.commands`."""

from __future__ import annotations

from importlib.metadata import entry_points

import typer

app = typer.Typer(
    name="octopack",
    help="Evaluate and build code language models.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def octopack() -> None:
    """Evaluate and build code language models."""


def register(application: typer.Typer) -> None:
    """Add the benchmark's own commands to `application`."""


def main() -> None:
    """Run the command line."""
    for entry_point in sorted(entry_points(group="octopack.commands"), key=lambda point: point.name):
        entry_point.load()(app)
    app()
