"""Publishing: what would go, what goes, and what is refused; the hub is a stand-in with its client's interface."""

from __future__ import annotations

import hashlib
import inspect
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from octopack_data.commitpack.publish import connect, dataset_card, push_folder, read_folder
from octopack_data.commitpack.shard import PUBLISHED_COLUMNS, ShardStep, units_by_language
from octopack_data.errors import DataError
from octopack_data.executors import run_units
from octopack_data.pipeline import Job, summarise


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for language, rows in (("Python", 8), ("C", 2)):
        folder = tmp_path / "in" / language.lower()
        folder.mkdir(parents=True)
        lines = [json.dumps(dict.fromkeys(PUBLISHED_COLUMNS, "x") | {"lang": language}) + "\n" for _ in range(rows)]
        (folder / "a.jsonl").write_text("".join(lines))
    units = units_by_language([tmp_path / "in"])
    job = Job(ShardStep(limit=600), tmp_path / "final")
    run_units(job, units)
    summarise(job, units)
    return tmp_path / "final"


@dataclass
class FakeHub:
    """Holds files in memory; refuses the upload with number `refuse_at`."""

    files: dict[str, bytes] = field(default_factory=dict)
    uploads: list[str] = field(default_factory=list)
    created: list[tuple[str, Any]] = field(default_factory=list)
    refuse_at: int = -1

    def create_repo(self, repo_id: str, *, private: bool | None, repo_type: str, exist_ok: bool) -> None:
        assert repo_type == "dataset"
        assert exist_ok
        self.created.append((repo_id, private))

    def get_paths_info(self, repo_id: str, paths: list[str], *, repo_type: str) -> list[Any]:
        return [
            SimpleNamespace(path=path, lfs=SimpleNamespace(sha256=hashlib.sha256(self.files[path]).hexdigest()))
            for path in paths
            if path in self.files
        ]

    def upload_folder(
        self,
        *,
        repo_id: str,
        folder_path: Path,
        path_in_repo: str,
        repo_type: str,
        commit_message: str,
        allow_patterns: list[str],
    ) -> None:
        if len(self.uploads) == self.refuse_at:
            raise ConnectionError("500 Server Error\nmore lines")
        self.uploads.append(commit_message)
        for path in allow_patterns:
            place = path if path_in_repo == "." else f"{path_in_repo}/{path}"
            self.files[place] = (folder_path / path).read_bytes()


def test_the_stand_in_has_the_clients_interface() -> None:
    hub = pytest.importorskip("huggingface_hub").HfApi
    for name in ("create_repo", "get_paths_info", "upload_folder"):
        ours = set(inspect.signature(getattr(FakeHub, name)).parameters)
        assert ours <= set(inspect.signature(getattr(hub, name)).parameters), name


def test_everything_goes_and_only_once(dataset: Path) -> None:
    hub = FakeHub()
    folder = read_folder(dataset)
    shards = sum(len(language.files) for language in folder.languages)
    assert push_folder(folder, "org/name", hub, private=True) == shards + 2
    assert hub.created == [("org/name", True)]
    assert hub.uploads == ["Add c", "Add python", "Add card and manifest"]
    assert "data/python/python-0001.jsonl" in hub.files
    assert {"README.md", "manifest.json"} < set(hub.files)
    assert not [path for path in hub.files if "octopack" in path]
    push_folder(folder, "org/name", hub)
    assert hub.uploads[3:] == ["Add card and manifest"]


def test_a_refused_upload_goes_on_where_it_was(dataset: Path) -> None:
    hub = FakeHub(refuse_at=1)
    with pytest.raises(DataError, match=r"the hub refused \(500 Server Error\); run the same command again"):
        push_folder(read_folder(dataset), "org/name", hub)
    hub.refuse_at = -1
    push_folder(read_folder(dataset), "org/name", hub)
    assert hub.uploads == ["Add c", "Add python", "Add card and manifest"]


def test_the_card_counts(dataset: Path) -> None:
    folder = read_folder(dataset)
    card = dataset_card(folder, "org/name")
    head = yaml.safe_load(card.split("---")[1])
    assert head["size_categories"] == ["n<1K"]
    assert [c["config_name"] for c in head["configs"]] == ["default", "c", "python"]
    assert head["configs"][2]["data_files"] == "data/python/*"
    size = sum(path.stat().st_size for path in (dataset / "python").iterdir())
    share = 100 * size / folder.size
    assert f"| python | {size / 1e6:,.2f} | {share:.2f} % | 8 | 80.00 % |" in card
    assert "| **all** |" in card


def test_what_is_not_whole_is_not_published(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no manifest\.json"):
        read_folder(tmp_path)
    shard = dataset / "python/python-0001.jsonl"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + b" ")
    with pytest.raises(DataError, match="contents differ from the manifest"):
        read_folder(dataset)
    read_folder(dataset, verify=False)
    shard.write_bytes(whole[:-1])
    with pytest.raises(DataError, match="not as large as the manifest says"):
        read_folder(dataset)
    for other in ('{"step": "commitpack-scrape", "units": []}', "[]"):
        (dataset / "manifest.json").write_text(other)
        with pytest.raises(DataError, match="publish takes the output of `shard`"):
            read_folder(dataset)


def test_nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.delenv("EMPTY_TOKEN", raising=False)
    with pytest.raises(DataError, match="EMPTY_TOKEN is empty; run `hf auth login`"):
        connect("EMPTY_TOKEN")
