"""`octopack train ...`: run recipes, and look after what they leave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from octopack_train.errors import TrainingError

if TYPE_CHECKING:
    from octopack_train.recipe import Recipe


class RecipeGroup(TyperGroup):
    """Takes a word that is no subcommand for a recipe: `octopack train octocoder` is `octopack train run octocoder`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the hidden `run` in front of a recipe."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


train_app = typer.Typer(
    name="train",
    cls=RecipeGroup,
    help="Train models: octopack train RECIPE KEY=VALUE ...\n\n"
    "RECIPE is a YAML file or the name of a built-in recipe (octopack train recipes).\n\n"
    "Examples:\n\n"
    "  octopack train tiny\n\n"
    "  octopack train octocoder --dry-run --hardware a100-80gb\n\n"
    "  octopack train octocoder-fast train.learning_rate=1e-4 output=runs/mine --eval humanevalfixtests-python\n\n"
    "  octopack train tiny --help   # the options of a run: --dry-run, --fresh, --eval",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add `octopack train` to the command line."""
    from octopack_train.megatron.cli import megatron_app

    train_app.add_typer(megatron_app, name="megatron")
    app.add_typer(train_app, name="train")


@train_app.command("run", hidden=True)
def run(
    recipe: Annotated[str, typer.Argument(help="YAML file or name of a built-in recipe.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over instead of resuming.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print tokens, steps, memory and time; train nothing.")
    ] = False,
    hardware: Annotated[str, typer.Option(help="Device of the dry run's time estimate.")] = "a100-80gb",
    eval_task: Annotated[str | None, typer.Option("--eval", help="Task to score the result on.")] = None,
    eval_options: Annotated[str, typer.Option(help="Further options of octopack evaluate, in quotes.")] = "",
) -> None:
    """Train as a recipe says; resume where a killed run stopped.

    Example: octopack train tiny output=runs/first --eval humanevalfixtests-python
    """
    import shlex

    from octopack_train.evaluation import evaluate, write_card
    from octopack_train.launch import is_launched, launch
    from octopack_train.recipe import Strategy, load_recipe
    from octopack_train.run_folder import RunFolder

    loaded = load_recipe(recipe, overrides or [])
    if eval_task is not None:
        from octopack_tasks.tasks import get_task

        get_task(eval_task)  # a mistyped name is told now, not when the training is over
    try:
        options_of_evaluate = tuple(shlex.split(eval_options))
    except ValueError as error:
        raise TrainingError(f"--eval-options {eval_options!r}: {error}.") from error
    if dry_run:
        _print_plan(loaded, hardware)
        return
    folder = RunFolder(Path(loaded.output))
    if loaded.launch.strategy is Strategy.SINGLE or is_launched():
        from octopack_train.methods import run_method

        run_method(loaded, fresh=fresh, report=typer.echo)
    else:
        from octopack_train.model import check_device

        check_device(loaded)
        if launch(loaded, fresh=fresh):
            raise TrainingError("The launched run failed: see its messages above. The same command resumes it.")
    write_card(folder)
    typer.echo(f"{folder.final}  (loss curve: {folder.plot_file}, card: {folder.card_file})")
    if eval_task is not None:
        for metric, value in evaluate(folder, eval_task, options=options_of_evaluate).items():
            typer.echo(f"{eval_task}  {metric}  {value:.4f}")


@train_app.command("recipes")
def recipes() -> None:
    """List the built-in recipes: what each one is, its model and data, how long it trains and on what.

    Example: octopack train recipes
    """
    from importlib import resources

    from octopack_train.recipe import builtin_recipes, load_recipe

    for name in builtin_recipes():
        file = resources.files("octopack_train") / "recipes" / f"{name}.yaml"
        typer.echo(f"{name}\n    {file.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}")
        typer.echo(f"    {_outline(load_recipe(name))}")


def _outline(recipe: Recipe) -> str:
    """Return a recipe in one line: model, data, steps, devices."""
    trained = "all weights" if recipe.lora is None else "LoRA"
    length = f"{recipe.steps:,} steps" if recipe.steps else f"{recipe.train.epochs:g} x the data in steps"
    devices = "CPU" if recipe.launch.cpu else f"{recipe.launch.processes} GPU(s)"
    return f"{recipe.model.name} ({trained}) on {recipe.data.path}; {length} of {recipe.rows_per_step} rows; {devices}"


@train_app.command("show")
def show(
    recipe: Annotated[str, typer.Argument(help="YAML file or name of a built-in recipe.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes.")] = None,
) -> None:
    """Print a recipe with everything filled in.

    Example: octopack train show octocoder-fast > mine.yaml
    """
    from octopack_train.recipe import load_recipe

    typer.echo(load_recipe(recipe, overrides or []).to_yaml(), nl=False)


@train_app.command("merge")
def merge_command(
    adapter: Annotated[Path, typer.Argument(help="Folder of an adapter, or of a training run.")],
    target: Annotated[Path, typer.Argument(help="Folder to write the merged model to.")],
    base: Annotated[str | None, typer.Option(help="Base model, if not the adapter's own.")] = None,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "bfloat16",
) -> None:
    """Merge an adapter into its base model and check that the logits stay the same.

    Example: octopack train merge runs/tiny runs/tiny-merged
    """
    from octopack_train.merge import merge

    if dtype not in ("float32", "bfloat16", "float16"):
        raise TrainingError(f"--dtype {dtype!r} is not one of float32, bfloat16, float16.")
    difference = merge(adapter, target, base=base, dtype=dtype)
    typer.echo(f"{target}: logits in float32 differ by at most {difference:.2g} from base plus adapter.")


@train_app.command("check")
def check(
    first: Annotated[Path, typer.Argument(help="Checkpoint folder or file.")],
    second: Annotated[Path, typer.Argument(help="The other one.")],
    tolerance: Annotated[float, typer.Option(help="Largest difference that counts as equal.")] = 0.0,
) -> None:
    """Compare two checkpoints tensor by tensor; status 1 if they differ.

    Example: octopack train check runs/converted original-model --tolerance 1e-6
    """
    from octopack_train.merge import compare

    for path in (first, second):
        if not path.exists():
            raise TrainingError(f"There is no checkpoint {path}.")
    differences = compare(first, second, tolerance=tolerance)
    for difference in differences:
        typer.echo(f"{difference.tensor}: {difference.reason}")
    typer.echo(f"{len(differences)} tensors differ." if differences else "The checkpoints are equal.")
    if differences:
        raise typer.Exit(1)


@train_app.command("evaluate")
def evaluate_command(
    run_folder: Annotated[Path, typer.Argument(help="Folder of a finished training run.")],
    task: Annotated[str, typer.Argument(help="Task, such as humanevalfixtests-python.")],
    options: Annotated[list[str] | None, typer.Argument(metavar="[OPTIONS OF EVALUATE]...", help="After --.")] = None,
) -> None:
    """Score a finished run on a task and add the score to its model card.

    Example: octopack train evaluate runs/tiny humanevalfixtests-python -- --limit 4
    """
    from octopack_train.evaluation import evaluate
    from octopack_train.run_folder import RunFolder

    for metric, value in evaluate(RunFolder(run_folder), task, options=tuple(options or ())).items():
        typer.echo(f"{task}  {metric}  {value:.4f}")


@train_app.command("probe")
def probe_command(
    model: Annotated[str, typer.Argument(help="Model, adapter or training run.")],
    problems: Annotated[int, typer.Option(min=1, help="How many held-out bug fixes.")] = 60,
    batch: Annotated[int, typer.Option(min=1, help="Prompts at a time.")] = 20,
    sandbox: Annotated[str | None, typer.Option(help="Sandbox backend.")] = None,
) -> None:
    """Ask a model to fix small functions it was not trained on, and run their tests.

    Example: octopack train probe runs/tiny
    """
    from octopack_train.probe import probe

    found = probe(model, problems=problems, batch=batch, sandbox=sandbox, report=typer.echo)
    typer.echo(f"{found.passed} of {found.problems} fixes pass their tests; {found.exact} equal the commit.")


@train_app.command("slurm")
def slurm(
    recipe: Annotated[str, typer.Argument(help="YAML file that the machines can read, or a built-in recipe.")],
    machines: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs a machine.")] = 8,
    cpus: Annotated[int, typer.Option(min=1, help="CPU cores a machine.")] = 64,
    time: Annotated[str, typer.Option(help="Time limit.")] = "20:00:00",
    sbatch: Annotated[list[str] | None, typer.Option(help="Further #SBATCH option; can be repeated.")] = None,
) -> None:
    """Print a Slurm batch script that trains as a recipe says and resumes when it is requeued.

    Example: octopack train slurm octocoder --machines 1 --gpus 8 --sbatch=--partition=gpu > octocoder.sh
    """
    from octopack_train.launch import slurm_script
    from octopack_train.recipe import Strategy, load_recipe

    spread = [f"launch.machines={machines}", f"launch.processes={machines * gpus}"]
    if load_recipe(recipe).launch.strategy is Strategy.SINGLE and machines * gpus > 1:
        spread.append("launch.strategy=ddp")
    loaded = load_recipe(recipe, spread)
    own = load_recipe(recipe).rows_per_step
    if loaded.rows_per_step != own:
        here = f"a step has {loaded.rows_per_step} rows on {machines * gpus} GPUs"
        typer.echo(f"Note: {here}; in the recipe it has {own}.", err=True)
    script = slurm_script(loaded, shown_recipe(recipe, spread), time=time, cpus=cpus, extra=tuple(sbatch or ()))
    typer.echo(script, nl=False)


def shown_recipe(recipe: str, overrides: list[str]) -> str:
    """Return recipe and overrides as words of a shell command."""
    import shlex

    return shlex.join([recipe, *overrides])


def _print_plan(recipe: Recipe, hardware_name: str) -> None:
    from octopack_train.plan import GIB, hardware, plan

    cost = plan(recipe, hardware(hardware_name))
    device = hardware(hardware_name)
    count = recipe.launch.processes
    rows = [
        ("recipe", f"{recipe.name} ({recipe.method.value})"),
        (
            "parameters",
            f"{cost.parameters:,}, of them trained {cost.trainable:,} ({cost.trainable / cost.parameters:.2%})",
        ),
        ("steps", f"{cost.steps:,} of {cost.rows_per_step} rows"),
        ("tokens", f"{cost.tokens:,} ({cost.note})"),
        ("memory", f"about {cost.memory / GIB:.1f} GiB a device ({device.memory / GIB:.0f} GiB on {hardware_name})"),
        ("time", f"about {_duration(cost.seconds)} on {count} x {hardware_name}"),
    ]
    for label, text in rows:
        typer.echo(f"{label:12}{text}")
    if cost.memory > device.memory:
        from octopack_train.faults import memory_advice

        typer.echo(f"This will not fit: {memory_advice(recipe)}.")


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
