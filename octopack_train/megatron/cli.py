"""`octopack train megatron ...`: data, scripts and checkpoints for Megatron-LM."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

megatron_app = typer.Typer(help="Data, scripts and checkpoints for Megatron-LM.", no_args_is_help=True)


@megatron_app.command("prepare")
def prepare_command(
    sources: Annotated[list[Path], typer.Argument(help="JSON-lines files.")],
    output: Annotated[Path, typer.Option(help="Start of the written files' names.")],
    tokenizer: Annotated[str, typer.Option(help="tokenizer.json, model folder or hub name.")],
    keys: Annotated[str, typer.Option(help="Text columns, comma-separated.")] = "inputs,targets",
    append_end: Annotated[str, typer.Option(help="Columns that get an end-of-text token, comma-separated.")] = "",
    commits: Annotated[
        bool, typer.Option("--commits", help="Rows are commits: one text each (SantaCoderPack).")
    ] = False,
    joined: Annotated[bool, typer.Option("--joined", help="Also one sequence a row, and its mask of targets.")] = False,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Leave out longer rows.")] = None,
    train_share: Annotated[float, typer.Option(help="Share of the rows to train on.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of the shuffling.")] = 0,
    keep_order: Annotated[bool, typer.Option("--keep-order", help="Do not shuffle.")] = False,
    keep_duplicates: Annotated[bool, typer.Option("--keep-duplicates", help="Write equal lines every time.")] = False,
) -> None:
    """Write JSON lines as Megatron's indexed data sets (.bin and .idx), with weight files for its scripts.

    Example: octopack train megatron prepare rows.jsonl --output data/train --tokenizer bigcode/starcoder
    """
    from octopack_train.megatron.prepare import Preparation, prepare

    done = prepare(
        Preparation(
            sources=sources,
            prefix=output,
            tokenizer=tokenizer,
            keys=tuple(_words(keys)),
            append_end=frozenset(_words(append_end)),
            commits=commits,
            joined=joined,
            max_tokens=max_tokens,
            train_share=train_share,
            seed=None if keep_order else seed,
            deduplicate=not keep_duplicates,
        )
    )
    left_out = f"{done.duplicates:,} duplicates, {done.empty:,} empty, {done.too_long:,} too long"
    typer.echo(f"{done.rows:,} rows; left out: {left_out}")
    for column, tokens in done.tokens.items():
        typer.echo(f"{column}: {tokens:,} tokens")
    for path in (*done.prefixes, *done.weights):
        typer.echo(str(path))


@megatron_app.command("script")
def script(
    recipe: Annotated[str, typer.Argument(help="YAML file, or santacoderpack, starcoderbase, santacoder.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes.")] = None,
    data: Annotated[str, typer.Option(help="Prefix of the data set, or file of training weights.")] = ...,  # type: ignore[assignment]
    tokenizer_file: Annotated[str, typer.Option(help="tokenizer.json of the model.")] = ...,  # type: ignore[assignment]
    checkpoints: Annotated[str, typer.Option(help="Folder to save to and load from.")] = ...,  # type: ignore[assignment]
    valid: Annotated[str | None, typer.Option(help="File of validation weights.")] = None,
    from_base: Annotated[bool, typer.Option("--from-base", help="First run from released weights.")] = False,
    partition: Annotated[str | None, typer.Option(help="Slurm partition.")] = None,
    time: Annotated[str, typer.Option(help="Time limit.")] = "20:00:00",
) -> None:
    """Print a Slurm batch script for BigCode's Megatron-LM.

    Example: octopack train megatron script santacoderpack --data data/cf_text_document
    --tokenizer-file tokenizer.json --checkpoints runs/pack
    """
    from octopack_train.megatron.scripts import load_recipe, render

    typer.echo(
        render(
            load_recipe(recipe, overrides or []),
            data=data,
            tokenizer_file=tokenizer_file,
            checkpoints=checkpoints,
            valid=valid,
            from_base=from_base,
            partition=partition,
            time=time,
        ),
        nl=False,
    )


@megatron_app.command("to-transformers")
def to_transformers_command(
    source: Annotated[Path, typer.Argument(help="Megatron checkpoint: file, iter_* folder, or the folder above.")],
    target: Annotated[Path, typer.Argument(help="Folder to write.")],
    vocab_size: Annotated[int | None, typer.Option(help="Cut the padded vocabulary to so many rows.")] = None,
) -> None:
    """Convert a GPT-BigCode checkpoint of Megatron-LM for transformers, putting its shards together.

    Example: octopack train megatron to-transformers runs/pack models/santacoderpack --vocab-size 49152
    """
    from octopack_train.megatron.convert import to_transformers

    to_transformers(source, target, vocabulary=vocab_size)
    typer.echo(str(target))


@megatron_app.command("from-transformers")
def from_transformers_command(
    source: Annotated[str, typer.Argument(help="GPTBigCode model: folder or hub name.")],
    target: Annotated[Path, typer.Argument(help="Folder to write.")],
    padded_to: Annotated[int, typer.Option(min=1, help="Pad the vocabulary to a multiple of this.")] = 128,
) -> None:
    """Convert a GPTBigCode model into a release checkpoint of Megatron-LM.

    Example: octopack train megatron from-transformers bigcode/starcoderbase checkpoints/starcoderbase
    """
    from octopack_train.megatron.convert import to_megatron

    to_megatron(source, target, padded_to=padded_to)
    typer.echo(str(target))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
