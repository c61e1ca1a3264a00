"""JSON lines into Megatron's indexed data sets, with target masks and the weight files of its training scripts."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from octopack_train.errors import TrainingError
from octopack_train.faults import downloads, writing
from octopack_train.megatron.indexed import IndexedWriter, token_type
from octopack_train.run_folder import write_text

END_OF_TEXT = "<|endoftext|>"
_CHUNK = 1000
"""Rows tokenised at a time (`--chunk-size` of the reference's scripts)."""


@dataclass(frozen=True)
class Preparation:
    """What to write.

    Attributes:
        sources: JSON-lines files.
        prefix: start of the written files' names.
        tokenizer: `tokenizer.json`, folder or hub name.
        keys: text columns; each becomes the data set `PREFIX_KEY_document`.
        append_end: columns whose texts get an end-of-text token.
        commits: rows are commits: write the one column `text`, which is
            `<commit_before>old<commit_msg>subject<commit_after>new`.
        joined: also write `PREFIX_text_document` (inputs and targets in one sequence) and, token by token,
            `PREFIX_mask_document` (1 on targets).
        max_tokens: leave out rows with more tokens over all columns.
        train_share: share of the rows in the training weights file.
        seed: seed of the shuffling; None keeps the order.
        deduplicate: write equal lines once.
    """

    sources: Sequence[Path]
    prefix: Path
    tokenizer: str
    keys: Sequence[str] = ("inputs", "targets")
    append_end: frozenset[str] = field(default_factory=frozenset)
    commits: bool = False
    joined: bool = False
    max_tokens: int | None = None
    train_share: float = 0.95
    seed: int | None = 0
    deduplicate: bool = True

    def __post_init__(self) -> None:
        if not self.columns or len(set(self.columns)) < len(self.columns):
            raise TrainingError(f"--keys {','.join(self.keys)!r}: name text columns, each once.")
        unknown = self.append_end - set(self.columns)
        if unknown:
            raise TrainingError(f"--append-end names {', '.join(sorted(unknown))}, which is not among --keys.")
        if self.joined and len(self.columns) != 2:
            raise TrainingError("--joined needs two --keys: what is given and what is learnt.")
        if not 0 < self.train_share < 1:
            raise TrainingError(f"--train-share {self.train_share} must lie between 0 and 1.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The text columns that are written."""
        return ("text",) if self.commits else tuple(self.keys)


@dataclass(frozen=True)
class Prepared:
    """What was written.

    Attributes:
        rows: rows in each data set.
        duplicates: lines left out because an equal one was there.
        empty: rows left out because a column holds no token.
        too_long: rows left out because of `max_tokens`.
        tokens: tokens by column.
        prefixes: data sets.
        weights: weight files for training and validation.
    """

    rows: int
    duplicates: int
    empty: int
    too_long: int
    tokens: Mapping[str, int]
    prefixes: Sequence[Path]
    weights: Sequence[Path]


def prepare(preparation: Preparation) -> Prepared:
    """Write the data sets and the weight files.

    Raises:
        TrainingError: a file is missing, a line is not a JSON object with the columns as text, no row is left.
    """
    lines, duplicates = _line_offsets(preparation)
    tokenizer, end, vocabulary = _tokenizer(preparation.tokenizer)
    if preparation.seed is not None:
        random.Random(preparation.seed).shuffle(lines)
    columns = preparation.columns
    prefixes = [Path(f"{preparation.prefix}_{column}_document") for column in columns]
    extra = [Path(f"{preparation.prefix}_{name}_document") for name in ("text", "mask")] if preparation.joined else []
    counted = dict.fromkeys(columns, 0)
    rows = too_long = empty = 0
    with writing(preparation.prefix.parent), ExitStack() as stack:
        preparation.prefix.parent.mkdir(parents=True, exist_ok=True)
        writers = [stack.enter_context(IndexedWriter(prefix, token_type(vocabulary))) for prefix in prefixes]
        if preparation.joined:
            text_writer = stack.enter_context(IndexedWriter(extra[0], token_type(vocabulary)))
            mask_writer = stack.enter_context(IndexedWriter(extra[1], token_type(2)))
        for chunk in _chunks(preparation, lines):
            tokenized = [tokenizer([row[column] for row in chunk]) for column in columns]
            for documents in zip(*tokenized, strict=True):
                if not all(documents):
                    # Megatron pairs inputs and targets by sequence number, and an empty text has no sequence.
                    empty += 1
                    continue
                if preparation.max_tokens is not None and sum(map(len, documents)) > preparation.max_tokens:
                    too_long += 1
                    continue
                ended = [
                    [*tokens, end] if column in preparation.append_end else tokens
                    for column, tokens in zip(columns, documents, strict=True)
                ]
                for column, tokens, writer in zip(columns, ended, writers, strict=True):
                    writer.add_document(tokens)
                    counted[column] += len(tokens)
                if preparation.joined:
                    text_writer.add_document(ended[0] + ended[1])
                    mask_writer.add_document([0] * len(ended[0]) + [1] * len(ended[1]))
                rows += 1
        if not rows:
            raise TrainingError("No row is left to write: check --max-tokens and the input files.")
        weights = _write_weights(preparation)
    return Prepared(rows, duplicates, empty, too_long, counted, [*prefixes, *extra], weights)


def _write_weights(preparation: Preparation) -> list[Path]:
    """Write what Megatron's `--train-weighted-split-paths-path` reads: name, weight, share of the rows and prefix."""
    share, prefix = f"{preparation.train_share:g}", preparation.prefix.resolve()
    if preparation.commits:
        prefix = prefix.with_name(f"{prefix.name}_text_document")
    contents = {"train": f'"train: 1.0 0:{share} {prefix}"\n', "valid": f'"valid: 1.0 {share}:1.0 {prefix}"\n'}
    files = []
    for name, content in contents.items():
        file = preparation.prefix.with_name(f"{preparation.prefix.name}_{name}_data_paths.txt.tmp")
        write_text(file, content)
        files.append(file)
    return files


def _line_offsets(preparation: Preparation) -> tuple[list[tuple[int, int]], int]:
    """Return (file, offset) of every line to keep, and how many equal lines were left out.

    Only digests and offsets stay in memory, so the input can be larger than it.
    """
    seen: set[bytes] = set()
    offsets: list[tuple[int, int]] = []
    total = 0
    for number, source in enumerate(preparation.sources):
        if not source.is_file():
            raise TrainingError(f"There is no file {source}.")
        offset = 0
        with source.open("rb") as lines:
            for line in lines:
                if line.strip():
                    total += 1
                    digest = hashlib.blake2b(line.strip(), digest_size=16).digest()
                    if not preparation.deduplicate or digest not in seen:
                        seen.add(digest)
                        offsets.append((number, offset))
                offset += len(line)
    return offsets, total - len(offsets)


def _chunks(preparation: Preparation, lines: Sequence[tuple[int, int]]) -> Iterator[list[dict[str, str]]]:
    with ExitStack() as stack:
        files = [stack.enter_context(source.open("rb")) for source in preparation.sources]
        for start in range(0, len(lines), _CHUNK):
            chunk = []
            for number, offset in lines[start : start + _CHUNK]:
                files[number].seek(offset)
                chunk.append(
                    _texts(files[number].readline(), preparation, f"{preparation.sources[number]}, byte {offset}")
                )
            yield chunk


def _texts(line: bytes, preparation: Preparation, where: str) -> dict[str, str]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise TrainingError(f"{where}: not JSON ({error}).") from error
    wanted = ("old_contents", "subject", "new_contents") if preparation.commits else preparation.columns
    if not isinstance(row, dict) or not all(isinstance(row.get(column), str) for column in wanted):
        found = ", ".join(row) if isinstance(row, dict) else repr(row)[:60]
        raise TrainingError(f"{where}: needs the text columns {', '.join(wanted)}; found {found}.")
    try:
        "".join(row[column] for column in wanted).encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can write
        raise TrainingError(f"{where}: not Unicode text ({error.reason}).") from error
    if preparation.commits:
        before, message, after = (row[column] for column in wanted)
        return {"text": f"<commit_before>{before}<commit_msg>{message}<commit_after>{after}"}
    return {column: row[column] for column in wanted}


def _tokenizer(source: str) -> tuple[Any, int, int]:
    """Return a function from texts to token lists, the end-of-text token, and the size of the vocabulary."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    with downloads(f"the tokenizer {source}"):
        if Path(source).is_file():
            tokenizer: Any = PreTrainedTokenizerFast(tokenizer_file=source)  # type: ignore[no-untyped-call]
        else:
            tokenizer = AutoTokenizer.from_pretrained(source)
    end = tokenizer.get_vocab().get(END_OF_TEXT, tokenizer.eos_token_id)
    if end is None:
        raise TrainingError(f"The tokenizer {source} has neither {END_OF_TEXT} nor an end-of-sequence token.")

    def tokenize(texts: list[str]) -> list[list[int]]:
        tokens: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
        return tokens

    return tokenize, int(end), len(tokenizer)
