"""Puts a sharded data set on the Hugging Face hub, with a card whose statistics are counted and not typed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson

from octopack_data.errors import DataError
from octopack_data.shards import fingerprint_of, write_atomically

_DATA = "data"  # folder of the shards in the data set
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGER = ((10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"))


@dataclass(frozen=True, slots=True)
class ShardFile:
    """One file of the manifest."""

    path: str
    size: int
    xxh3: str


@dataclass(frozen=True, slots=True)
class LanguageCount:
    """Rows and bytes of one language's folder."""

    name: str
    rows: int
    size: int
    files: tuple[ShardFile, ...]


@dataclass(frozen=True, slots=True)
class DatasetFolder:
    """A complete output of `shard`."""

    root: Path
    languages: tuple[LanguageCount, ...]

    @property
    def rows(self) -> int:
        """Rows of all languages."""
        return sum(language.rows for language in self.languages)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(language.size for language in self.languages)


def read_folder(root: Path, *, verify: bool = True) -> DatasetFolder:
    """Return what the manifest of a sharded data set lists.

    Args:
        root: output folder of `shard`.
        verify: read every file and compare it with the manifest.

    Raises:
        DataError: no manifest (the run is not complete), or a file that is missing or differs.
    """
    try:
        manifest = orjson.loads((root / "manifest.json").read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            f"{root}: no manifest.json, so this is not a complete output of `octopack data commitpack shard`; "
            "run that command to its end"
        ) from error
    except orjson.JSONDecodeError as error:
        raise DataError(f"{root}/manifest.json: not JSON ({error}); run `shard` again") from error
    step = manifest.get("step") if isinstance(manifest, dict) else None
    if step != "commitpack-shard":
        raise DataError(f"{root}: the output of {step!r}; publish takes the output of `shard`")
    languages = []
    for unit in manifest["units"]:
        files = tuple(ShardFile(**entry) for entry in unit["outputs"] if not entry["path"].startswith("_"))
        for file in files:
            path = root / file.path
            if not path.is_file() or path.stat().st_size != file.size:
                raise DataError(f"{path}: missing, or not as large as the manifest says; run `shard` again")
            if verify and fingerprint_of(path).hexdigest() != file.xxh3:
                raise DataError(f"{path}: its contents differ from the manifest; run `shard` again")
        languages.append(LanguageCount(unit["unit"], unit["rows_out"], sum(file.size for file in files), files))
    if not any(language.files for language in languages):
        raise DataError(f"{root}: the data set is empty; nothing to publish")
    return DatasetFolder(root, tuple(languages))


def dataset_card(folder: DatasetFolder, name: str) -> str:
    """Return the text of the data set's README.md: metadata for the hub, columns, and statistics by language."""
    by_size = sorted(folder.languages, key=lambda language: (-language.size, language.name))
    category = next((text for bound, text in (*_SIZES, *_LARGER) if folder.rows < bound), "n>1B")
    lines = ["---", "license: other", "pretty_name: " + orjson.dumps(name.partition("/")[2]).decode()]
    lines += ["language:", "- code", "size_categories:", f"- {category}", "tags:", "- code", "- commits", "configs:"]
    lines += [f"- config_name: default\n  data_files: {_DATA}/*/*"]
    lines += [
        f"- config_name: {orjson.dumps(language.name).decode()}\n  data_files: {_DATA}/{language.name}/*"
        for language in folder.languages
        if language.files
    ]
    lines += ["---", "", f"# {name}", ""]
    lines += [
        "Commits from GitHub that change one file, with the file before and after. Each row names its licence.",
        "Made with `octopack data commitpack`; `manifest.json` has the size and the XXH3-128 hash of every file.",
        "",
        "## Columns",
        "",
        "| column | meaning |",
        "|---|---|",
        *(f"| `{column}` | {meaning} |" for column, meaning in _COLUMNS.items()),
        "",
        "## Statistics",
        "",
        "| language | MB | share of MB | commits | share of commits |",
        "|---|---:|---:|---:|---:|",
        _row("**all**", folder.size, folder.rows, folder),
        *(_row(language.name, language.size, language.rows, folder) for language in by_size if language.files),
        "",
    ]
    return "\n".join(lines)


