"""`octopack evaluate`, `generate`, `score`, `merge`, `status`, `compare`, `report` and `presets`."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from octopack_tasks.terminal import printable

if TYPE_CHECKING:
    from rich.console import Console

    from octopack_tasks.comparison import Comparison
    from octopack_tasks.evaluation import ModelChoice, TaskStatus
    from octopack_tasks.generation import Sampling
    from octopack_tasks.judging import Progress
    from octopack_tasks.plans import Plan, TaskPlan
    from octopack_tasks.presets import Preset
    from octopack_tasks.results import Results
    from octopack_tasks.runs import Run
    from octopack_tasks.tasks import Task

# ruff: noqa: UP045 - typer on Python 3.10 reads Optional only


def register(application: typer.Typer) -> None:
    """Add the commands to `application`."""
    from octopack_tasks.report.command import report

    application.command("evaluate")(evaluate)
    application.command("generate")(generate)
    application.command("score")(score)
    application.command("merge")(merge)
    application.command("status")(status)
    application.command("compare")(compare)
    application.command("report")(report)
    application.command("presets")(list_presets)


_Out = Annotated[Path, typer.Option(help="Folder of the run; the same command goes on with an interrupted one.")]
_Dataset = Annotated[
    Optional[str],
    typer.Option(
        help="Folder of <language>.jsonl files, name on the Hugging Face hub, or `starter` (built in).",
        envvar="OCTOPACK_DATASET",
        show_default="bigcode/humanevalpack",
    ),
]
_Reading = Annotated[
    str,
    typer.Option(
        help="How completions are read: `paper` is exactly the reference, `corrected` what was meant, or `both`."
    ),
]
_Ks = Annotated[
    Optional[list[int]], typer.Option("--k", help="k of pass@k; may be repeated.", show_default="1, 10, 100")
]
_Sandbox = Annotated[Optional[str], typer.Option(help="auto, docker, bubblewrap or ray.", show_default="auto")]
_Workers = Annotated[Optional[int], typer.Option(help="Programs judged at a time.", show_default="one a core")]
_Cache = Annotated[
    bool, typer.Option("--verdict-cache/--no-verdict-cache", help="Whether verdicts may come from the cache.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def evaluate(
    tasks: Annotated[
        list[str], typer.Option(help="Tasks, groups or patterns such as 'humanevalfix*-go', comma-separated.")
    ],
    out: _Out,
    model: Annotated[
        Optional[str],
        typer.Option(help="Hub name or folder; openai: the server's name; replay: canonical, buggy, or a run."),
    ] = None,
    backend: Annotated[
        Optional[str], typer.Option(help="vllm, transformers, openai or replay.", show_default="vllm")
    ] = None,
    preset: Annotated[Optional[str], typer.Option(help="Settings of the paper; see `octopack presets`.")] = None,
    model_args: Annotated[
        Optional[str], typer.Option(help="Options of the backend: dtype=bfloat16,tensor_parallel_size=2")
    ] = None,
    revision: Annotated[Optional[str], typer.Option(help="Revision of the model on the hub.")] = None,
    prompt: Annotated[Optional[str], typer.Option(help="Prompt format.", show_default="instruct")] = None,
    n_samples: Annotated[Optional[int], typer.Option(help="Completions a problem.", show_default="1")] = None,
    temperature: Annotated[Optional[float], typer.Option(help="0 is greedy.", show_default="0.2")] = None,
    top_p: Annotated[Optional[float], typer.Option(show_default="0.95")] = None,
    top_k: Annotated[Optional[int], typer.Option(help="0 is no top-k.", show_default="0")] = None,
    seed: Annotated[Optional[int], typer.Option(show_default="0")] = None,
    max_length: Annotated[
        Optional[int], typer.Option(help="Most tokens of prompt and completion.", show_default="2048")
    ] = None,
    max_new_tokens: Annotated[Optional[int], typer.Option(help="Most tokens of a completion.")] = None,
    dataset: _Dataset = None,
    limit: Annotated[Optional[int], typer.Option(help="Only the first problems of each task.")] = None,
    descriptions: Annotated[
        Optional[Path],
        typer.Option(
            "--descriptions",
            "--load-data-path",
            help="What explaindescribe wrote, for explainsynthesize: a run, lm-eval's samples or the reference's file.",
        ),
    ] = None,
    stop: Annotated[
        Optional[str],
        typer.Option(
            help="`paper` ends a completion when its function ends, `never` at the limit only.",
            show_default="paper; never for evaluate --reading corrected or both",
        ),
    ] = None,
    too_long: Annotated[
        str, typer.Option(help="Prompts that leave no room for an answer: `fail`, or `skip` them.")
    ] = "fail",
    tasks_shard: Annotated[
        Optional[str], typer.Option(help="i/n: only this part, for a Slurm array; `octopack merge` joins them.")
    ] = None,
    executor: Annotated[
        str, typer.Option(help="`local`, or `ray`: copies of the model on an existing Ray cluster.")
    ] = "local",
    reading: _Reading = "paper",
    k: _Ks = None,
    sandbox: _Sandbox = None,
    workers: _Workers = None,
    cache: _Cache = True,
    as_json: _Json = False,
) -> None:
    """Generate, run and score, in one go; again and again until it is done.

    Examples:
        octopack evaluate --model bigcode/octocoder --preset octocoder --tasks humanevalfix --out runs/octocoder

        octopack evaluate --backend replay --model canonical --tasks humanevalfixtests --dataset starter --out runs/try

        octopack evaluate --backend openai --model my-model --model-args base_url=http://localhost:8000/v1
        --prompt chat --tasks humanevalexplain-python --out runs/chat
    """
    options = {name: value for name, value in locals().items() if name in _GENERATING}
    from octopack_tasks.evaluation import generate_and_score, opened_sandbox, partial_open, start
    from octopack_tasks.evaluation import score as score_run
    from octopack_tasks.judging import note_environment
    from octopack_tasks.plans import TooLong
    from octopack_tasks.readings import get_readings
    from octopack_tasks.results import check_ks

    readings = get_readings(reading)
    if any(each.needs_whole_completions for each in readings):
        options["stop"] = stop or "never"
        if stop == "paper":
            raise _user_error(f"--reading {reading} looks at whole completions: leave out --stop paper")
    plan, chosen = _plan_and_model(**options)
    skip_or_fail = _choice(TooLong, too_long, "--too-long")
    works = plan.load()
    check_ks([(work.task, work.plan.n_samples) for work in works], k)
    with (
        _part_of(out, plan).locked() as run,
        _progress_bars(run) as progress,
        opened_sandbox(works, sandbox, workers, cache=cache) as judge,
    ):
        start(run, plan, works, chosen)
        if judge is not None:
            for each in readings:
                note_environment(run, each, judge)
        generate_and_score(
            run,
            plan,
            works,
            partial_open(chosen, plan.sampling),
            judge,
            reading=readings[0],
            too_long=skip_or_fail,
            progress=progress,
        )
        if judge is not None:
            for each in readings[1:]:
                score_run(run, works, judge, reading=each, progress=progress)
        results = _summaries(run, [each.name for each in readings], k)
    _print_results(results, run.folder, as_json=as_json)


_SCORING = ("reading", "k", "sandbox", "workers", "cache", "as_json")
_GENERATING = tuple(
    name for name in inspect.signature(evaluate).parameters if name not in (*_SCORING, "out", "too_long")
)


def generate(*, out: Path, too_long: str, **options: Any) -> None:
    """Generate without scoring; `octopack score` does the other half, here or elsewhere.

    Example:
        octopack generate --model bigcode/octocoder --preset octocoder --tasks humanevalfix --out runs/octocoder
    """
    from octopack_tasks.evaluation import generate as generate_run
    from octopack_tasks.evaluation import partial_open, start
    from octopack_tasks.plans import TooLong

    plan, chosen = _plan_and_model(**options)
    skip_or_fail = _choice(TooLong, too_long, "--too-long")
    works = plan.load()
    with _part_of(out, plan).locked() as run, _progress_bars(run) as progress:
        start(run, plan, works, chosen)
        generate_run(run, plan, works, partial_open(chosen, plan.sampling), too_long=skip_or_fail, progress=progress)
    typer.echo(f"completions: {run.folder} (score them with `octopack score {run.folder}`)")


# The options of `generate` are those of `evaluate` but for scoring, written down once.
_options = inspect.signature(evaluate, eval_str=True).parameters.values()
generate.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in _options if option.name not in _SCORING]
)
generate.__annotations__ = {option.name: option.annotation for option in _options if option.name not in _SCORING}


def _plan_and_model(
    *,
    tasks: list[str],
    model: str | None,
    backend: str | None,
    preset: str | None,
    model_args: str | None,
    revision: str | None,
    prompt: str | None,
    n_samples: int | None,
    temperature: float | None,
    top_p: float | None,
    top_k: int | None,
    seed: int | None,
    max_length: int | None,
    max_new_tokens: int | None,
    dataset: str | None,
    limit: int | None,
    descriptions: Path | None,
    stop: str | None,
    tasks_shard: str | None,
    executor: str,
) -> tuple[Plan, ModelChoice]:
    """What a user asked for, with a preset's settings where the user gave none."""
    import dataclasses

    from octopack_tasks.evaluation import ModelChoice
    from octopack_tasks.generation import BACKENDS, Sampling, Stop
    from octopack_tasks.plans import Plan, Shard, TaskPlan
    from octopack_tasks.presets import get_preset
    from octopack_tasks.problems import lasting_dataset_name
    from octopack_tasks.tasks import find_tasks

    chosen = get_preset(preset) if preset else None
    name = model or (chosen.model if chosen else None)
    if name is None:
        raise _user_error("name a model with --model, or a preset with --preset")
    runs_on = backend or (chosen.backend if chosen else "vllm")
    if runs_on not in BACKENDS:
        raise _user_error(f"unknown --backend {runs_on!r}; there are: {', '.join(BACKENDS)}")
    drawn = {"temperature": temperature, "top_p": top_p, "top_k": top_k, "seed": seed}
    given: dict[str, Any] = {key: value for key, value in drawn.items() if value is not None}
    asked = {"prompt": prompt, "n_samples": n_samples, "max_length": max_length, "max_new_tokens": max_new_tokens}
    settings: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    found = find_tasks(part.strip() for text in tasks for part in text.split(",") if part.strip())
    planned: list[TaskPlan] = [
        chosen.task_plan(task, **settings) if chosen else TaskPlan(task.name, **settings) for task in found
    ]
    sampling: Sampling = dataclasses.replace(chosen.sampling if chosen else Sampling(), **given)
    if sampling.is_greedy and any(plan.n_samples > 1 for plan in planned):
        typer.echo("octopack: --temperature 0 makes all samples of a problem the same", err=True)
    plan = Plan(
        tuple(planned),
        lasting_dataset_name(dataset),
        sampling,
        _choice(Stop, stop or "paper", "--stop"),
        limit,
        Shard.parse(tasks_shard) if tasks_shard else None,
        str(descriptions) if descriptions else None,
    )
    options = {**(chosen.options(runs_on) if chosen else {}), **_model_options(model_args)}
    if executor not in ("local", "ray"):
        raise _user_error(f"unknown --executor {executor!r}; there are: local, ray")
    if executor == "ray":
        options = {"backend": runs_on, **options}
    return plan, ModelChoice("ray" if executor == "ray" else runs_on, name, revision, options)


