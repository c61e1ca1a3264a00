"""Commits laid out as text to train on: the reference's `commits_to_jsonl` layouts and those of its fine-tuning."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import Any, ClassVar, NamedTuple

import orjson

from octopack_data.pipeline import Batch, BatchFunction, Outcome, Step

END_OF_TEXT = "<|endoftext|>"

PAIR_COLUMNS = ("prompt", "completion", "inputs", "targets")
"""Columns of laid-out text, by the names that the steps here give them."""


class Pair(NamedTuple):
    """What a model is given, and what it should write."""

    inputs: str
    targets: str


class CommitLayout(str, Enum):
    """The layouts by name.

    The first three are the reference's `commits_to_jsonl.py` (Megatron pretraining), which puts the end-of-text token
    behind the target; the others are its SantaCoder fine-tuning, where the trainer adds it; `instruction` is the plain
    one of the OctoCoder set.
    """

    PREPARE = "prepare"
    PREPARE_CODE = "prepare-code"
    PREPARE_BIGCODE = "prepare-bigcode"
    COMMIT = "commit"
    LOSS_ON_INSTRUCTION = "loss-on-instruction"
    LINE_DIFF = "line-diff"
    FLAN = "flan"
    INSTRUCTION = "instruction"


def prepare(row: Mapping[str, Any]) -> Pair:
    """Old code in, message and new code out."""
    return Pair(
        f"<commit_before>{row['old_contents']}<commit_msg>",
        f"{row['subject']}<commit_after>{row['new_contents']}{END_OF_TEXT}",
    )


def prepare_code(row: Mapping[str, Any]) -> Pair:
    """The same with code fences instead of tags."""
    return Pair(f"```\n{row['old_contents']}\n```\n", f"{row['subject']}\n```\n{row['new_contents']}\n```{END_OF_TEXT}")


def prepare_bigcode(row: Mapping[str, Any], with_name: bool) -> Pair:
    """`prepare`, with the base name of the file in front of half of the rows (StarCoder's pretraining)."""
    pair = prepare(row)
    if not with_name:
        return pair
    return Pair(f"<filename>{row['old_file'].split('/')[-1]}{pair.inputs}", pair.targets)


def instruction(row: Mapping[str, Any]) -> Pair:
    """Message and old code in, new code out: the rows of CommitPackFT in the OctoCoder set."""
    return Pair(f"{row['subject']}\n{row['old_contents']}", row["new_contents"])


def flips_to_name(seed: int, commit: str) -> bool:
    """Toss the coin of `prepare_bigcode` for a commit; the reference's was unseeded."""
    return random.Random(blake2b(f"{seed}:{commit}".encode(), digest_size=8).digest()).random() < 0.5


def required_columns(layout: CommitLayout, file_name: bool = False) -> tuple[str, ...]:
    """Return the text columns that a row must have."""
    columns = ("subject", "old_contents", "new_contents")
    if layout is CommitLayout.PREPARE_BIGCODE:
        return (*columns, "commit", "old_file")
    return (*columns, "old_file") if file_name else columns


def layout_function(
    layout: CommitLayout, seed: int = 0, file_name: bool = False
) -> Callable[[Mapping[str, Any]], Pair]:
    """Return the function from a commit to its text.

    Args:
        layout: which.
        seed: of the coin of `prepare-bigcode`.
        file_name: put the base name of the old file in front (fine-tuning layouts).
    """
    from octopack_train.formats import Format, Layout  # the one place where these layouts are written down

    if layout is CommitLayout.PREPARE:
        return prepare
    if layout is CommitLayout.PREPARE_CODE:
        return prepare_code
    if layout is CommitLayout.PREPARE_BIGCODE:
        return lambda row: prepare_bigcode(row, flips_to_name(seed, row["commit"]))
    if layout is CommitLayout.INSTRUCTION:
        return instruction
    template = {
        CommitLayout.COMMIT: Layout(Format.COMMIT, {}, file_name),
        CommitLayout.LOSS_ON_INSTRUCTION: Layout(Format.COMMIT, {}, file_name, message_in_target=True),
        CommitLayout.LINE_DIFF: Layout(Format.LINE_DIFF, {}, file_name),
        CommitLayout.FLAN: Layout(Format.INSTRUCTION_INPUT_OUTPUT, {}, file_name),
    }[layout]

    def lay_out(row: Mapping[str, Any]) -> Pair:
        example = template.example(row)
        return Pair(example.prompt, example.completion)

    return lay_out


@dataclass(frozen=True)
class Formats(Step):
    """Writes every commit in a layout.

    Attributes:
        layout: which.
        seed: of the coin of `prepare-bigcode`.
        file_name: put the base name of the old file in front (fine-tuning layouts).
        keys: names of the two columns written.
    """

    name: ClassVar[str] = "formats"

    layout: CommitLayout
    seed: int = 0
    file_name: bool = False
    keys: tuple[str, str] = ("inputs", "targets")

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on the layout
        """What the layout reads."""
        return required_columns(self.layout, self.file_name)

    @property
    def reasons(self) -> tuple[str, ...]:
        """No row is dropped."""
        return ()

    def config(self) -> Mapping[str, object]:
        """Everything that changes the output."""
        return {
            "layout": self.layout.value,
            "seed": self.seed,
            "file_name": self.file_name,
            "keys": list(self.keys),
        }

    def start(self) -> BatchFunction:
        """Return the function."""
        lay_out = layout_function(self.layout, self.seed, self.file_name)
        keys = self.keys

        def function(batch: Batch) -> Outcome:
            return Outcome(kept=[orjson.dumps(dict(zip(keys, lay_out(row), strict=True))) for row in batch.rows])

        return function
