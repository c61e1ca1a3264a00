"""The commands as a user types them, executors included."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import typer
from commit_rows import commit, write_rows
from late_reports import LateReports
from ray_cluster import own_cluster
from typer.testing import CliRunner, Result

from octopack_data import cli
from octopack_data.errors import DataError
from octopack_data.executors import Cluster, Executor, run_units, submit
from octopack_data.pipeline import Job, Progress, discover_units, summarise
from octopack_data.redaction import Redaction
from octopack_data.shards import iter_rows
from octopack_data.sources import units_of


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    application = typer.Typer()
    application.callback()(lambda: None)
    cli.register(application)
    return application


@pytest.fixture
def shards(tmp_path: Path, tokenizer_json: str) -> Path:
    (tmp_path / "tokenizer.json").write_text(tokenizer_json, encoding="utf-8")
    for part in range(2):
        rows = [commit(100 * part + i, subject=f"Fix broken total of value {i}") for i in range(20)]
        rows += [commit(500 + 100 * part + i, subject="fix it") for i in range(5)]
        rows.append(commit(900 + part, subject="[core] Fix broken total of values", lang="Go", new_file="qq.go"))
        write_rows(tmp_path / "shards" / f"p{part}.jsonl", rows)
    return tmp_path / "shards"


def invoke(app: typer.Typer, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["data", *map(str, arguments)])


def test_commitpackft(app: typer.Typer, shards: Path, tmp_path: Path) -> None:
    base = ("commitpackft", shards, "-o", tmp_path / "ft", "--tokenizer", tmp_path)
    done = invoke(app, *base)
    assert done.exit_code == 0, done.output
    assert "P7 subject characters" in done.output
    rows = [row for name in ("p0", "p1") for row in iter_rows(tmp_path / "ft" / f"{name}.jsonl")]
    assert len(rows) == 42
    assert rows[-1]["subject"] == "Fix broken total of values"
    again = invoke(app, *base)
    assert "2 shard(s) were there already" in again.output
    explained = invoke(app, *base, "--explain", f"{500:040x}")
    assert explained.exit_code == 0
    assert "DROPS" in explained.output
    dry = invoke(app, "commitpackft", shards, "-o", tmp_path / "new", "--tokenizer", "none", "--dry-run")
    assert "2 to do" in dry.output
    assert not (tmp_path / "new").exists()


def test_commitpackft_goes_on_with_several_processes(app: typer.Typer, shards: Path, tmp_path: Path) -> None:
    write_rows(shards / "p2.jsonl", [commit(7000)])
    base = ("commitpackft", shards, "--tokenizer", "none")
    assert invoke(app, *base, "-o", tmp_path / "whole").exit_code == 0
    assert invoke(app, *base, "-o", tmp_path / "parts", "--shard", "0/3").exit_code == 0
    done = invoke(app, *base, "-o", tmp_path / "parts", "--workers", "2")
    assert done.exit_code == 0, done.output
    for path in (tmp_path / "whole").glob("*.json*"):
        assert (tmp_path / "parts" / path.name).read_bytes() == path.read_bytes()


def test_commitpackft_by_language_and_model(app: typer.Typer, shards: Path, tmp_path: Path) -> None:
    none = ("--tokenizer", "none")
    done = invoke(app, "commitpackft", shards, "-o", tmp_path / "l", *none, "--by-language", "--languages", "Go")
    assert done.exit_code == 0, done.output
    assert {path.parent.name for path in (tmp_path / "l").rglob("p*.jsonl")} == {"go"}
    done = invoke(app, "commitpackft", shards, "-o", tmp_path / "b", *none, "--model", "bloomz")
    row = next(iter_rows(tmp_path / "b" / "p0.jsonl"))
    assert set(row) == {"inputs", "targets"}
    assert row["targets"].startswith("\n")
    done = invoke(app, "commitpackft", shards, "-o", tmp_path / "s", *none, "--model", "santacoder")
    assert "message" not in next(iter_rows(tmp_path / "s" / "p0.jsonl"))


def test_languages_cannot_lead_out_of_the_folder(app: typer.Typer, tmp_path: Path) -> None:
    langs = ("../../evil", "/etc", "..", "manifest.json", "a\nb", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}" * 400)
    write_rows(tmp_path / "x.jsonl", [commit(number, lang=lang) for number, lang in enumerate(langs)])
    done = invoke(
        app,
        "commitpackft",
        tmp_path / "x.jsonl",
        "-o",
        tmp_path / "deep" / "out",
        "--tokenizer",
        "none",
        "--by-language",
    )
    assert done.exit_code == 0, done.output
    written = [path for path in tmp_path.rglob("x.jsonl") if path != tmp_path / "x.jsonl"]
    assert len(written) == len(langs)
    assert all(path.is_relative_to(tmp_path / "deep" / "out") for path in written)
    assert all(path.parent.name.isprintable() for path in written)


@pytest.mark.parametrize(
    "command", [("oasst",), ("redact",), ("decontaminate", "--benchmark", "starter"), ("statistics",), ("dedup",)]
)
def test_a_shard_without_rows_is_no_fault(app: typer.Typer, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "none.jsonl").touch()
    done = invoke(app, *command, tmp_path / "none.jsonl", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output


def test_a_file_that_cannot_be_read_is_one_line(app: typer.Typer, shards: Path, tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    (tmp_path / "folder.jsonl").mkdir()
    base = ("commitpackft", shards, "-o", tmp_path / "out", "--tokenizer")
    for arguments, message in (
        (("mix", tmp_path / "latin.yaml", "-o", tmp_path / "out"), "latin.yaml: not UTF-8 text"),
        ((*base, tmp_path / "latin.yaml"), "latin.yaml is not a tokenizer file"),
        ((*base, "none", "--starts", tmp_path / "folder.jsonl"), "folder.jsonl: Is a directory"),
    ):
        done = invoke(app, *arguments)
        assert done.exit_code == 2, done.output
        assert message in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()


def test_rows_cannot_steer_the_terminal(app: typer.Typer, tmp_path: Path) -> None:
    row = commit(1, subject="Change \x1b[2Jit all to [/red] something [bold]else", license="[/x]\x1b[31m")
    write_rows(tmp_path / "in" / "x.jsonl", [row])
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: m\nsources: [{name: a, inputs: [in], layout: instruction}]\n")
    for arguments in (
        ("commitpackft", tmp_path / "in", "-o", tmp_path / "o", "--tokenizer", "none", "--explain", row["commit"]),
        ("mix", recipe, "-o", tmp_path / "m"),
        ("statistics", tmp_path / "in", "-o", tmp_path / "s"),
    ):
        done = invoke(app, *arguments)
        assert done.exit_code == 0, done.output
        assert "\x1b[2J" not in done.output
        assert "\x1b[31m" not in done.output
        assert "[/" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--languages", "pyton"), "did you mean python"),
        (("--tokenizer", "./none"), "no such file or folder"),
        (("--shard", "2/2"), "expected i/n"),
        (("--starts", "twice.txt"), "is in the list twice"),
        (("--starts", "missing.txt"), "no such word list"),
        (("--min-tokens", "900"), "nothing would stay"),
        (("--explain", "abc"), "no row with commit = 'abc'"),
        (("--executor", "slurm"), "needs --partition"),
        (("--decontaminate", "./nowhere"), "no folder"),
    ],
)
def test_mistakes_end_with_one_line_and_code_2(
    app: typer.Typer,
    shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("twice.txt").write_text("add\nfix\n\n# note\nAdd\n", encoding="utf-8")
    base = ["commitpackft", shards, "-o", "out"]
    if "--tokenizer" not in arguments:
        base += ["--tokenizer", "none"]
    done = invoke(app, *base, *arguments)
    assert done.exit_code == 2, done.output
    assert message in " ".join(done.output.split())
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_list_of_ones_own(app: typer.Typer, shards: Path, tmp_path: Path) -> None:
    (tmp_path / "verbs.txt").write_text("# mine\nmend\n", encoding="utf-8")
    done = invoke(
        app, "commitpackft", shards, "-o", tmp_path / "o", "--tokenizer", "none", "--starts", tmp_path / "verbs.txt"
    )
    assert done.exit_code == 0
    assert (tmp_path / "o" / "p0.jsonl").read_bytes() == b""


def test_the_other_commands(app: typer.Typer, shards: Path, tmp_path: Path) -> None:
    talk = write_rows(tmp_path / "talk.jsonl", [{"messages": [{"content": "Q"}, {"content": "```py\nx\n```"}]}] * 2)
    raw = write_rows(tmp_path / "raw.jsonl", [{"instruction": "Write a Go program", "output": "package main"}])
    commands: list[tuple[object, ...]] = [
        ("oasst", talk, "-o", tmp_path / "oasst"),
        ("self-instruct", raw, "-o", tmp_path / "si"),
        ("formats", shards, "-o", tmp_path / "formats", "--layout", "line-diff", "--keys", "prompt,completion"),
        ("dedup", talk, "-o", tmp_path / "dedup", "--columns", "messages"),
        ("redact", shards, "-o", tmp_path / "red"),
        ("decontaminate", shards, "-o", tmp_path / "clean", "--benchmark", "starter"),
        ("statistics", shards, "-o", tmp_path / "report"),
        ("sample", shards, "--html", tmp_path / "look.html", "--look", "--tokenizer", "none"),
    ]
    for command in commands:
        done = invoke(app, *command)
        if command[0] == "dedup":  # `messages` is a list, not text
            assert done.exit_code == 2
            assert "must be text" in done.output
            continue
        assert done.exit_code == 0, done.output
    assert "| Ruby |" in (tmp_path / "report" / "statistics.md").read_text(encoding="utf-8")
    assert (tmp_path / "look.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    done = invoke(
        app, "mix", "octocoder", "-o", tmp_path / "m", "--source", f"oasst={tmp_path / 'oasst'}", "--source", "x=y"
    )
    assert done.exit_code == 2
    assert "no such source" in done.output


def test_files_of_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    asked: list[tuple[str, object]] = []

    def download(name: str, *, repo_type: str, allow_patterns: object) -> str:
        asked.append((name, allow_patterns))
        assert repo_type == "dataset"
        write_rows(tmp_path / "data" / "go" / "data.jsonl", [commit()])
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    units = units_of(["hf://datasets/bigcode/commitpackft/data/go"])
    assert [unit.name for unit in units] == ["data"]
    assert asked == [("bigcode/commitpackft", ["data/go", "data/go/*"])]
    with pytest.raises(DataError, match="has no 'data/rust'"):
        units_of(["hf://datasets/bigcode/commitpackft/data/rust"])
    with pytest.raises(DataError, match="expected hf://datasets/ORG/NAME"):
        units_of(["hf://datasets/bigcode"])

    def refuse(*arguments: object, **options: object) -> str:
        raise OSError("401 gated")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(DataError, match="401 gated"):
        units_of(["hf://datasets/bigcode/commitpack"])


def test_help_has_examples(app: typer.Typer) -> None:
    for name in ("commitpackft", "oasst", "xp3x", "self-instruct", "formats", "mix", "dedup", "sample", "statistics"):
        done = invoke(app, name, "--help")
        assert done.exit_code == 0
        assert f"octopack data {name}" in done.output


def test_a_missing_package_is_named(
    app: typer.Typer, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    done = invoke(app, "redact", shards, "-o", tmp_path / "out", "--format", "jsonl.zst")
    assert done.exit_code == 2
    assert "this needs the package zstandard; install it with: pip install 'octopack[data]'" in done.output


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, octopack_data.cli, octopack_data.commitpackft.cli\n"
        "heavy = 'torch datasets pyarrow duckdb tokenizers datatrove ray huggingface_hub datasketch pandas'\n"
        "print([name for name in heavy.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", ["dies", "fails"])
def test_failures_in_workers_reach_the_user(tmp_path: Path, kind: str) -> None:
    for part in range(2):
        write_rows(tmp_path / "in" / f"p{part}.jsonl", [{"id": "1", "text": "x"}] if kind == "dies" else [{"id": "1"}])
    (tmp_path / "worker_step.py").write_text(
        "import os\n"
        "from commit_rows import DropLong\n"
        "class Step(DropLong):\n"
        "    def _function(self, batch):\n"
        "        os.kill(os.getpid(), 9)\n",
        encoding="utf-8",
    )
    support = Path(__file__).parents[1] / "support"
    code = (
        "import sys; from pathlib import Path\n"
        "from worker_step import Step\n"
        "from octopack_data.executors import run_units\n"
        "from octopack_data.pipeline import Job, discover_units\n"
        "if __name__ == '__main__':\n"
        "    job = Job(Step(), Path('out'))\n"
        "    run_units(job, discover_units([Path('in')]), 2, lambda p: None)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, support, *sys.path)))},
        timeout=300,
    )
    assert done.returncode != 0
    expected = "a worker process ended unexpectedly" if kind == "dies" else "line 1: no column 'text'"
    last = done.stderr.strip().splitlines()[-1]
    assert "DataError" in last
    assert expected in last


def test_workers_give_the_same_bytes(tmp_path: Path) -> None:
    for part in range(3):
        write_rows(tmp_path / "in" / f"p{part}.jsonl", [{"id": str(i), "text": "x" * (i % 7)} for i in range(500)])
    units = discover_units([tmp_path / "in"])
    here, there = Job(Redaction(), tmp_path / "one"), Job(Redaction(), tmp_path / "two")
    run_units(here, units)
    reports: list[Progress] = []
    run_units(there, units, 2, reports.append)
    assert sum(progress.rows for progress in reports) == 1500
    for job in (here, there):
        summarise(job, units)
    names = sorted(path.name for path in here.output.glob("*.json*"))
    assert names == ["manifest.json", "p0.jsonl", "p1.jsonl", "p2.jsonl", "statistics.json"]
    assert all((here.output / name).read_bytes() == (there.output / name).read_bytes() for name in names)


def test_reports_that_come_late_are_told(tmp_path: Path) -> None:
    for part in range(2):
        write_rows(tmp_path / "in" / f"p{part}.jsonl", [{"id": str(i), "text": "x"} for i in range(200)])
    reports: list[Progress] = []
    run_units(Job(LateReports(), tmp_path / "out"), discover_units([tmp_path / "in"]), 2, reports.append)
    assert sum(progress.rows for progress in reports) == 400


# ------------------------------------------------------------------------------------------------------------ clusters

_SBATCH = """#!/bin/bash
cat > "$FAKE_SLURM/script.sh" < "${@: -1}"
count=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$FAKE_SLURM/script.sh")
for task in $(seq 0 "${count:-0}"); do
  SLURM_ARRAY_TASK_ID=$task SLURM_JOB_ID=7 SLURM_NODELIST=here bash "$FAKE_SLURM/script.sh" >> "$FAKE_SLURM/log" 2>&1