def _model_options(text: str | None) -> dict[str, Any]:
    """Read `key=value,key=value`; numbers, true, false and JSON values are taken as such."""
    options: dict[str, Any] = {}
    for part in _split(text or ""):
        key, equals, value = part.partition("=")
        if not (key.strip() and equals):
            raise _user_error(f"--model-args must be key=value,key=value; {part!r} is not")
        try:
            options[key.strip()] = json.loads(value)
        except ValueError:
            options[key.strip()] = value
    return options


def _split(text: str) -> Iterator[str]:
    """The parts between commas, except commas within JSON brackets."""
    depth, part = 0, ""
    for character in text:
        depth += (character in "[{") - (character in "]}")
        if character == "," and not depth:
            yield part
            part = ""
        else:
            part += character
    if part:
        yield part


def _part_of(out: Path, plan: Plan) -> Run:
    """The folder of a run; shards of one lie beside each other in it."""
    from octopack_tasks.runs import Run

    return Run(out / f"shard-{plan.shard.index}-of-{plan.shard.count}" if plan.shard else out)


def score(
    context: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="A run; or files or folders of completions: the reference's generations_<task>.json, lm-eval's "
            "samples_<task>_*.jsonl, JSON Lines of {task_id, completion}.",
        ),
    ],
    out: Annotated[Optional[Path], typer.Option(help="Keep what is scored as a run in this folder.")] = None,
    tasks: Annotated[Optional[str], typer.Option(help="The task, where the file does not tell it.")] = None,
    prompt: Annotated[
        Optional[str], typer.Option(help="Prompt format of the completions.", show_default="as recorded, or instruct")
    ] = None,
    dataset: _Dataset = None,
    limit: Annotated[
        Optional[int], typer.Option(help="The reference's files: only the first problems were asked.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Judge anew what is judged already.")] = False,
    reading: _Reading = "paper",
    k: _Ks = None,
    sandbox: _Sandbox = None,
    workers: _Workers = None,
    cache: _Cache = True,
    as_json: _Json = False,
) -> None:
    """Run and score completions, wherever they come from; all languages at once.

    Examples:
        octopack score runs/octocoder

        octopack score generations_humanevalfixtests-python.json --out runs/rescored

        octopack score samples.jsonl --tasks humanevalsynthesize-go --dataset humanevalpack
    """
    import tempfile

    from octopack_tasks.evaluation import (
        check_reading,
        fewest_samples,
        import_recordings,
        load,
        opened_sandbox,
        relocate,
    )
    from octopack_tasks.evaluation import score as score_run
    from octopack_tasks.readings import get_readings
    from octopack_tasks.recordings import read_recordings
    from octopack_tasks.results import check_ks
    from octopack_tasks.runs import Run

    readings = get_readings(reading)
    is_run = len(paths) == 1 and Run(paths[0]).exists
    if is_run and (out or tasks or prompt or limit):
        raise _user_error(
            f"{paths[0]} is a run, which says itself what it answers: drop --out, --tasks, --prompt, --limit"
        )
    recordings = [] if is_run else read_recordings(paths, dataset, tasks, prompt, limit)
    if recordings:  # what cannot be is said before anything is written
        _check_executed(recording.task for recording in recordings)
        check_ks([(recording.task, recording.fewest_samples) for recording in recordings], k)
    with (
        tempfile.TemporaryDirectory() as scratch,
        Run(paths[0] if is_run else out or Path(scratch)).locked() as run,
        _progress_bars() as progress,
    ):
        if recordings:
            import_recordings(run, recordings, dataset, sys.argv)
        elif dataset is not None and is_typed(context, "dataset"):
            relocate(run, dataset)
        works = load(run)
        if is_run:
            _check_executed(work.task for work in works)
            check_ks(((work.task, fewest_samples(run, work)) for work in works), k)
            for each in readings:
                check_reading(run, each)
        with opened_sandbox(works, sandbox, workers, cache=cache) as judge:
            assert judge is not None
            for each in readings if again else ():
                run.drop_judgements(each.name)
            for each in readings:
                score_run(run, works, judge, reading=each, progress=progress)
        results = _summaries(run, [each.name for each in readings], k)
    _print_results(results, run.folder if is_run or out else None, as_json=as_json)


