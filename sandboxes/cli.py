"""`octopack sandbox ...` and `octopack doctor`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, cast

import typer

from sandboxes.supervisor.protocol import LANGUAGES

if TYPE_CHECKING:
    from sandboxes.backends import BackendName
    from sandboxes.sandbox import Sandbox
    from sandboxes.supervisor.protocol import Limits

sandbox_app = typer.Typer(
    help="Build, check and use the sandboxes that programs run in.", no_args_is_help=True, rich_markup_mode="rich"
)

_Backend = Annotated[
    str | None,
    typer.Option("--sandbox", help="auto, docker, bubblewrap, ray or process; default: $OCTOPACK_SANDBOX, else auto."),
]
_Languages = Annotated[
    list[str] | None,
    typer.Option("--language", "-l", help=f"One of {', '.join(LANGUAGES)}; may be given several times."),
]
_Image = Annotated[str | None, typer.Option("--image", help="docker: another image than the built ones.")]
_Root = Annotated[Path | None, typer.Option("--root", help="bubblewrap: an exported image root to run in.")]
_Runtime = Annotated[
    str | None, typer.Option("--runtime", help="docker: another container runtime, such as runsc (gVisor).")
]


def register(app: typer.Typer) -> None:
    """Add the sandbox commands to `app`."""
    app.add_typer(sandbox_app, name="sandbox")
    app.command("doctor")(doctor)


@sandbox_app.command()
def build(
    language: _Languages = None,
    everything: Annotated[bool, typer.Option("--all", help="One image with all languages (the default).")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not print the build's output.")] = False,
) -> None:
    """Build the Docker images that programs run in.

    Where no image registry answers, the base image is made from Debian's packages with mmdebstrap.

    [bold]Examples[/bold]

      octopack sandbox build                       # one image with all languages

      octopack sandbox build -l python -l rust     # one small image each
    """
    from sandboxes.backends.docker import connect, image_name
    from sandboxes.images import build_image

    languages = _known(language or [])
    kinds = [*languages, *(["all"] if everything or not languages else [])]
    with _user_errors():
        client = connect()
        for kind in kinds:
            name = image_name(kind)
            typer.echo(f"building {name}", err=True)
            digest = build_image(client, kind, name, (lambda line: None) if quiet else _to_stderr)
            typer.echo(f"{name} {digest}")


@sandbox_app.command()
def verify(
    language: _Languages = None,
    sandbox: _Backend = None,
    image: _Image = None,
    root: _Root = None,
    runtime: _Runtime = None,
) -> None:
    """Hold a sandbox to everything that any backend must do: right verdicts, and attacks held off.

    Exit code 1 where a demand is not met.

    [bold]Examples[/bold]

      octopack sandbox verify                               # every language, the default sandbox

      octopack sandbox verify --sandbox bubblewrap -l python
    """
    from sandboxes.conformance import run_conformance

    languages = _known(language or list(LANGUAGES))
    unmet = 0
    with _user_errors(), _open(sandbox, languages, image, root, runtime, cache=False) as opened:
        typer.echo(f"{opened.environment.backend}: {opened.environment.image} ({opened.environment.digest})")
        for outcome in run_conformance(opened, languages):
            check, verdict = outcome.check, outcome.verdict
            mark = "ok  " if outcome.met else "FAIL"
            typer.echo(f"{mark} {check.program.language:<10} {check.name}: {verdict.status.value}")
            if not outcome.met:
                unmet += 1
                typer.echo(f"     expected {' or '.join(sorted(status.value for status in check.expected))}")
                typer.echo(f"     {verdict.detail}\n{verdict.stderr[-500:]}")
    typer.echo("every demand is met" if not unmet else f"{unmet} demand(s) not met")
    raise typer.Exit(1 if unmet else 0)


@sandbox_app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A program with its tests.", exists=True, dir_okay=False)],
    language: Annotated[str | None, typer.Option("--language", "-l", help="Default: by the file's ending.")] = None,
    sandbox: _Backend = None,
    image: _Image = None,
    root: _Root = None,
    runtime: _Runtime = None,
    cpu_seconds: Annotated[float | None, typer.Option(help="CPU time it may use, in seconds.")] = None,
    memory_mib: Annotated[int | None, typer.Option(help="Memory it may use, in MiB.")] = None,
) -> None:
    """Run one program and print its verdict.

    Exit code 0 where it passed, 1 where it did not, 2 where nothing can be said.

    [bold]Examples[/bold]

      octopack sandbox run solution.py

      octopack sandbox run Main.java --sandbox bubblewrap --cpu-seconds 5
    """
    from sandboxes.supervisor.protocol import Limits, Program
    from sandboxes.toolchains import toolchain

    suffixes = {suffix: known for known in LANGUAGES for suffix in toolchain(known).suffixes}
    chosen = language or suffixes.get(file.suffix)
    if chosen is None:
        _fail(f"{file.name} does not end in {', '.join(suffixes)}: say --language")
    [chosen] = _known([chosen])
    with _user_errors():
        limits = None
        if cpu_seconds is not None or memory_mib is not None:
            given = {"cpu_seconds": cpu_seconds, "memory_bytes": None if memory_mib is None else memory_mib << 20}
            limits = Limits(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
        # as a compiler would see it: bytes that are not UTF-8 are the program's own mistake
        source = file.read_bytes().decode("utf-8", "surrogateescape")
        with _open(sandbox, [chosen], image, root, runtime, limits=limits) as opened:
            [verdict] = opened.run([Program(chosen, source)])
    if verdict.stdout:
        typer.echo(verdict.stdout, nl=not verdict.stdout.endswith("\n"))
    if verdict.stderr:
        typer.echo(verdict.stderr, nl=not verdict.stderr.endswith("\n"), err=True)
    spent = f"{verdict.compile_seconds:.2f} s to compile, {verdict.run_seconds:.2f} s to run"
    detail = f": {verdict.detail}" if verdict.detail else ""
    typer.echo(f"{verdict.status.value}{detail} ({spent})", err=True)
    for reason in verdict.suspicious:
        typer.echo(f"suspicious: {reason}", err=True)
    raise typer.Exit(0 if verdict.passed else 1)


@sandbox_app.command()
def export(
    target: Annotated[Path, typer.Argument(help="A new folder, or a new file that ends in .tar.")],
    language: Annotated[str, typer.Option("--language", "-l", help="Which image: a language, or all.")] = "all",
    image: _Image = None,
) -> None:
    """Write an image's root file system, for bubblewrap and Apptainer on machines without Docker.

    [bold]Examples[/bold]

      octopack sandbox export octopack-root                     # then: octopack sandbox verify --root octopack-root

      octopack sandbox export octopack.tar                      # then: apptainer build octopack.sif docker-archive:...
    """
    from sandboxes.backends.docker import connect, image_name
    from sandboxes.images import export_root

    if language != "all":
        _known([language])
    with _user_errors():
        export_root(connect(), image or image_name(language), target)
    typer.echo(target)


def doctor() -> None:
    """Say what is installed, which sandboxes and languages work here, and how to mend the rest.

    Exit code 0 where some sandbox runs every language, 1 otherwise.

    [bold]Example[/bold]

      octopack doctor
    """
    from sandboxes.diagnosis import diagnose

    complete = False
    for finding in diagnose():
        typer.echo(f"{'ok  ' if finding.works else 'no  '} {finding.subject}: {finding.detail}")
        complete = complete or finding.complete
    typer.echo("every language can be run" if complete else "no sandbox here runs every language")
    raise typer.Exit(0 if complete else 1)


def _open(
    sandbox: str | None,
    languages: list[str],
    image: str | None,
    root: Path | None,
    runtime: str | None,
    cache: bool = True,
    limits: Limits | None = None,
) -> Sandbox:
    from sandboxes.sandbox import open_sandbox

    return open_sandbox(
        cast("BackendName | None", sandbox),
        languages,
        # on the command line the name is as explicit as `unsafe=True` is in code
        unsafe=sandbox == "process",
        image=image,
        root=root,
        runtime=runtime,
        cache=cache,
        limits=limits,
    )


@contextlib.contextmanager
def _user_errors() -> Iterator[None]:
    """One line and exit code 2 for what the user can mend."""
    from sandboxes.errors import SandboxError

    try:
        yield
    except (SandboxError, ValueError, OSError) as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    typer.echo(f"octopack: {message}", err=True)
    raise typer.Exit(2)


def _to_stderr(line: str) -> None:
    typer.echo(line, err=True)


def _known(languages: list[str]) -> list[str]:
    for language in languages:
        if language not in LANGUAGES:
            _fail(f"unknown language {language!r}: choose from {', '.join(LANGUAGES)}")
    return languages