done
echo "Submitted batch job 7"
"""
_SRUN = """#!/bin/bash
while [[ "$1" == -* ]]; do [[ "$1" == "-n" ]] && shift; shift; done
exec "$@"
"""


def test_slurm_tasks_do_their_shares(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sbatch` is played by a script that runs the array's tasks at once."""
    pytest.importorskip("datatrove")
    fake = tmp_path / "slurm"
    fake.mkdir()
    for name, text in (("sbatch", _SBATCH), ("srun", _SRUN), ("scontrol", "#!/bin/bash\necho here\n")):
        (fake / name).write_text(text, encoding="utf-8")
        (fake / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(fake))
    units = discover_units([shards])
    job = Job(Redaction(), tmp_path / "out")
    said = submit(Executor.SLURM, job, units, Cluster(tasks=2, partition="cpu", memory_gb=1))
    assert "Slurm job 7 submitted with 2 tasks" in said
    manifest = orjson.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert [unit["rows_out"] for unit in manifest["units"]] == [26, 26]
    assert "Processing done for rank=1" in (fake / "log").read_text(encoding="utf-8")


def test_slurm_needs_a_partition_and_sbatch(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datatrove")
    units, job = discover_units([shards]), Job(Redaction(), tmp_path / "out")
    with pytest.raises(DataError, match="needs --partition"):
        submit(Executor.SLURM, job, units, Cluster(tasks=1))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="sbatch was not found"):
        submit(Executor.SLURM, job, units, Cluster(tasks=1, partition="cpu"))
    assert not job.output.exists()


def test_ray_tasks_do_their_shares(shards: Path, tmp_path: Path) -> None:
    pytest.importorskip("datatrove")
    units = discover_units([shards])
    here, there = Job(Redaction(), tmp_path / "here"), Job(Redaction(), tmp_path / "there")
    run_units(here, units)
    summarise(here, units)
    with own_cluster():
        assert submit(Executor.RAY, there, units, Cluster(tasks=2, memory_gb=1)) == "2 shards done on Ray"
    assert (there.output / "manifest.json").read_bytes() == (here.output / "manifest.json").read_bytes()
