"""`octopack data commitpack ...`: from the public tables to a published data set, a command for each step."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from octopack_data import options as opt
from octopack_data.errors import DataError

if TYPE_CHECKING:
    from octopack_data.commitpack.metadata import Rules

commitpack_app = typer.Typer(
    name="commitpack",
    help="Build CommitPack: choose commits, scrape their files, attach licences and languages, shard, publish.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


class EngineName(str, Enum):
    """Where the five queries run."""

    DUCKDB = "duckdb"
    BIGQUERY = "bigquery"


class ReadingName(str, Enum):
    """Names of the readings (kept here, as all names below, so that `--help` loads nothing)."""

    INTENDED = "intended"
    LITERAL = "literal"


class StrategyName(str, Enum):
    """Names of the ways to fetch."""

    AUTO = "auto"
    FULL = "full"
    BLOBLESS = "blobless"


class DecodingName(str, Enum):
    """Names of the ways to decode."""

    STRICT = "strict"
    IGNORE = "ignore"


class PolicyName(str, Enum):
    """Names of the opt-out policies."""

    STRICT = "strict"
    SCRIPTS = "scripts"


class LookupName(str, Enum):
    """Names of the language look-ups."""

    LONGEST = "longest"
    USED = "used"
    WRITTEN = "written"


def register(data_app: typer.Typer) -> None:
    """Add `octopack data commitpack`."""
    data_app.add_typer(commitpack_app, name="commitpack")


_TABLE_HELP = "The public table {}: a parquet or JSON lines file, or a folder of them."


@commitpack_app.command()
def metadata(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the results (duckdb).")] = None,
    engine: Annotated[EngineName, typer.Option(help="Run the queries here (duckdb) or in BigQuery.")] = (
        EngineName.DUCKDB
    ),
    languages: Annotated[Path | None, typer.Option(help=_TABLE_HELP.format("languages"))] = None,
    licenses: Annotated[Path | None, typer.Option(help=_TABLE_HELP.format("licenses"))] = None,
    commits: Annotated[Path | None, typer.Option(help=_TABLE_HELP.format("commits"))] = None,
    rules: Annotated[
        Path | None, typer.Option(help="YAML with other licences, languages or message rules than the paper's.")
    ] = None,
    reading: Annotated[
        ReadingName, typer.Option(help="The mended queries, or the reference's as written.")
    ] = ReadingName.INTENDED,
    count_all_entries: Annotated[
        bool, typer.Option("--count-all-entries", help="Renamed files count too: one file in all, as the paper says.")
    ] = False,
    rows_per_shard: Annotated[int, typer.Option(help="Rows of an output shard, about.", min=1)] = 50_000,
    memory: Annotated[str, typer.Option(help="Memory for DuckDB before it spills to disk, such as 8GB.")] = "",
    threads: Annotated[int, typer.Option(help="Threads for DuckDB; 0 takes all.", min=0)] = 0,
    reasons: Annotated[bool, typer.Option("--reasons", help="Also count why commits were dropped.")] = False,
    project: Annotated[str, typer.Option(help="Google Cloud project (bigquery).")] = "",
    dataset: Annotated[str, typer.Option(help="Beginning of the names of the five data sets (bigquery).")] = (
        "commitpack"
    ),
    max_dollars: Annotated[float, typer.Option(help="Start no stage that costs more (bigquery).", min=0)] = 50.0,
    export: Annotated[str, typer.Option(help="gs://BUCKET/FOLDER/name-*.parquet for the result (bigquery).")] = "",
    dry_run: opt.DryRun = False,
    show_sql: Annotated[bool, typer.Option("--show-sql", help="Print the five queries for the engine.")] = False,
    explain: opt.Explain = "",
) -> None:
    """Choose the commits: five SQL stages over the public tables of GitHub's repositories.

    The same SQL runs in BigQuery and, over exports of the tables, in DuckDB on this machine. The result are parquet
    shards sorted by repository, ready for [bold]scrape[/]. A stage with the same query and input is not run again.

    [bold]Examples[/]

    octopack data commitpack metadata --languages languages/ --licenses licenses/ --commits commits/ -o meta

    octopack data commitpack metadata --engine bigquery --project my-project --dry-run        what would it cost?

    octopack data commitpack metadata --engine bigquery --project my-project --export 'gs://bucket/meta/*.parquet'

    octopack data commitpack metadata ... -o meta --explain 9a471ac9012edf6c72221b83d781b7dd29dc4b8c
    """
    from dataclasses import replace

    from octopack_data.commitpack.metadata import STAGES, Reading, default_rules, load_rules, stage_query

    with opt.user_errors():
        chosen = load_rules(rules) if rules else default_rules()
        chosen = replace(
            chosen,
            reading=Reading(reading.value),
            count_all_entries=count_all_entries or chosen.count_all_entries,
        )
        if show_sql:
            for stage in STAGES:
                print(f"-- {stage.title}\n{stage_query(stage, chosen, engine.value, {}).sql};\n")  # noqa: T201
            return
        if engine is EngineName.BIGQUERY:
            _metadata_in_bigquery(chosen, project, dataset, max_dollars, export, dry_run)
            return
        _metadata_in_duckdb(
            chosen, output, languages, licenses, commits, rows_per_shard, memory, threads, reasons, dry_run, explain
        )


def _metadata_in_bigquery(
    rules: Rules, project: str, dataset: str, max_dollars: float, export: str, dry_run: bool
) -> None:
    from rich.console import Console

    from octopack_data.commitpack.bigquery_engine import BigQueryEngine, connect, describe
    from octopack_data.commitpack.metadata import STAGES

    console = Console(stderr=True)
    engine = BigQueryEngine(connect(project), dataset, rules, max_dollars=max_dollars)
    if dry_run:
        for stage in STAGES:
            there = engine.is_done(stage)
            console.print(
                f"{stage.title:<14} {'there already' if there else describe(engine.cost(stage))}", highlight=False
            )
        return
    engine.run(report=lambda line: console.print(line, highlight=False, soft_wrap=True))
    if export:
        engine.export(export)
        console.print(f"written to {opt.plain(export)}", highlight=False, soft_wrap=True)


def _metadata_in_duckdb(
    rules: Rules,
    output: Path | None,
    languages: Path | None,
    licenses: Path | None,
    commits: Path | None,
    rows_per_shard: int,
    memory: str,
    threads: int,
    reasons: bool,
    dry_run: bool,
    explain: str,
) -> None:
    from rich.console import Console
    from rich.table import Table

    from octopack_data.commitpack.duckdb_engine import DuckDBEngine, Sources, find_table_files
    from octopack_data.commitpack.metadata import LITERAL_REASONS, REASONS, STAGES

    if output is None or languages is None or licenses is None or commits is None:
        raise DataError("with --engine duckdb give --languages, --licenses, --commits and --output")
    sources = Sources(
        find_table_files(languages, "languages"),
        find_table_files(licenses, "licenses"),
        find_table_files(commits, "commits"),
    )
    console = Console(stderr=True)
    words = REASONS | LITERAL_REASONS
    engine = DuckDBEngine(output, rules, memory, threads)
    if explain:
        reason = engine.explain(sources, explain)
        why = "kept" if reason is None else f"dropped by {reason} ({words[reason]})"
        console.print(f"{opt.plain(explain)}: {why}", highlight=False, soft_wrap=True)
        return
    if dry_run:
        for name in ("languages", "licenses", "commits"):
            size = sum(file.stat().st_size for file in sources.files(name))
            console.print(f"{name:<10} {len(sources.files(name))} file(s), {size / 1e6:,.1f} MB", highlight=False)
        console.print(f"stages     {', '.join(stage.title for stage in STAGES)}", highlight=False)
        console.print(f"output     {opt.plain(str(output))}", highlight=False, soft_wrap=True)
        return
    with console.status("starting") as status:
        result = engine.run(
            sources, rows_per_shard=rows_per_shard, count_reasons=reasons, report=lambda line: status.update(line)
        )
    table = Table(title="rows after each stage", title_justify="left")
    for name in ("stage", "rows", "commits"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for stage in result.stages:
        there = " (there already)" if stage.reused else ""
        table.add_row(stage.stage.title + there, f"{stage.rows:,}", f"{stage.commits:,}")
    Console().print(table)
    for reason, count in (result.reasons or {}).items():
        console.print(f"{count:>12,}  {words.get(reason, reason)}", highlight=False, soft_wrap=True)
    place = opt.plain(str(output))
    if result.broken:
        console.print(f"{result.broken:,} broken line(s) kept aside in {place}/_broken", soft_wrap=True)
    console.print(f"{result.stages[-1].rows:,} commits in {len(result.shards)} shard(s) in {place}", soft_wrap=True)


@commitpack_app.command()
def group(
    inputs: opt.Inputs,
    output: opt.Output,
    rows_per_shard: Annotated[int, typer.Option(help="Rows of an output shard, about.", min=1)] = 50_000,
    memory: Annotated[str, typer.Option(help="Memory for DuckDB before it spills to disk, such as 8GB.")] = "",
    threads: Annotated[int, typer.Option(help="Threads for DuckDB; 0 takes all.", min=0)] = 0,
) -> None:
    """Sort metadata from elsewhere (BigQuery, the published CommitPackMeta) by repository into shards for scraping.

    Scraping fetches the commits of a repository together, so they should lie in one shard.

    [bold]Example[/]

    octopack data commitpack group hf://datasets/bigcode/commitpackmeta -o meta
    """
    with opt.user_errors():
        from rich.console import Console

        from octopack_data.commitpack.duckdb_engine import group_by_repository
        from octopack_data.sources import units_of

        files = [file for unit in units_of(inputs) for file in unit.inputs]
        console = Console(stderr=True)
        with console.status("sorting by repository"):
            shards = group_by_repository(files, output, rows_per_shard=rows_per_shard, memory=memory, threads=threads)
        console.print(f"{len(shards)} shard(s) in {opt.plain(str(output))}", soft_wrap=True)


@commitpack_app.command()
@opt.takes_run_options("keep_dropped")
def scrape(
    inputs: opt.Inputs,
    remote: Annotated[str, typer.Option(help="URL of a repository, with {repo} for owner/name.")] = (
        "https://github.com/{repo}.git"
    ),
    allow_protocol: Annotated[
        list[str] | None, typer.Option(help="Also speak this protocol (http, git, file); give it for each.")
    ] = None,
    token_variable: Annotated[
        str, typer.Option(help="Environment variable that holds a token for the host; it is stored nowhere.")
    ] = "",
    connections: Annotated[int, typer.Option(help="Requests under way at a time, in each process.", min=1)] = 8,
    requests_per_second: Annotated[
        float,
        typer.Option(help="Requests that may start in a second, over all processes here; 0: no limit.", min=0),
    ] = 0.0,
    attempts: Annotated[int, typer.Option(help="Tries of a request whose failure may pass.", min=1)] = 5,
    backoff: Annotated[float, typer.Option(help="Seconds before the second try; doubled each time.", min=0)] = 2.0,
    timeout: Annotated[float, typer.Option(help="Seconds for one git command.", min=1)] = 120.0,
    max_file_bytes: Annotated[int, typer.Option(help="Larger files are recorded as too_large.", min=1)] = 10 << 20,
    max_transfer_bytes: Annotated[int, typer.Option(help="Largest transfer.", min=1 << 16)] = 512 << 20,
    full_bytes: Annotated[
        int, typer.Option(help="Transfer above which `auto` fetches without file contents.", min=1 << 16)
    ] = 32 << 20,
    strategy: Annotated[
        StrategyName, typer.Option(help="Fetch whole snapshots, or folders and then two files a commit.")
    ] = StrategyName.AUTO,
    decoding: Annotated[
        DecodingName, typer.Option(help="Record files that are not UTF-8 as failures, or leave bytes out.")
    ] = DecodingName.STRICT,
    no_follow_renames: Annotated[
        bool, typer.Option("--no-follow-renames", help="Do not follow a renamed repository on the same host.")
    ] = False,
    max_repositories: Annotated[int, typer.Option(help="Repositories of a row that are tried, in order.", min=1)] = 12,
    commits_per_fetch: Annotated[int, typer.Option(help="Most commits in one request.", min=1, max=2000)] = 256,
    no_prefilters: Annotated[
        bool,
        typer.Option("--no-prefilters", help="Keep unlisted extensions, 'Update <file>' and noise messages."),
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="The input is an earlier _dropped/; try passing failures again.")
    ] = False,
    *,
    run: opt.RunOptions,
) -> None:
    """Fetch the file before and after each commit.

    Commits of one repository are fetched together. When the first repository of a row fails, the others are tried in
    order. Rows without contents go to _dropped/ with the reason, git's words and what was tried. Interrupted, even by
    kill -9, the same command continues where it was.

    [bold]Examples[/]

    octopack data commitpack scrape meta -o raw --token-variable GITHUB_TOKEN --workers 4 --requests-per-second 20

    octopack data commitpack scrape meta -o raw --shard 3/64             part 3 of a job array

    octopack data commitpack scrape raw/_dropped -o raw-again --retry    what timed out or was rate-limited

    octopack data commitpack scrape meta -o raw --explain 1f3a...        scrape one commit and say what came of it
    """
    with opt.user_errors():
        from octopack_data.commitpack.git import Limits, Remote
        from octopack_data.commitpack.hosts import Pace
        from octopack_data.commitpack.scrape import ScrapeStep
        from octopack_data.commitpack.scraper import Decoding, Strategy
        from octopack_data.pipeline import cpu_count
        from octopack_data.sources import units_of

        place = Remote(remote, tuple(dict.fromkeys(("https", *(allow_protocol or ())))), token_variable)
        place.check()
        if full_bytes > max_transfer_bytes:
            raise DataError(f"--full-bytes {full_bytes} is above --max-transfer-bytes {max_transfer_bytes}")
        units = units_of(inputs)
        processes = max(1, min(run.workers or cpu_count(), len(units)))
        step = ScrapeStep(
            remote=place,
            limits=Limits(max_file_bytes, max_transfer_bytes, full_bytes, timeout),
            pace=Pace(requests_per_second / processes, connections, attempts, backoff),
            strategy=Strategy(strategy.value),
            decoding=Decoding(decoding.value),
            follow_renames=not no_follow_renames,
            max_repositories=max_repositories,
            group=commits_per_fetch,
            prefilters=not no_prefilters,
            retry=retry,
            limit=run.limit,
        )
        opt.run_step(step, units, replace(run, keep_dropped=True))


@commitpack_app.command("opt-out")
@opt.takes_run_options()
def opt_out(
    inputs: opt.Inputs,
    logins: Annotated[Path, typer.Option(help="File of opted-out logins, one a line.", show_default=False)],
    policy: Annotated[
        PolicyName, typer.Option(help="Remove all their repositories, or only rows that name just one (as published).")
    ] = PolicyName.STRICT,
    *,
    run: opt.RunOptions,
) -> None:
    """Leave out the repositories of owners who opted out.

    [bold]Examples[/]

    octopack data commitpack opt-out raw -o opted --logins opted_out.txt

    octopack data commitpack opt-out raw -o opted --logins opted_out.txt --policy scripts
    """
    with opt.user_errors():
        from octopack_data.commitpack.opt_out import OptOutStep, Policy, load_logins
        from octopack_data.sources import units_of

        step = OptOutStep(load_logins(logins), Policy(policy.value))
        opt.run_step(step, units_of(inputs), run)


@commitpack_app.command()
@opt.takes_run_options()
def licenses(
    inputs: opt.Inputs,
    table: Annotated[
        Path | None, typer.Option(help="Licences of repositories; without it the column `license` of the rows counts.")
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="Allowed licence, once for each; default: the paper's twelve.")
    ] = None,
    keep_unknown: Annotated[
        bool, typer.Option("--keep-unknown", help="Keep rows without a known licence, as the published data do.")
    ] = False,
    *,
    run: opt.RunOptions,
) -> None:
    """Give each row the licence of its repository; keep the allowed ones.

    [bold]Examples[/]

    octopack data commitpack licenses opted -o licensed --table licenses.jsonl

    octopack data commitpack licenses opted -o permissive --allow mit --allow apache-2.0 --allow bsd-3-clause
    """
    with opt.user_errors():
        from octopack_data.commitpack.licenses import LicensesStep
        from octopack_data.commitpack.metadata import default_rules
        from octopack_data.sources import units_of

        step = LicensesStep(table, tuple(allow) if allow else default_rules().licenses, keep_unknown)
        opt.run_step(step, units_of(inputs), run)


@commitpack_app.command()
@opt.takes_run_options()
def languages(
    inputs: opt.Inputs,
    lookup: Annotated[
        LookupName,
        typer.Option(
            help="Longest listed suffix; as the published data were made; or as the reference's script reads."
        ),
    ] = LookupName.LONGEST,
    table: Annotated[Path | None, typer.Option(help="JSON of languages and their suffixes, for the built-in one.")] = (
        None
    ),
    drop_unknown: Annotated[bool, typer.Option("--drop-unknown", help="Drop rows in no listed language.")] = False,
    *,
    run: opt.RunOptions,
) -> None:
    """Name each row's language by the suffix of its file, and put each language into a folder of its own.

    [bold]Examples[/]

    octopack data commitpack languages licensed -o by-language --workers 8

    octopack data commitpack languages licensed -o by-language --lookup used
    """
    with opt.user_errors():
        from octopack_data.commitpack.languages import LanguagesStep, Lookup, load_table
        from octopack_data.sources import units_of

        step = LanguagesStep(Lookup(lookup.value), load_table(table) if table else None, not drop_unknown)
        opt.run_step(step, units_of(inputs), run)


@commitpack_app.command("shard")
@opt.takes_run_options("keep_dropped", "explain")
def cut_shards(
    inputs: opt.Inputs,
    max_bytes: Annotated[
        int, typer.Option(help="Bytes of a shard's lines, before compression; published: 500 MiB.", min=1)
    ] = 500 * 1024 * 1024,
    all_columns: Annotated[
        bool, typer.Option("--all-columns", help="Keep columns that the published data set does not have.")
    ] = False,
    *,
    run: opt.RunOptions,
) -> None:
    """Cut each language into shards of limited size: python/python-0001.jsonl, python/python-0002.jsonl, ...

    The input is the folder that [bold]languages[/] wrote. manifest.json lists every file, its size and content hash.

    [bold]Examples[/]

    octopack data commitpack shard by-language -o commitpack

    octopack data commitpack shard by-language -o commitpack --format jsonl.zst --workers 8
    """
    with opt.user_errors():
        from octopack_data.commitpack.shard import ShardStep, units_by_language
        from octopack_data.sources import resolve

        units = units_by_language([resolve(source) for source in inputs])
        opt.run_step(ShardStep(max_bytes, all_columns), units, run)


@commitpack_app.command()
def publish(
    folder: Annotated[Path, typer.Argument(help="Output of `shard`.", show_default=False)],
    push: Annotated[str, typer.Option(help="Data set on the hub, ORG/NAME.", metavar="ORG/NAME")] = "",
    private: Annotated[bool, typer.Option("--private", help="Make it private when it is new.")] = False,
    token_variable: Annotated[
        str, typer.Option(help="Environment variable with the hub's token; default: the one you are logged in with.")
    ] = "",
    verify: Annotated[bool, typer.Option(help="Read every file and compare it with the manifest first.")] = True,
    dry_run: opt.DryRun = False,
) -> None:
    """Upload the shards and a card with their statistics to the Hugging Face hub; without --push, show what would go.

    Files that the hub has already are not uploaded again.

    [bold]Examples[/]

    octopack data commitpack publish commitpack --push my-org/commitpack --dry-run

    octopack data commitpack publish commitpack --push my-org/commitpack --private
    """
    with opt.user_errors():
        from rich.console import Console

        from octopack_data.commitpack.publish import connect, dataset_card, push_folder, read_folder

        console = Console(stderr=True)
        if push and (push.count("/") != 1 or not all(push.split("/"))):
            raise DataError(f"--push {push}: expected ORG/NAME")
        found = read_folder(folder, verify=verify)
        if dry_run or not push:
            for language in found.languages:
                for file in language.files:
                    console.print(f"{file.size:>14,}  data/{opt.plain(file.path)}", highlight=False)
            console.print(f"{found.size:>14,}  bytes, {found.rows:,} rows, and this README.md:\n", highlight=False)
            Console().print(dataset_card(found, push or "ORG/NAME"), markup=False, highlight=False, soft_wrap=True)
            return
        uploaded = push_folder(
            found,
            push,
            connect(token_variable),
            private=private,
            report=lambda line: console.print(opt.plain(line), highlight=False),
        )
        console.print(f"{uploaded} file(s) uploaded to {opt.plain(push)}", highlight=False)
