"""Which shards are made from which files, and who makes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from octopack_data.errors import DataError
from octopack_data.shards import shard_suffix
from octopack_data.steps import Unit


def discover_units(inputs: Sequence[Path]) -> list[Unit]:
    """Return one unit for each shard named by `inputs`: files, or folders that are searched in sorted order.

    Names starting with "." or "_" (state, broken lines, dropped rows) are passed over inside folders.

    Raises:
        DataError: a path does not exist, a folder holds no shard, a name is not text, or two shards would get the same.
    """
    found: dict[str, Unit] = {}
    for path in inputs:
        if path.is_dir():
            files = [f for f in sorted(path.rglob("*")) if f.is_file() and _is_shard(f) and not _hidden(f, path)]
            if not files:
                raise DataError(f"{path}: no shards in this folder (*.jsonl, *.jsonl.gz, *.jsonl.zst, *.parquet)")
        elif path.is_file():
            files = [path]
        else:
            raise DataError(f"{path}: no such file or folder")
        for file in files:
            suffix = shard_suffix(file)
            if suffix is None:
                raise DataError(f"{file}: unknown kind of file; shards are *.jsonl, *.jsonl.gz, *.jsonl.zst, *.parquet")
            relative = file.relative_to(path) if file != path else Path(file.name)
            name = relative.as_posix().removesuffix(suffix)
            if not _is_text(name):
                raise DataError(f"{file}: the name is not UTF-8 text; rename the file")
            if name in found and found[name].inputs != (file,):
                raise DataError(
                    f"{found[name].inputs[0]} and {file} would both become the shard {name!r}; "
                    "rename one, or give the folder above them"
                )
            found[name] = Unit(name, (file,))
    return list(found.values())


def _is_shard(file: Path) -> bool:
    # In a folder, *.json is a manifest or the like; a file of rows with that name can be given by itself.
    return shard_suffix(file) is not None and not file.name.lower().endswith((".json", ".json.gz", ".json.zst"))


def _is_text(name: str) -> bool:
    # Python reads the other bytes of a file's name as lone surrogates, which no JSON can hold.
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _hidden(file: Path, root: Path) -> bool:
    return any(part.startswith((".", "_")) for part in file.relative_to(root).parts)


def take_share(units: Sequence[Unit], index: int, count: int) -> list[Unit]:
    """Return the units of job `index` (from 0) of a job array of `count`."""
    return list(units[index::count])


def parse_share(text: str) -> tuple[int, int]:
    """Read `i/n`.

    Raises:
        DataError: not of that form, or i is not between 0 and n - 1.
    """
    index, slash, count = text.partition("/")
    if not (slash and index.isdigit() and count.isdigit() and int(index) < int(count)):
        raise DataError(f"--shard {text}: expected i/n with 0 <= i < n, for example 0/8 for the first of eight jobs")
    return int(index), int(count)
