"""Megatron's indexed data sets: `PREFIX.bin` holds tokens, `PREFIX.idx` says where each sequence lies.

Layout of the index, little-endian: the nine bytes `MMIDIDX` and two zeros; version 1 (uint64); code of the token type
(uint8); number of sequences and of document boundaries (uint64 each); sequence lengths in tokens (int32); sequence
offsets in bytes (int64); document boundaries as sequence numbers, beginning with 0 (int64).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from octopack_train.errors import TrainingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
_HEADER = struct.Struct("<QBQQ")
_CODES: dict[int, type[np.generic]] = {
    1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 6: np.float64, 7: np.float32, 8: np.uint16,
}  # fmt: skip
_UINT16_VOCABULARY = 65500
"""Vocabularies below this are stored in two bytes a token (Megatron's own rule)."""


def token_type(vocabulary: int) -> type[np.generic]:
    """Return the type in which Megatron stores tokens of such a vocabulary."""
    return np.uint16 if vocabulary < _UINT16_VOCABULARY else np.int32


class IndexedWriter:
    """Writes one indexed data set; the two files appear under their names when the writer is closed.

    Use as a context manager: after an error nothing is left behind.
    """

    def __init__(self, prefix: Path, dtype: type[np.generic]) -> None:
        self._targets = (Path(f"{prefix}.bin"), Path(f"{prefix}.idx"))
        self._partials = tuple(path.with_name(f"{path.name}.partial") for path in self._targets)
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        self._lengths: list[int] = []
        self._documents = [0]

    def __enter__(self) -> IndexedWriter:
        self._tokens = self._partials[0].open("wb")
        return self

    def add_document(self, tokens: Sequence[int]) -> None:
        """Add a document of one sequence; an empty one counts as a document without sequences, as in Megatron."""
        if len(tokens):
            self._tokens.write(np.asarray(tokens, dtype=self._dtype).tobytes())
            self._lengths.append(len(tokens))
        self._documents.append(len(self._lengths))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._tokens.close()  # may find the disk full
            if kind is None:
                self._write_index()
                for partial, target in zip(self._partials, self._targets, strict=True):
                    partial.replace(target)
        finally:
            for partial in self._partials:
                partial.unlink(missing_ok=True)

    def _write_index(self) -> None:
        lengths = np.asarray(self._lengths, dtype=np.int32)
        ends = np.cumsum(lengths, dtype=np.int64) * self._dtype.itemsize
        offsets = np.concatenate([np.zeros(1, np.int64), ends])[: len(lengths)]
        code = next(code for code, kind in _CODES.items() if np.dtype(kind) == self._dtype)
        with self._partials[1].open("wb") as index:
            index.write(MAGIC)
            index.write(_HEADER.pack(VERSION, code, len(lengths), len(self._documents)))
            index.write(lengths.tobytes())
            index.write(offsets.astype(np.int64).tobytes())
            index.write(np.asarray(self._documents, dtype=np.int64).tobytes())


class IndexedReader:
    """Reads an indexed data set by memory map.

    Attributes:
        lengths: tokens of each sequence.
        documents: document boundaries as sequence numbers, beginning with 0.
    """

    def __init__(self, prefix: Path) -> None:
        index = Path(f"{prefix}.idx")
        if not index.is_file():
            raise TrainingError(f"There is no indexed data set {prefix}: {index} is missing.")
        content = index.read_bytes()
        if not content.startswith(MAGIC):
            raise TrainingError(f"{index} is not an index of Megatron: it does not begin with {MAGIC!r}.")
        at = len(MAGIC) + _HEADER.size
        if len(content) < at:
            raise TrainingError(f"{index} is damaged: it ends after {len(content)} bytes.")
        version, code, sequences, documents = _HEADER.unpack(content[len(MAGIC) : at])
        if version != VERSION or code not in _CODES or len(content) < at + 12 * sequences + 8 * documents:
            raise TrainingError(f"{index} is damaged (version {version}, type {code}, {len(content)} bytes).")
        self.lengths: NDArray[np.int32] = np.frombuffer(content, np.int32, sequences, at)
        self._offsets = np.frombuffer(content, np.int64, sequences, at + 4 * sequences)
        self.documents: NDArray[np.int64] = np.frombuffer(content, np.int64, documents, at + 12 * sequences)
        self._dtype: np.dtype[Any] = np.dtype(_CODES[code])
        tokens = Path(f"{prefix}.bin")
        size = tokens.stat().st_size if tokens.is_file() else -1
        if size != int(self.lengths.sum(dtype=np.int64)) * self._dtype.itemsize:
            raise TrainingError(f"{tokens} does not belong to {index}: it has {size} bytes.")
        self._tokens = np.memmap(tokens, np.uint8, "r") if size else np.empty(0, np.uint8)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, sequence: int) -> NDArray[Any]:
        return np.frombuffer(self._tokens, self._dtype, int(self.lengths[sequence]), int(self._offsets[sequence]))
