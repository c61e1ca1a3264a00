"""Data sets that are made in one piece: what a batch step cannot do, such as a draw over several files.

Like a unit of the engine, a build is written atomically, leaves a manifest, and is not made again while its input and
configuration are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from octopack_data.shards import atomic_file, fingerprint_of, write_atomically

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Build:
    """What is made, from what.

    Attributes:
        name: of the kind of data set.
        config: everything that decides the bytes of the output apart from the input, as plain JSON values.
        inputs: files that are read, in order.
        output: folder of the results.
    """

    name: str
    config: Mapping[str, Any]
    inputs: Sequence[Path]
    output: Path

    def recipe(self) -> dict[str, Any]:
        """Return the part of the manifest that is known beforehand."""
        hashes = [{"name": path.name, "xxh3": fingerprint_of(path).hexdigest()} for path in self.inputs]
        config = dict(self.config)
        digest = hashlib.sha256(orjson.dumps(config, option=orjson.OPT_SORT_KEYS)).hexdigest()
        return {"build": self.name, "config": config, "config_hash": digest, "inputs": hashes}

    def manifest_if_done(self) -> dict[str, Any] | None:
        """Return the manifest of the output folder if it belongs to this build and its files are all there."""
        path = self.output / MANIFEST
        if not path.is_file():
            return None
        try:
            manifest: dict[str, Any] = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError:
            return None
        recipe = self.recipe()
        if any(manifest.get(key) != value for key, value in recipe.items()):
            return None
        for output in manifest["outputs"]:
            file = self.output / output["path"]
            if not file.is_file() or file.stat().st_size != output["size"]:
                return None
        return manifest

    def write(self, files: Mapping[str, Iterable[bytes]], facts: Mapping[str, Any]) -> dict[str, Any]:
        """Write the output files (lines without line ends, by name), then the manifest, and return the manifest.

        Args:
            files: lines of each file.
            facts: what else the manifest says, such as counts.

        Raises:
            DataError: disk full, no permission.
        """
        outputs = []
        for name, lines in files.items():
            rows = 0
            path = self.output / name
            with atomic_file(path) as file:
                for line in lines:
                    file.write(line + b"\n")
                    rows += 1
            fingerprint = fingerprint_of(path)
            outputs.append({"path": name, "rows": rows, "size": fingerprint.size, "xxh3": fingerprint.hexdigest()})
        manifest = {**self.recipe(), **facts, "outputs": outputs}
        option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        write_atomically(self.output / MANIFEST, orjson.dumps(manifest, option=option))
        return manifest
