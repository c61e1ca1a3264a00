"""Reads what a report is made of, whatever wrote it.

runs = load_runs([Path("runs/octocoder"), Path("evaluation_results.json")])
for run in runs:
    for result in run.results:
        print(run.label, result.task, result.reading, result.pass_at(1), result.lacks)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from octopack_tasks.errors import UserError
from octopack_tasks.report.inputs import ReportRun
from octopack_tasks.report.sources import bigcode, lm_eval, octopack
from octopack_tasks.terminal import printable

MIXED_NOTE = "Answers another dataset than other runs of this report"
"""Begins the note on runs that --allow-mixed let through."""


def load_runs(
    paths: Iterable[Path | str], *, dataset: str | None = None, allow_mixed: bool = False
) -> tuple[ReportRun, ...]:
    """Read the runs of a report.

    Args:
        paths: Run folders, results of lm-eval (a file, or a folder of them), result files of the reference (or a
            folder of them). `LABEL=PATH` names a run.
        dataset: Where the dataset of run folders is now, if it is no longer where they say.
        allow_mixed: Accept runs of different datasets; they are labelled then.

    Raises:
        UserError: A path holds no results, nothing in it has been judged, or the runs answer different datasets.
    """
    runs: list[ReportRun] = []
    for path in map(str, paths):
        label, source = _label_and_path(path)
        found = _load(source, dataset)
        runs += [dataclasses.replace(run, label=label) if label and len(found) == 1 else run for run in found]
    if not runs:
        raise UserError("name at least one run")
    return _with_unique_labels(_checked_datasets(runs, allow_mixed=allow_mixed))


def _label_and_path(text: str) -> tuple[str, Path]:
    label, equals, rest = text.partition("=")
    if equals and label and rest and "/" not in label and not Path(text).exists():
        return label, Path(rest).expanduser()
    return "", Path(text).expanduser()


def _load(path: Path, dataset: str | None) -> list[ReportRun]:
    if not path.exists():
        raise UserError(f"there is no file or folder {path}")
    for load in (octopack.load, lm_eval.load, bigcode.load):
        found = load(path, dataset)
        if found:
            return found
    shards = sorted(path.glob("*/manifest.json")) if path.is_dir() else []
    if shards:
        folders = " ".join(str(shard.parent) for shard in shards[:3]) + " ..." * (len(shards) > 3)
        raise UserError(
            f"{path} holds {len(shards)} runs; name them one by one ({folders}), or put shards of one run together "
            "with `octopack merge`"
        )
    raise UserError(
        f"{path} holds no results: it is neither a run folder, nor results of lm-eval (results_*.json), nor a result "
        "file of the reference (evaluation_*.json)"
    )


def _checked_datasets(runs: Sequence[ReportRun], *, allow_mixed: bool) -> list[ReportRun]:
    """Refuse or label runs of different datasets."""
    hashes: dict[tuple[str, str], dict[str, str]] = {}
    for run in runs:
        for result in run.results:
            if result.dataset_sha256:
                hashes.setdefault(result.problem_set, {}).setdefault(result.dataset_sha256, str(run.path))
    mixed = {problem_set: owners for problem_set, owners in hashes.items() if len(owners) > 1}
    if mixed and not allow_mixed:
        (_, language), owners = next(iter(mixed.items()))
        named = " and ".join(f"{sha256[:12]} ({path})" for sha256, path in list(owners.items())[:2])
        raise UserError(
            f"the runs answer different datasets: {language} has the hashes {named}. Their scores do not compare; to "
            "report them side by side all the same, labelled, add --allow-mixed"
        )
    return [_labelled_dataset(run, mixed) for run in runs]


def _labelled_dataset(run: ReportRun, mixed: Mapping[tuple[str, str], Mapping[str, str]]) -> ReportRun:
    own = {
        result.language: result.dataset_sha256
        for result in run.results
        if result.problem_set in mixed and result.dataset_sha256
    }
    if not own:
        return run
    named = ", ".join(f"{language} {sha256[:12]}" for language, sha256 in own.items())
    note = f"{MIXED_NOTE} (hashes: {named})."
    return dataclasses.replace(run, notes=(*run.notes, note))


def _with_unique_labels(runs: Sequence[ReportRun]) -> tuple[ReportRun, ...]:
    """Labels that tell the runs apart: the model's name, with the folder's where several have it, or a number."""
    runs = [dataclasses.replace(run, label=printable(run.label)) for run in runs]
    counts = {run.label: sum(other.label == run.label for other in runs) for run in runs}
    named = [
        run if counts[run.label] == 1 else dataclasses.replace(run, label=f"{run.label} ({printable(run.path.name)})")
        for run in runs
    ]
    seen: dict[str, int] = {}
    unique = []
    for run in named:
        seen[run.label] = number = seen.get(run.label, 0) + 1
        unique.append(run if number == 1 else dataclasses.replace(run, label=f"{run.label} #{number}"))
    return tuple(unique)
