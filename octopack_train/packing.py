"""Token layouts: tokenised examples in, rows of token ids and labels of the reference's data classes out.

Four layouts: `constant_length` (StarCoder's fine-tuning script), `windows` and `padded` (SantaCoder's), and `isolated`
rows, which TRL packs so that no document sees another.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from octopack_train.errors import TrainingError
from octopack_train.formats import Example

if TYPE_CHECKING:
    import torch

IGNORED = -100
"""Label of a token without loss: the `ignore_index` of PyTorch's cross entropy."""

RATIO_EXAMPLES = 400
"""Examples from which the reference estimates characters per token."""


class Tokenizer(Protocol):
    """What the layouts need of a transformers tokenizer."""

    eos_token: str
    eos_token_id: int

    def __call__(self, text: list[str], **options: Any) -> Any:
        """Tokenise texts: a mapping with `input_ids`."""


@dataclass(frozen=True)
class Row:
    """Token ids and labels of one row, without padding; both have the same length.

    Attributes:
        input_ids: token ids.
        labels: the same where a token is learnt.
        truncated: how many of its texts were too long and lost their end.
    """

    input_ids: list[int]
    labels: list[int]
    truncated: int = 0


def characters_per_token(examples: Iterable[Example], tokenizer: Tokenizer) -> float:
    """Return characters a token over the first 400 examples."""
    texts = [example.text for example in islice(examples, RATIO_EXAMPLES)]
    tokens = sum(len(ids) for ids in _tokenize(tokenizer, texts))
    if not tokens:
        raise TrainingError("The data set holds no text: its first 400 rows give no token.")
    return sum(map(len, texts)) / tokens


def constant_length(
    source: Callable[[], Iterable[Example]],
    tokenizer: Tokenizer,
    *,
    length: int,
    buffer_characters: float,
    loss_on_prompt: bool = True,
    seed: int | None = None,
    endless: bool = False,
) -> Iterator[Row]:
    """Yield rows of exactly `length` tokens, cut from a stream of documents that are joined by end-of-sequence tokens.

    Documents are read until their texts have `buffer_characters` characters, tokenised, joined and cut; what is left at
    the end of each buffer is dropped; documents can be cut anywhere and later ones see earlier ones. All of this is the
    reference's ConstantLengthDataset, and with `loss_on_prompt` off its TLConstantLengthDataset, which tokenises prompt
    and completion apart. Where the latter raises (a shuffled buffer without one full row), nothing is yielded here.

    Args:
        source: starts a new pass over the examples.
        tokenizer: its end-of-sequence token follows every document.
        length: tokens a row.
        buffer_characters: length x characters per token x number of sequences.
        loss_on_prompt: off: prompts get the label -100.
        seed: seed of the shuffling inside each buffer; None leaves the order.
        endless: start over at the end of the source.

    Raises:
        TrainingError: an endless stream over a source without text.
    """
    shuffle = None if seed is None else random.Random(seed).shuffle
    examples = iter(source())
    finished = False
    while not finished:
        buffer: list[Example] = []
        characters = 0
        characters_at_restart = -1
        while characters < buffer_characters:
            example = next(examples, None)
            if example is not None:
                buffer.append(example)
                characters += len(example.text)
            elif not endless:
                finished = True
                break
            elif characters == characters_at_restart:
                raise TrainingError("The data set holds no text to train on.")
            else:
                characters_at_restart = characters
                examples = iter(source())
        rows = _cut(_join(buffer, tokenizer, loss_on_prompt), length)
        if shuffle is not None:
            shuffle(rows)
        yield from rows


def _join(buffer: list[Example], tokenizer: Tokenizer, loss_on_prompt: bool) -> Row:
    ids: list[int] = []
    labels: list[int] = []
    if loss_on_prompt:
        for document in _tokenize(tokenizer, [example.text for example in buffer]):
            ids += document
            ids.append(tokenizer.eos_token_id)
        return Row(ids, ids)
    prompts = _tokenize(tokenizer, [example.prompt for example in buffer])
    completions = _tokenize(tokenizer, [example.completion for example in buffer], add_special_tokens=False)
    for prompt, completion in zip(prompts, completions, strict=True):
        ids += [*prompt, *completion, tokenizer.eos_token_id]
        labels += [*[IGNORED] * len(prompt), *completion, tokenizer.eos_token_id]
    return Row(ids, labels)


def _cut(stream: Row, length: int) -> list[Row]:
    starts = range(0, len(stream.input_ids) - length + 1, length)
    return [Row(stream.input_ids[at : at + length], stream.labels[at : at + length]) for at in starts]