def _check_executed(tasks: Iterable[Task]) -> None:
    if not any(task.is_executed for task in tasks):
        raise _user_error("descriptions have no tests: evaluate humanevalexplainsynthesize with --descriptions")


def is_typed(context: typer.Context, option: str) -> bool:
    """Whether an option stands on the command line; otherwise its value may come from the environment."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def _summaries(run: Run, readings: Sequence[str], ks: Sequence[int] | None) -> list[Results]:
    from octopack_tasks.evaluation import load
    from octopack_tasks.results import file_of, summarize

    works = load(run)
    found = [summarize(run, works, reading, ks or None) for reading in readings]
    for reading, results in zip(readings, found, strict=True):
        run.write_json(file_of(reading), results.to_json())
    return found


def merge(
    parts: Annotated[
        list[Path], typer.Argument(metavar="PART...", help="Runs, or parts of a generations file of the reference.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the whole run; a .json file for generations.")],
) -> None:
    """Put the shards of a run together (or generations files, in the order of the numbers in their names).

    Examples:
        octopack merge runs/octocoder/shard-* --out runs/whole

        octopack merge generations_fix_*.json --out generations_humanevalfixtests-python.json
    """
    from octopack_tasks.merging import merge as merge_runs
    from octopack_tasks.recordings import merged_generations
    from octopack_tasks.runs import Run, write_json

    if all(part.suffix == ".json" for part in parts):
        if out.exists():
            raise _user_error(f"{out} exists already; give another --out")
        contents = [(part, _read_json(part)) for part in parts]
        whole = merged_generations(contents)
        write_json(out, whole)
        samples = sum(map(len, whole))
        typer.echo(f"{out}: {samples} samples of {len(whole)} problems from {len(parts)} files")
        return
    runs = [Run(part) for part in parts]
    merge_runs(runs, Run(out))
    typer.echo(f"{out}: {len(runs)} runs")
    status(out)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _user_error(f"could not read {path}: {error}") from None


def status(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again until the run is complete.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks of --watch.")] = 2.0,
    as_json: _Json = False,
) -> None:
    """Say what a run has and what it lacks; exit code 1 while something is missing.

    With --watch: progress by task, pass@1 so far, tokens and programs a second, and the time left. It only reads, so it
    may be started and left (Ctrl-C) at any time, also on another machine that sees the folder.

    Examples:
        octopack status runs/octocoder

        octopack status runs/octocoder --watch
    """
    from octopack_tasks.runs import Run

    run = Run(folder)
    manifest = run.manifest
    if watch and as_json:
        raise _user_error("--watch is for people and --json for programs: choose one")
    if watch:
        from octopack_tasks.watch import watch as watch_run

        last = watch_run(run, _console(), every)
        is_complete, has_samples = last.is_complete, not last.samples_left
    else:
        found = _print_status(run, as_json=as_json)
        is_complete = all(task.is_complete for task in found)
        has_samples = all(task.samples == task.expected for task in found)
    if not (is_complete or as_json):
        mend = f"`octopack score {folder}` judges the rest" if has_samples else _what_completes(manifest)
        typer.echo("a process works on it" if run.is_in_use else printable(f"incomplete: {mend}"))
    if not is_complete:
        raise typer.Exit(1)


def _print_status(run: Run, *, as_json: bool) -> list[TaskStatus]:
    """Print what a run has."""
    import dataclasses

    from rich.table import Table
    from rich.text import Text

    from octopack_tasks.evaluation import load, status_of

    found = status_of(run, load(run))
    is_complete = all(task.is_complete for task in found)
    if as_json:
        tasks = [dataclasses.asdict(task) for task in found]
        typer.echo(json.dumps({"in_use": run.is_in_use, "complete": is_complete, "tasks": tasks}, indent=2))
        return found
    table = Table("task", "samples", "judged", "lack samples", title=Text(str(run.folder)), title_justify="left")
    for task in found:
        lacking = task.lacking
        table.add_row(
            task.task,
            f"{task.samples} of {task.expected}",
            "-" if task.judged is None else f"{task.judged} of {task.expected}",
            Text(printable(", ".join(lacking[:3])) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")),
        )
    _console().print(table)
    if is_complete:
        typer.echo("complete")
    return found


def _what_completes(manifest: Mapping[str, Any]) -> str:
    import shlex

    if parts := manifest.get("merged_from"):
        return f"run what its parts lack, then merge all of them again (merged from {shlex.join(parts)})"
    command = [Path(part).name if index == 0 else part for index, part in enumerate(manifest.get("command", []))]
    return f"run the command that began it again: {shlex.join(command)}"


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a run.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of another.")],
    reading: Annotated[str, typer.Option(help="The scores of which reading: `paper` or `corrected`.")] = "paper",
    show: Annotated[int, typer.Option(min=0, help="How many problems to show of each task.")] = 10,
    as_json: _Json = False,
) -> None:
    """Say why two scores differ: settings, environment, problem by problem, and whether it could be chance.

    Example: octopack compare runs/octocoder runs/octogeex
    """
    import dataclasses

    from octopack_tasks.comparison import compare as compare_runs
    from octopack_tasks.runs import Run

    comparison = compare_runs(Run(first), Run(second), reading)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(comparison), indent=2))
    else:
        _print_comparison(comparison, first, second, show)


def _print_comparison(comparison: Comparison, first: Path, second: Path, show: int) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = _console()
    if comparison.settings:
        console.print(f"what differs in {second} against {first}:", style="bold", markup=False)
        for line in comparison.settings:
            console.print(printable(f"  {line}"), markup=False)
    else:
        console.print("same settings, model, versions and environment", style="bold")
    names = escape(str(first)), escape(str(second))
    table = Table("task", "problems", *names, "difference", "p-value", "problems that differ")
    for task in comparison.tasks:
        table.add_row(
            task.task,
            str(task.problems),
            f"{task.first:.1%}",
            f"{task.second:.1%}",
            f"{task.second - task.first:+.1%}",
            f"{task.p_value:.3f}",
            str(len(task.flips)),
        )
    console.print(table)
    for task in comparison.tasks:
        for flip in task.flips[:show]:
            line = (
                f"  {task.task} {flip.problem}: {flip.first.correct}/{flip.first.samples} ({flip.causes[0]}) -> "
                f"{flip.second.correct}/{flip.second.samples} ({flip.causes[1]})"
            )
            console.print(printable(line), markup=False)
        if len(task.flips) > show:
            console.print(f"  {task.task}: {len(task.flips) - show} more (--show)", markup=False)
    for only, where in ((comparison.only_first, first), (comparison.only_second, second)):
        if only:
            console.print(f"only in {where}: {', '.join(only)}", markup=False)


def list_presets(
    name: Annotated[Optional[str], typer.Argument(metavar="[NAME]", help="Show this one in full.")] = None,
    as_json: _Json = False,
) -> None:
    """List the settings with which the paper ran its models, beside the scores it published.

    Examples:
        octopack presets

        octopack presets octocoder
    """
    import dataclasses

    from octopack_tasks.presets import get_preset, presets, published_scores

    if as_json:
        shown = [get_preset(name)] if name else list(presets().values())
        content = {
            "presets": [dataclasses.asdict(preset) for preset in shown],
            "published": [dataclasses.asdict(row) for row in published_scores() if not name or row.preset == name],
        }
        typer.echo(json.dumps(content, indent=2))
    elif name:
        _print_preset(get_preset(name))
    else:
        _print_presets(presets().values())


def _print_presets(found: Any) -> None:
    from rich.table import Table

    from octopack_tasks.presets import published_scores

    scenarios = {"fixtests": "fix", "fixdocs": "fixdocs", "explainsynthesize": "explain", "synthesize": "synthesize"}
    table = Table("preset", "model", "backend", "prompt", "n", *scenarios.values(), title_justify="left")
    table.title = "settings of the paper, and its pass@1 in percent (mean of six languages)"
    rows = published_scores()
    for preset in found:
        means = []
        for scenario in scenarios:
            scores = next((r.scores for r in rows if r.preset == preset.name and r.scenario == scenario), None)
            means.append(f"{sum(scores.values()) / len(scores):.1f}" if scores else "-")
        planned = preset.tasks.values()
        table.add_row(
            preset.name,
            preset.model,
            preset.backend,
            ", ".join(dict.fromkeys(task.prompt for task in planned)),
            str(max(task.n_samples for task in planned)),
            *means,
        )
    _console().print(table)


def _print_preset(preset: Preset) -> None:
    from rich.table import Table

    from octopack_tasks.presets import published_scores

    console = _console()
    console.print(
        f"{preset.title}: {preset.model} ({preset.architecture}, {preset.precision or 'hosted'})", markup=False
    )
    drawn = preset.sampling
    console.print(f"temperature {drawn.temperature}, top_p {drawn.top_p}, top_k {drawn.top_k}, seed {drawn.seed}")
    if preset.trust_remote_code:
        console.print("the paper ran code from the model's repository; to do so: --model-args trust_remote_code=true")
    table = Table("scenario", "prompt", "samples", "max_length", "batch_size")
    for scenario, task in preset.tasks.items():
        table.add_row(
            scenario, task.prompt, str(task.n_samples), str(task.max_length or "-"), str(task.batch_size or "-")
        )
    console.print(table)
    for row in published_scores():
        if row.preset == preset.name:
            scores = ", ".join(f"{column} {value}" for column, value in row.scores.items())
            about = ", ".join(filter(None, (row.task, row.metric)))
            console.print(f"{row.table} ({about}): {scores} [{row.source}]", markup=False)
    for note in preset.notes:
        console.print(f"note: {note}", markup=False)


def _print_results(found: Sequence[Results], folder: Path | None, *, as_json: bool) -> None:
    if as_json:
        by_reading = {results.reading: results.to_json() for results in found}
        typer.echo(json.dumps(by_reading if len(found) > 1 else found[0].to_json(), indent=2))
        return
    for results in found:
        _print_reading(results)
    if folder is not None:
        typer.echo(f"run: {folder}")


def _print_reading(results: Results) -> None:
    from rich.table import Table

    console = _console()
    ks = sorted({value.k for result in results.tasks for value in result.scores})
    table = Table("task", "problems", "samples", *(f"pass@{k} (95 % interval)" for k in ks), "outcomes")
    for result in results.tasks:
        values = {
            value.k: f"{value.value:.1%}" + f" ({value.low:.1%} to {value.high:.1%})" * value.has_interval
            for value in result.scores
        }
        outcomes = ", ".join(f"{name} {count}" for name, count in result.outcomes.items())
        table.add_row(
            result.task, str(result.problems), str(result.samples), *(values.get(k, "-") for k in ks), outcomes
        )
    table.title = f"reading: {results.reading}"
    console.print(table)
    for result in results.tasks:
        kinds = ", ".join(f"{name} {kind.pass_at_1:.1%} of {kind.problems}" for name, kind in result.bug_types.items())
        if kinds:
            console.print(printable(f"{result.task} by bug: {kinds}"), markup=False)
        if result.problems < result.dataset_problems:
            console.print(f"{result.task}: {result.problems} of the dataset's {result.dataset_problems} problems only")
        if result.too_long:
            console.print(f"{result.task}: {result.too_long} samples not asked for, the prompt was too long")
        if result.missing:
            console.print(f"{result.task}: {result.missing} samples are missing, the score covers the other problems")
        if result.changed_tests:
            changed = ", ".join(result.changed_tests)
            console.print(
                printable(f"{result.task}: tests made repeatable (docs/fidelity.md): {changed}"), markup=False
            )
        if result.suspicious:
            console.print(f"{result.task}: {result.suspicious} passes look suspicious, see the verdicts")


def _console() -> Console:
    from rich.console import Console

    # A file or a pipe has no width: names must not be cut there.
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False, soft_wrap=not sys.stdout.isatty())


@contextmanager
def _progress_bars(goes_on: Run | None = None) -> Iterator[Progress]:
    """Two bars on standard error: samples generated, programs judged.

    Args:
        goes_on: The run with which the same command goes on after Ctrl-C.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    try:
        with Bars(*columns, console=Console(stderr=True)) as bars:
            lines: dict[str, Any] = {}

            def progress(what: str, done: int, total: int) -> None:
                if what not in lines:
                    lines[what] = bars.add_task(what, total=total)
                bars.update(lines[what], completed=done, total=total)

            yield progress
    except KeyboardInterrupt:
        if goes_on is not None:
            typer.echo(f"octopack: interrupted; the same command goes on with {goes_on.folder}", err=True)
        raise


def _choice(options: Any, text: str, option: str) -> Any:
    """A member of an enum by its value."""
    try:
        return options(text)
    except ValueError:
        values = ", ".join(member.value for member in options)
        raise _user_error(f"unknown {option} {text!r}; there are: {values}") from None


def _user_error(message: str) -> Exception:
    from octopack_tasks.errors import UserError

    return UserError(message)
