"""`octopack data commitpackft`: the filter chain on the command line."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from octopack_data import options as opt
from octopack_data.errors import DataError


class SemanticsName(str, Enum):
    """Names of the readings (kept here so that `--help` loads no rules)."""

    PAPER = "paper"
    SCRIPTS = "scripts"
    SCRIPTS_NOLIST = "scripts-nolist"
    SCRIPTS_DOTLESS = "scripts-dotless"


class ModelName(str, Enum):
    """Names of the model presets."""

    STARCODER = "starcoder"
    SANTACODER = "santacoder"
    CODEGEEX = "codegeex"
    BLOOMZ = "bloomz"


def register(data_app: typer.Typer) -> None:
    """Add the command."""
    data_app.command("commitpackft")(commitpackft)


@opt.takes_run_options()
def commitpackft(
    inputs: opt.Inputs,
    semantics: Annotated[
        SemanticsName, typer.Option(help="The paper's rules, or the reference's scripts as they run, quirks included.")
    ] = SemanticsName.PAPER,
    model: Annotated[ModelName, typer.Option(help="Token rule and columns of this model.")] = ModelName.STARCODER,
    tokenizer: Annotated[
        str, typer.Option(help="tokenizer.json, a folder with one, or a hub name; 'none' leaves the token rule out.")
    ] = "",
    min_tokens: Annotated[int | None, typer.Option(help="Instead of the model's lower bound.", min=0)] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Instead of the model's upper bound.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random rule (version bumps).")] = 0,
    starts: Annotated[
        Path | None, typer.Option(help="File of verbs, one a line, that a subject must start with.")
    ] = None,
    languages: Annotated[
        str, typer.Option(help="Comma list of languages, 'preset' for those of the model's run, '' for all.")
    ] = "",
    by_language: Annotated[bool, typer.Option("--by-language", help="One output folder a language.")] = False,
    fast_reasons: Annotated[
        bool, typer.Option("--fast-reasons", help="Count tokens last: same rows, quicker, other attribution.")
    ] = False,
    redact: Annotated[bool, typer.Option("--redact", help="Replace secrets and e-mail addresses.")] = False,
    decontaminate: Annotated[
        str, typer.Option(help="Drop rows with text of this benchmark: folder, hub name or 'starter'.")
    ] = "",
    ngram: Annotated[int, typer.Option(help="Words of a run that counts as benchmark text.")] = 13,
    *,
    run: opt.RunOptions,
) -> None:
    """Filter CommitPack down to commits whose messages read like instructions (CommitPackFT).

    The output holds one shard for each input shard, manifest.json, and statistics.json with the funnel: rows left after
    each rule. Interrupted or repeated, the command does only what is missing and gives the same bytes.

    [bold]Examples[/]

    octopack data commitpackft commitpack/data/python -o ft/python

    octopack data commitpackft shards/ -o ft --semantics scripts --tokenizer my_model/ --workers 8

    octopack data commitpackft shards/ -o ft --explain 1f3a...      which rules does this commit pass?

    octopack data commitpackft shards/ -o ft --shard 3/64           part 3 of a job array

    octopack data commitpackft shards/ -o ft --executor slurm --partition cpu --tasks 64
    """
    from octopack_data.commitpackft.filters import Semantics
    from octopack_data.commitpackft.models import MODELS
    from octopack_data.commitpackft.step import CommitPackFT
    from octopack_data.commitpackft.tokens import load_tokenizer
    from octopack_data.commitpackft.wordlists import read_list
    from octopack_data.decontamination import load_benchmark
    from octopack_data.sources import units_of

    with opt.user_errors():
        preset = MODELS[model.value]
        bounds = replace(
            preset.bounds,
            minimum=preset.bounds.minimum if min_tokens is None else min_tokens,
            maximum=preset.bounds.maximum if max_tokens is None else max_tokens,
        )
        if bounds.minimum > bounds.maximum:
            raise DataError(f"--min-tokens {bounds.minimum} is above --max-tokens {bounds.maximum}: nothing would stay")
        name = tokenizer or preset.tokenizer
        units = units_of(inputs)
        step = CommitPackFT(
            tokenizer_json=None if name == "none" else load_tokenizer(name),
            tokenizer_name=Path(name).name,
            semantics=Semantics(semantics.value),
            model=replace(preset, bounds=bounds),
            seed=seed,
            starts=read_list(starts) if starts else None,
            languages=_languages(languages, preset.languages),
            by_language=by_language,
            exact_reasons=not fast_reasons,
            redacted=redact,
            benchmark=load_benchmark(decontaminate, ngram) if decontaminate else None,
        )
        opt.run_step(step, units, run)


def _languages(text: str, preset: tuple[str, ...]) -> frozenset[str] | None:
    """Read `--languages`.

    Raises:
        DataError: a name that is no language of CommitPack; the nearest ones are named.
    """
    if not text:
        return None
    if text == "preset":
        return frozenset(preset) or None
    from octopack_data.commitpack.languages import UNKNOWN, directory_name, load_languages

    known = {directory_name(language) for language in load_languages()} | {UNKNOWN}
    chosen = set()
    for name in filter(None, (part.strip() for part in text.split(","))):
        folder = directory_name(name)
        if folder not in known:
            near = ", ".join(get_close_matches(folder, known, 3)) or "see `octopack data commitpack languages --help`"
            raise DataError(f"--languages: {name!r} is no language of CommitPack; did you mean {near}?")
        chosen.add(folder)
    return frozenset(chosen) or None
