"""Where input comes from: local files and folders, or files of a data set on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from octopack_data.errors import DataError
from octopack_data.pipeline import Unit, discover_units

HUB_PREFIX = "hf://datasets/"


def resolve(source: str) -> Path:
    """Return the local path of one input.

    Args:
        source: a path, or `hf://datasets/ORG/NAME[/FOLDER or FILE]`, which is downloaded into the hub's own cache.

    Raises:
        DataError: the hub gave nothing, or the name is incomplete.
    """
    if not source.startswith(HUB_PREFIX):
        return Path(source).expanduser()
    parts = source.removeprefix(HUB_PREFIX).strip("/").split("/")
    if len(parts) < 2:
        raise DataError(f"{source}: expected {HUB_PREFIX}ORG/NAME, then perhaps a folder or file of it")
    repository, inside = "/".join(parts[:2]), "/".join(parts[2:])
    from huggingface_hub import snapshot_download

    patterns = [inside, f"{inside}/*"] if inside else None
    try:
        root = Path(snapshot_download(repository, repo_type="dataset", allow_patterns=patterns))
    except Exception as error:  # the hub's errors share no base class with those of the network below it
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{source}: the hub gave nothing ({reason}); check the name and the network, "
            "log in with `hf auth login` if it is gated, or give a local folder"
        ) from error
    path = root / inside
    if not path.exists():
        raise DataError(f"{source}: the data set has no {inside!r}")
    return path


def units_of(sources: Sequence[str]) -> list[Unit]:
    """Return one unit for each shard of the given inputs (see `resolve` and `discover_units`)."""
    return discover_units([resolve(source) for source in sources])