def windows(examples: Sequence[Example], tokenizer: Tokenizer, window: int) -> list[Row]:
    """Pack whole examples greedily into windows, with loss on everything (`--data_packing` of the reference).

    Each example is truncated to the window. A window is closed as soon as the next example would make it `window`
    tokens or more, so only an example that alone is too long fills one. A first example that long leaves an empty row
    before it, as in the reference.
    """
    texts = [example.text + tokenizer.eos_token for example in examples]
    rows: list[Row] = []
    packed: list[int] = []
    truncated = 0
    for ids in _tokenize(tokenizer, texts):
        if len(packed) + len(ids) >= window:
            rows.append(Row(packed, packed, truncated))
            packed, truncated = [], 0
        packed = packed + ids[:window]
        truncated += len(ids) > window
    if packed:
        rows.append(Row(packed, packed, truncated))
    return rows


def padded(examples: Sequence[Example], tokenizer: Tokenizer, window: int, *, loss_on_prompt: bool) -> list[Row]:
    """One row an example, truncated to the window, to be padded with the end-of-sequence token.

    The reference looks for the first end-of-sequence token to find where padding begins. One that stands inside the
    text ends the labels there; inside the prompt, with loss on the completion only, it makes the labels longer than the
    window and the run crash. Here such a row keeps the labels of its real end instead.
    """
    texts = [example.text + tokenizer.eos_token for example in examples]
    prompts = [example.prompt for example in examples]
    rows: list[Row] = []
    for whole, prompt in zip(_tokenize(tokenizer, texts), _tokenize(tokenizer, prompts), strict=True):
        ids = whole[:window]
        # An end token is only searched where the padded row ends in one: a row cut in the middle has labels to its end.
        padded_row_ends = len(ids) < window or ids[-1] == tokenizer.eos_token_id
        end = ids.index(tokenizer.eos_token_id) if padded_row_ends else len(ids) - 1
        start = 0 if loss_on_prompt else min(len(prompt), window)
        if end < start - 1:
            end = len(ids) - 1
        labels = [token if start <= at <= end else IGNORED for at, token in enumerate(ids)]
        rows.append(Row(ids, labels, int(len(whole) > window)))
    return rows


def isolated(examples: Sequence[Example], tokenizer: Tokenizer, window: int, *, loss_on_prompt: bool) -> list[Row]:
    """One row an example, truncated to the window, for TRL's best-fit packing.

    The prompt is tokenised alone, as at inference. The completion's tokens are those that follow it in the whole text;
    where the two would share a token, it is tokenised alone as well.
    """
    aligned = [example.on_token_boundary() for example in examples]
    rows: list[Row] = []
    for example, prompt, whole in zip(
        aligned,
        _tokenize(tokenizer, [example.prompt for example in aligned]),
        _tokenize(tokenizer, [example.text + tokenizer.eos_token for example in aligned]),
        strict=True,
    ):
        completion = whole[len(prompt) :]
        if whole[: len(prompt)] != prompt:
            # Many tokenizers begin every text with a token of their own, which has no place inside one.
            [completion] = _tokenize(tokenizer, [example.completion + tokenizer.eos_token], add_special_tokens=False)
        ids = prompt + completion
        labels = ids if loss_on_prompt else [IGNORED] * len(prompt) + completion
        rows.append(Row(ids[:window], labels[:window], int(len(ids) > window)))
    return rows


def _tokenize(tokenizer: Tokenizer, texts: list[str], **options: Any) -> list[list[int]]:
    if not texts:
        return []
    # verbose=False: no warning of texts that are longer than the model; they are cut afterwards.
    tokens: list[list[int]] = tokenizer(texts, verbose=False, **options)["input_ids"]
    return tokens


@dataclass(frozen=True)
class FixedWindow:
    """Collator that pads every row of a batch to one window, as SantaCoder's fine-tuning script does.

    Attributes:
        window: tokens a row.
        pad_id: 0 for packed windows, the end-of-sequence token for padded rows (reference).
    """

    window: int
    pad_id: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `attention_mask` and `labels` of shape (rows, window)."""
        import torch

        shape = (len(rows), self.window)
        batch = {
            "input_ids": torch.full(shape, self.pad_id),
            "attention_mask": torch.zeros(shape, dtype=torch.int64),
            "labels": torch.full(shape, IGNORED),
        }
        for at, row in enumerate(rows):
            used = len(row["input_ids"])
            batch["input_ids"][at, :used] = torch.tensor(row["input_ids"])
            batch["attention_mask"][at, :used] = 1
            batch["labels"][at, :used] = torch.tensor(row["labels"])
        return batch
