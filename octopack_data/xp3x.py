"""xP3x: the 5,000 code rows that the paper's ablation draws from 95 files."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from octopack_data import resources
from octopack_data.builds import Build
from octopack_data.errors import DataError
from octopack_data.shards import iter_rows

OUTPUT = "xp3x_code_5k.jsonl"

REWRITES = (
    ("Here is a solution in Python:", "Write a solution in Python."),
    ("This can be solved in Python with the following code:", "How to solve it in Python?"),
)
"""Made in the inputs of the mbpp files only, before the draw. Source: filter_xp3x.py."""


def default_counts() -> tuple[dict[str, int], int]:
    """Return the reference's file -> rows table, in its order, and its seed."""
    data = resources.load("xp3x_counts")
    return dict(data["files"]), int(data["seed"])


def read_counts(path: Path) -> tuple[dict[str, int], int]:
    """Read a table of one's own: JSON with `files` (name -> rows) and `seed`.

    Raises:
        DataError: missing, or not of that form.
    """
    try:
        data = orjson.loads(path.read_bytes())
        files, seed = data["files"], data["seed"]
        if not (isinstance(files, dict) and all(isinstance(n, int) and n >= 0 for n in files.values())):
            raise ValueError("`files` must map file names to numbers of rows")
        if not isinstance(seed, int):
            raise ValueError("`seed` must be a whole number")
    except FileNotFoundError as error:
        raise DataError(f"--counts {path}: no such file") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"--counts {path}: expected {{'files': {{name: rows}}, 'seed': n}} ({error})") from error
    return files, seed


def find_files(folder: Path, names: Mapping[str, int]) -> list[Path]:
    """Return the path of every named file, wherever below `folder` it lies.

    Raises:
        DataError: files are missing (the first are named), or one is there twice.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; it should hold the files of xP3x's code languages")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.jsonl")):
        if path.name in names:
            if path.name in found:
                raise DataError(f"{path.name} is there twice: {found[path.name]} and {path}; remove one")
            found[path.name] = path
    missing = [name for name in names if name not in found]
    if missing:
        shown = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise DataError(f"{folder}: {len(missing)} of {len(names)} files are missing ({shown})")
    return [found[name] for name in names]


def draw(files: Mapping[str, int], paths: list[Path], seed: int) -> list[dict[str, Any]]:
    """Return the drawn rows in output order.

    One generator serves all files in order, `sample` without replacement for each and one `shuffle` at the end: the
    rows are the reference's for the same files.

    Raises:
        DataError: a file has fewer rows than are to be drawn from it, or a row lacks the text that is rewritten.
    """
    generator = random.Random(seed)
    drawn: list[dict[str, Any]] = []
    for (name, count), path in zip(files.items(), paths, strict=True):
        rows = list(iter_rows(path))
        if "mbpp" in name:
            for number, row in enumerate(rows, start=1):
                if not isinstance(row.get("inputs"), str):
                    raise DataError(f"{path}, row {number}: no text column 'inputs' (columns: {', '.join(row)})")
                for old, new in REWRITES:
                    row["inputs"] = row["inputs"].replace(old, new)
        if len(rows) < count:
            raise DataError(f"{path}: {count} rows are to be drawn, but there are only {len(rows)}")
        drawn.extend(generator.sample(rows, count))
    generator.shuffle(drawn)
    return drawn


def build(folder: Path, output: Path, files: Mapping[str, int], seed: int) -> dict[str, Any]:
    """Draw the rows and write them to `output`; return the manifest.

    Raises:
        DataError: see `find_files` and `draw`.
    """
    paths = find_files(folder, files)
    job = Build("xp3x", {"files": dict(files), "seed": seed, "rewrites": [list(r) for r in REWRITES]}, paths, output)
    if (manifest := job.manifest_if_done()) is not None:
        return manifest
    rows = draw(files, paths, seed)
    return job.write({OUTPUT: map(orjson.dumps, rows)}, {"rows": len(rows)})