_COLUMNS = {
    "commit": "id of the commit",
    "old_file": "path before",
    "new_file": "path after (the same)",
    "old_contents": "text before; empty for a new file",
    "new_contents": "text after; empty for a deleted file",
    "subject": "first line of the message",
    "message": "the whole message",
    "lang": "programming language, by the suffix of the path",
    "license": "licence of the first repository",
    "repos": "repositories that hold the commit, separated by commas",
}


def _row(name: str, size: int, rows: int, whole: DatasetFolder) -> str:
    share_of_size = 100 * size / whole.size if whole.size else 0.0
    share_of_rows = 100 * rows / whole.rows if whole.rows else 0.0
    return f"| {name} | {size / 1e6:,.2f} | {share_of_size:.2f} % | {rows:,} | {share_of_rows:.2f} % |"


class Hub(Protocol):
    """The part of `huggingface_hub.HfApi` that publishing uses."""

    def create_repo(self, repo_id: str, *, private: bool | None, repo_type: str, exist_ok: bool) -> Any:
        """Make the data set."""

    def get_paths_info(self, repo_id: str, paths: list[str], *, repo_type: str) -> list[Any]:
        """Return what is there of some paths."""

    def upload_folder(
        self,
        *,
        repo_id: str,
        folder_path: Path,
        path_in_repo: str,
        repo_type: str,
        commit_message: str,
        allow_patterns: list[str],
    ) -> Any:
        """Upload files in one commit."""


def connect(token_variable: str) -> Hub:
    """Return the hub's client.

    Raises:
        DataError: nobody is logged in.
    """
    import huggingface_hub

    token = os.environ.get(token_variable) if token_variable else huggingface_hub.get_token()
    if not token:
        where = f"the variable {token_variable} is empty" if token_variable else "no token of the hub on this machine"
        raise DataError(f"{where}; run `hf auth login`, or name a variable with --token-variable")
    hub: Hub = huggingface_hub.HfApi(token=token)
    return hub


def push_folder(
    folder: DatasetFolder,
    name: str,
    hub: Hub,
    *,
    private: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> int:
    """Upload what the hub does not have yet, a language at a time, the card last; return the number of files uploaded.

    Raises:
        DataError: the hub refused; what was uploaded before stays, and another call goes on from there.
    """
    uploaded = 0
    try:
        hub.create_repo(name, private=private or None, repo_type="dataset", exist_ok=True)
        for language in folder.languages:
            missing = _missing(hub, name, folder.root, {f"{_DATA}/{file.path}": file for file in language.files})
            if not missing:
                continue
            report(f"{language.name}: {len(missing)} file(s), {sum(file.size for file in missing) / 1e6:,.1f} MB")
            _upload(hub, name, folder.root, _DATA, f"Add {language.name}", [file.path for file in missing])
            uploaded += len(missing)
        write_atomically(folder.root / "README.md", dataset_card(folder, name).encode())
        _upload(hub, name, folder.root, ".", "Add card and manifest", ["README.md", "manifest.json"])
    except DataError:
        raise
    except Exception as error:  # the hub's errors share no base class with those of the network below it
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(f"{name}: the hub refused ({reason}); run the same command again to go on") from error
    return uploaded + 2


def _upload(hub: Hub, name: str, root: Path, place: str, message: str, paths: list[str]) -> None:
    hub.upload_folder(
        repo_id=name,
        folder_path=root,
        path_in_repo=place,
        repo_type="dataset",
        commit_message=message,
        allow_patterns=paths,
    )


def _missing(hub: Hub, name: str, root: Path, files: Mapping[str, ShardFile]) -> list[ShardFile]:
    """Return the files that the hub does not hold with the same contents."""
    known: dict[str, str | None] = {}
    for entry in hub.get_paths_info(name, list(files), repo_type="dataset"):
        known[entry.path] = getattr(getattr(entry, "lfs", None), "sha256", None)
    return [file for path, file in files.items() if not known.get(path) or known[path] != _sha256(root / file.path)]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()
