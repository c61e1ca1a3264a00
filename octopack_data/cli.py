"""`octopack data ...`: the commands that build the training sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from octopack_data import options as opt
from octopack_data.errors import DataError
from octopack_data.shards import ShardFormat, write_atomically

data_app = typer.Typer(
    name="data",
    help="Build CommitPack, CommitPackFT and the other training sets.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def register(app: typer.Typer) -> None:
    """Add `octopack data` to the command line."""
    from octopack_data.commitpack import cli as commitpack_cli
    from octopack_data.commitpackft import cli as commitpackft_cli

    commitpack_cli.register(data_app)
    commitpackft_cli.register(data_app)
    for command in (oasst, xp3x, self_instruct, formats, mix, dedup, decontaminate, redact, sample, statistics, report):
        data_app.command(command.__name__.replace("_", "-"))(command)
    app.add_typer(data_app, name="data")


def _print(text: str) -> None:
    from rich.console import Console

    Console().print(opt.printable(text), highlight=False, markup=False, soft_wrap=True)


def _print_counts(title: str, counts: Mapping[str, int]) -> None:
    from rich.console import Console
    from rich.table import Table

    _print(title)
    table = Table()
    table.add_column("what")
    table.add_column("rows", justify="right")
    for name, count in counts.items():
        table.add_row(opt.plain(name), f"{count:,}")
    Console().print(table)


# --------------------------------------------------------------------------------------------- the other training sets


@opt.takes_run_options()
def oasst(
    inputs: opt.Inputs,
    only_code: Annotated[bool, typer.Option("--only-code", help="Keep only answers with a fence of code.")] = False,
    *,
    run: opt.RunOptions,
) -> None:
    """Turn OASST's conversation trees into first question and answer, without refusals and moralising.

    Reads rows with `messages` (HuggingFaceH4/oasst1_guanaco), OctoPack's published lists of messages, and OASST's own
    trees.

    [bold]Examples[/]

    octopack data oasst hf://datasets/HuggingFaceH4/oasst1_guanaco -o oasst

    octopack data oasst 2023-04-12_oasst_ready.trees.jsonl.gz -o oasst --keep-dropped
    """
    from octopack_data.oasst import Oasst
    from octopack_data.sources import units_of

    with opt.user_errors():
        summary = opt.run_step(Oasst(only_code=only_code), units_of(inputs), run)
        if summary:
            languages: Mapping[str, int] = summary.statistics.tallies.get("languages of the answers", {})
            _print_counts("code in the answers", dict(sorted(languages.items(), key=lambda item: -item[1])))


def xp3x(
    folder: Annotated[Path, typer.Argument(help="Folder with the files of xP3x's code languages, however nested.")],
    output: opt.Output,
    counts: Annotated[
        Path | None, typer.Option(help="JSON with files (name -> rows) and seed, instead of the paper's 95 files.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the table's seed (42).")] = None,
    dry_run: opt.DryRun = False,
) -> None:
    """Draw the 5,000 code rows of xP3x, the same rows as the reference's script draws.

    [bold]Examples[/]

    octopack data xp3x xp3x_code/ -o xp3x

    octopack data xp3x xp3x_code/ -o small --counts my_counts.json --seed 1
    """
    from octopack_data import xp3x as draw

    with opt.user_errors():
        files, default_seed = draw.read_counts(counts) if counts else draw.default_counts()
        if dry_run:
            paths = draw.find_files(folder, files)
            _print(f"would draw {sum(files.values()):,} rows of {len(paths)} files into {output / draw.OUTPUT}")
            return
        manifest = draw.build(folder, output, files, default_seed if seed is None else seed)
        _print(f"{manifest['rows']:,} rows in {output / draw.OUTPUT}")


def self_instruct(
    output: opt.Output,
    inputs: Annotated[list[str] | None, typer.Argument(help="Shards with columns instruction and output.")] = None,
    min_words: Annotated[int, typer.Option(help="Fewest words of an instruction.", min=0)] = 3,
    max_words: Annotated[int, typer.Option(help="Most words of an instruction.", min=1)] = 150,
    near_duplicates: Annotated[
        float, typer.Option(help="Drop instructions with this word overlap with an earlier one; 1: equal ones.")
    ] = 1.0,
) -> None:
    """Clean the StarCoder self-instruct set (5,003 rows) and write it as prompt and completion.

    [bold]Examples[/]

    octopack data self-instruct -o self_instruct                      from the hub

    octopack data self-instruct rows.jsonl -o self_instruct --near-duplicates 0.7
    """
    from octopack_data import self_instruct as cleaning
    from octopack_data.sources import units_of

    with opt.user_errors():
        if not 0 < near_duplicates <= 1:
            raise DataError(f"--near-duplicates {near_duplicates}: must be above 0 and at most 1")
        units = units_of(inputs or [cleaning.HUB_NAME])
        chosen = cleaning.SelfInstructFilter(min_words, max_words, near_duplicates)
        manifest = cleaning.build([path for unit in units for path in unit.inputs], output, chosen)
        _print_counts("dropped", manifest["dropped"])
        _print_counts("languages named", manifest["languages"])
        _print(f"{manifest['rows']:,} of {manifest['rows_in']:,} rows in {output / cleaning.OUTPUT}")


class LayoutName(str, Enum):
    """Names of the commit layouts (kept here so that `--help` loads no data code)."""

    PREPARE = "prepare"
    PREPARE_CODE = "prepare-code"
    PREPARE_BIGCODE = "prepare-bigcode"
    COMMIT = "commit"
    LOSS_ON_INSTRUCTION = "loss-on-instruction"
    LINE_DIFF = "line-diff"
    FLAN = "flan"
    INSTRUCTION = "instruction"


@opt.takes_run_options("keep_dropped", "explain")
def formats(
    inputs: opt.Inputs,
    layout: Annotated[LayoutName, typer.Option(help="How a commit becomes text.")],
    file_name: Annotated[bool, typer.Option("--file-name", help="Base name in front (fine-tuning layouts).")] = False,
    keys: Annotated[str, typer.Option(help="Names of the two columns written.")] = "inputs,targets",
    seed: Annotated[int, typer.Option(help="Of prepare-bigcode's coin (file name in front, or not).")] = 0,
    *,
    run: opt.RunOptions,
) -> None:
    """Lay commits out as training text: commits_to_jsonl's three layouts, and those of fine-tuning.

    [bold]Examples[/]

    octopack data formats ft/ -o megatron --layout prepare-bigcode

    octopack data formats ft/ -o sft --layout line-diff --file-name --keys prompt,completion
    """
    from octopack_data.formats import CommitLayout, Formats
    from octopack_data.sources import units_of

    with opt.user_errors():
        first, comma, second = keys.partition(",")
        if not (first and comma and second) or "," in second or first == second:
            raise DataError(f"--keys {keys}: expected two different names, for example prompt,completion")
        plain = (LayoutName.PREPARE, LayoutName.PREPARE_CODE, LayoutName.PREPARE_BIGCODE, LayoutName.INSTRUCTION)
        if file_name and layout in plain:
            raise DataError(f"--file-name goes with the fine-tuning layouts only, not with {layout.value}")
        step = Formats(CommitLayout(layout.value), seed, file_name, (first, second))
        opt.run_step(step, units_of(inputs), run)


def mix(
    recipe: Annotated[str, typer.Argument(help="YAML file, or octocoder / octogeex, which come with the package.")],
    output: opt.Output,
    source: Annotated[
        list[str] | None, typer.Option(help="Take this source of the recipe from here.", metavar="NAME=PATH")
    ] = None,
    dry_run: opt.DryRun = False,
) -> None:
    """Build a training mix from a recipe: draw, lay out, shuffle; with a manifest and a summary of licences.

    [bold]Examples[/]

    octopack data mix octocoder -o octocoder

    octopack data mix octocoder -o octocoder --source oasst=oasst/ --source commitpackft=ft/

    octopack data mix my_recipe.yaml -o out --dry-run
    """
    from octopack_data.mix import build, load_recipe

    with opt.user_errors():
        replaced: dict[str, str] = {}
        for item in source or []:
            name, equals, path = item.partition("=")
            if not (name and equals and path):
                raise DataError(f"--source {item}: expected NAME=PATH")
            replaced[name] = path
        manifest = build(load_recipe(recipe), output, replaced, dry_run=dry_run)
        if dry_run:
            for known in manifest["inputs"]:
                _print(f"would read {known['name']}")
            return
        for item in manifest["sources"]:
            _print(f"{item['source']}: {item['rows']:,} of {item['available']:,} rows")
        _print_counts("licences", manifest["licenses"])
        for file in manifest["outputs"]:
            _print(f"{file['rows']:,} rows in {output / file['path']}")


# ------------------------------------------------------------------------------------------------------------- beyond


def dedup(
    inputs: opt.Inputs,
    output: opt.Output,
    threshold: Annotated[float, typer.Option(help="Overlap of word runs from which rows count as the same.")] = 0.8,
    columns: Annotated[str, typer.Option(help="Columns compared.")] = "old_contents,new_contents",
    permutations: Annotated[int, typer.Option(help="Of the MinHash signature.")] = 128,
    ngram: Annotated[int, typer.Option(help="Words of a run.")] = 5,
    kind: opt.Format = ShardFormat.JSONL,
    workers: opt.Workers = 1,
    keep_dropped: opt.KeepDropped = False,
    dry_run: opt.DryRun = False,
) -> None:
    """Remove near-duplicates over all shards by MinHash; of each group the first row stays.

    [bold]Examples[/]

    octopack data dedup ft/ -o unique

    octopack data dedup oasst/ -o unique --columns prompt,completion --threshold 0.7 --keep-dropped
    """
    from rich.console import Console

    from octopack_data.near_duplicates import DropDuplicates, MinHashConfig, find_duplicates
    from octopack_data.sources import units_of

    with opt.user_errors():
        names = tuple(name for name in columns.split(",") if name)
        if not names:
            raise DataError("--columns: name at least one column")
        config = MinHashConfig(names, threshold, permutations, ngram)
        units = units_of(inputs)
        with opt.progress(Console(stderr=True), "signatures", units) as report:
            places = find_duplicates(units, config, "commit", report)
        step = DropDuplicates(config, places)
        opt.run_step(step, units, opt.RunOptions(output, kind, workers, dry_run=dry_run, keep_dropped=keep_dropped))


@opt.takes_run_options("keep_dropped")
def decontaminate(
    inputs: opt.Inputs,
    benchmark: Annotated[
        str, typer.Option(help="Folder of <language>.jsonl, hub name, or 'starter'; HumanEvalPack when left out.")
    ] = "",
    ngram: Annotated[int, typer.Option(help="Words of a run that counts as benchmark text.")] = 13,
    *,
    run: opt.RunOptions,
) -> None:
    """Drop rows that hold text of HumanEvalPack, and report what was found: whole texts, or runs of words.

    The dropped rows are in _dropped/, each with the problems, columns and words that were found in it.

    [bold]Examples[/]

    octopack data decontaminate ft/ -o clean

    octopack data decontaminate ft/ -o clean --benchmark humanevalpack/ --ngram 10
    """
    from octopack_data.decontamination import Decontamination, load_benchmark
    from octopack_data.sources import units_of

    with opt.user_errors():
        step = Decontamination(load_benchmark(benchmark or None, ngram))
        summary = opt.run_step(step, units_of(inputs), replace(run, keep_dropped=True))
        if summary:
            hits: Mapping[str, int] = summary.statistics.tallies.get("benchmark hits", {})
            shown = sorted(hits.items(), key=lambda item: (-item[1], item[0]))[:40]
            _print_counts(f"benchmark hits ({len(hits)} different)", dict(shown))


@opt.takes_run_options("keep_dropped", "explain")
def redact(
    inputs: opt.Inputs,
    *,
    run: opt.RunOptions,
) -> None:
    """Replace credentials and e-mail addresses by <KEY> and <EMAIL>.

    [bold]Examples[/]

    octopack data redact ft/ -o redacted --workers 8
    """
    from octopack_data.redaction import Redaction
    from octopack_data.sources import units_of

    with opt.user_errors():
        summary = opt.run_step(Redaction(), units_of(inputs), run)
        if summary:
            _print_counts("replaced", summary.statistics.tallies.get("redacted", {}))


def sample(
    inputs: opt.Inputs,
    look: Annotated[bool, typer.Option("--look", help="Show the commits in the terminal.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write them to this HTML page.")] = None,
    each: Annotated[int, typer.Option("--each", "-n", help="Commits for each reason (four times as many kept).")] = 3,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    semantics: Annotated[str, typer.Option(help="paper, scripts, scripts-nolist or scripts-dotless.")] = "paper",
    tokenizer: Annotated[
        str, typer.Option(help="tokenizer.json, a folder with one, or a hub name; 'none' leaves the token rule out.")
    ] = "bigcode/starcoder",
    limit: opt.Limit = None,
) -> None:
    """Show kept and dropped commits of CommitPack with diff and reason, drawn fairly from all rows.

    [bold]Examples[/]

    octopack data sample shards/ --look

    octopack data sample shards/ --html look.html --each 10 --limit 100000
    """
    from rich.console import Console

    from octopack_data.commitpackft.filters import Semantics
    from octopack_data.commitpackft.step import CommitPackFT
    from octopack_data.commitpackft.tokens import load_tokenizer
    from octopack_data.look import html_page, print_sample, take_sample
    from octopack_data.sources import units_of

    with opt.user_errors():
        if not look and html is None:
            raise DataError("nothing to do: add --look for the terminal, or --html PAGE for a page")
        if semantics not in {reading.value for reading in Semantics}:
            known = ", ".join(reading.value for reading in Semantics)
            raise DataError(f"--semantics {semantics}: unknown; known are {known}")
        if each < 1:
            raise DataError(f"--each {each}: must be at least 1")
        units = units_of(inputs)
        tokenizer_json = None if tokenizer == "none" else load_tokenizer(tokenizer)
        step = CommitPackFT(tokenizer_json, Path(tokenizer).name, Semantics(semantics))
        with opt.progress(Console(stderr=True), "sample", units) as report:
            taken = take_sample(step, units, each, seed, limit, report)
        if not taken.rows:
            raise DataError(f"no commits among {taken.broken} lines of {len(units)} shard(s)")
        if look:
            print_sample(taken, Console())
        if html is not None:
            title = f"CommitPackFT, {semantics} rules: kept and dropped commits"
            write_atomically(html, html_page(taken, title).encode("utf-8", "replace"))
            _print(f"{len(taken.specimens)} commits in {html}")


class CategoryMethod(str, Enum):
    """How the kind of task is told."""

    KEYWORDS = "keywords"
    MODEL = "model"


def statistics(
    inputs: opt.Inputs,
    output: opt.Output,
    categories: Annotated[CategoryMethod, typer.Option(help="How kinds of task are told.")] = CategoryMethod.KEYWORDS,
    base_url: Annotated[str, typer.Option(help="OpenAI-compatible server, up to /v1.")] = "http://localhost:8000/v1",
    model: Annotated[str, typer.Option(help="Name of the model there.")] = "",
    sample_size: Annotated[int, typer.Option("--sample", help="Messages that the model is asked about.", min=1)] = 500,
    seed: Annotated[int, typer.Option(help="Of the draw of those messages.")] = 0,
    workers: opt.Workers = 1,
    limit: opt.Limit = None,
    dry_run: opt.DryRun = False,
) -> None:
    """Count languages, licences, lengths and kinds of task; write statistics.md and summary.json.

    [bold]Examples[/]

    octopack data statistics ft/ -o report

    octopack data statistics ft/ -o report --categories model --base-url http://localhost:8000/v1 --model my-model
    """
    import orjson
    from rich.console import Console
    from rich.markdown import Markdown

    from octopack_data.sources import units_of
    from octopack_data.statistics import CommitStatistics, markdown, summary_json

    with opt.user_errors():
        if categories is CategoryMethod.MODEL and not model:
            raise DataError("--categories model needs --model NAME (the server lists them at /v1/models)")
        units = units_of(inputs)
        options = opt.RunOptions(output, workers=workers, limit=limit, dry_run=dry_run)
        summary = opt.run_step(CommitStatistics(), units, options)
        if summary is None:
            return
        kinds: Mapping[str, int] | None = None
        if categories is CategoryMethod.MODEL:
            kinds = _ask_model(units, base_url, model, sample_size, seed)
        text = markdown(summary.statistics, kinds)
        data: dict[str, Any] = summary_json(summary.statistics, kinds)
        write_atomically(output / "statistics.md", text.encode())
        write_atomically(output / "summary.json", orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")
        Console().print(Markdown(opt.printable(text)))


def report(
    raw: Annotated[
        Path,
        typer.Argument(help="Statistics of the raw set: folder that `statistics` wrote, or with kilobytes.txt."),
    ],
    output: opt.Output,
    filtered: Annotated[Path | None, typer.Option(help="Statistics of the filtered set.")] = None,
    names: Annotated[str, typer.Option(help="Names of the two sets in the figures.")] = "CommitPack,CommitPackFT",
) -> None:
    """Draw languages and kinds of task, and write the table of languages (Figure 2 and Table 4 of the paper).

    Reads what `octopack data statistics` wrote, or the lists that the reference published: kilobytes.txt (`du -sc`) and
    line_counts.txt (`wc -l`), with kilobytes_filtered.txt and line_counts_filtered.txt beside them. Tables come as
    Markdown, LaTeX, CSV and JSON, figures as PNG, PDF and SVG.

    [bold]Examples[/]

    octopack data report raw-statistics --filtered ft-statistics -o report

    octopack data report octopack/visuals -o report                   the paper's own numbers
    """
    from octopack_data.report import write_report

    with opt.user_errors():
        titles = [name.strip() for name in names.split(",")]
        if len(titles) != 2 or not all(titles):
            raise DataError(f"--names {names}: give two names, such as CommitPack,CommitPackFT")
        written = write_report(raw, filtered, (titles[0], titles[1]), output)
        _print(f"{len(written)} files in {output}: {', '.join(sorted({path.stem for path in written}))}")
        if not any(path.stem.startswith("tasks") for path in written):
            _print("kinds of task are not drawn: these statistics do not count them")


def _ask_model(units: Any, base_url: str, model: str, size: int, seed: int) -> Mapping[str, int]:
    from rich.console import Console

    from octopack_data.classification import ModelClassifier
    from octopack_data.statistics import category_names, draw_subjects

    subjects = draw_subjects(units, size, seed)
    classifier = ModelClassifier(base_url, model, category_names())
    with Console(stderr=True).status(f"asking {model} about {len(subjects)} messages") as status:
        return classifier.count(subjects, lambda done: status.update(f"{done} of {len(subjects)} messages"))
