import gzip
import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from octopack_train import packing
from octopack_train.errors import TrainingError
from octopack_train.formats import Example
from octopack_train.packing import IGNORED, FixedWindow, Row, constant_length, isolated, padded, windows

END = 0


class Characters:
    """A tokenizer with one token a character; `|` is the end of a sequence."""

    eos_token = "|"
    eos_token_id = END

    begin = ""
    """What every text begins with."""

    def __call__(self, text: list[str], add_special_tokens: bool = True, **_: Any) -> dict[str, Any]:
        begin = self.begin if add_special_tokens else ""
        return {"input_ids": [[END if letter == "|" else ord(letter) for letter in begin + part] for part in text]}


class BeginningCharacters(Characters):
    """As Llama's, which puts a token of its own in front of every text."""

    begin = "^"


class BlankCharacters(Characters):
    """As SentencePiece, which puts a blank in front of every text, special tokens wanted or not."""

    def __call__(self, text: list[str], add_special_tokens: bool = True, **_: Any) -> dict[str, Any]:
        return super().__call__([f"_{part}" for part in text])


TOKENIZER = Characters()


def shown(rows: list[Row]) -> list[str]:
    return ["".join("|" if token == END else chr(token) for token in row.input_ids) for row in rows]


def learnt(rows: list[Row]) -> list[str]:
    return ["".join("." if x == IGNORED else "|" if x == END else chr(x) for x in row.labels) for row in rows]


def test_constant_length_joins_cuts_and_drops_the_rest_of_each_buffer():
    texts = [Example("", "abc"), Example("", "de"), Example("", "fghij"), Example("", "k")]
    rows = list(constant_length(lambda: texts, TOKENIZER, length=4, buffer_characters=5))
    assert shown(rows) == ["abc|", "fghi"]  # buffers: abc|de| and fghij| and k|


def test_constant_length_with_loss_on_the_completion_only():
    texts = [Example("Q:", "ab"), Example("Q:", "c")]
    rows = list(constant_length(lambda: texts, TOKENIZER, length=3, buffer_characters=99, loss_on_prompt=False))
    assert shown(rows) == ["Q:a", "b|Q", ":c|"]
    assert learnt(rows) == ["..a", "b|.", ".c|"]


def test_shuffling_is_seeded_and_stays_inside_a_buffer():
    texts = [Example("", letter * 40) for letter in "ab"]
    orders = [
        shown(list(constant_length(lambda: texts, TOKENIZER, length=5, buffer_characters=40, seed=seed)))
        for seed in (0, 0, 1)
    ]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2] or set(orders[0][:8]) == {"aaaaa"}
    assert all("b" not in "".join(order[:8]) for order in orders)


def test_an_endless_stream_starts_over():
    rows = constant_length(lambda: [Example("", "abc")], TOKENIZER, length=4, buffer_characters=8, endless=True)
    assert shown(list(islice(rows, 5))) == ["abc|"] * 5


@pytest.mark.parametrize("source", [[], [Example("", "")]])
def test_an_endless_stream_without_text_is_an_error_and_no_endless_loop(source: list[Example]):
    with pytest.raises(TrainingError, match="no text"):
        next(constant_length(lambda: source, TOKENIZER, length=4, buffer_characters=8, endless=True))


def test_windows_are_never_quite_full():
    texts = [Example("ab", "c"), Example("d", "efg")]  # 4 and 5 tokens with their ends
    assert shown(windows(texts, TOKENIZER, 10)) == ["abc|defg|"]
    assert shown(windows(texts, TOKENIZER, 9)) == ["abc|", "defg|"]


def test_a_first_text_that_fills_the_window_leaves_an_empty_row_before_it():
    rows = windows([Example("", "abcdefgh")], TOKENIZER, 4)
    assert shown(rows) == ["", "abcd"]


def test_padded_rows_learn_the_completion_and_one_end():
    rows = padded([Example("ab", "cd"), Example("abcd", "efgh")], TOKENIZER, 6, loss_on_prompt=False)
    assert shown(rows) == ["abcd|", "abcdef"]
    assert learnt(rows) == ["..cd|", "....ef"]


def test_an_end_token_inside_the_text_ends_the_labels_as_in_the_reference():
    rows = padded([Example("ab", "c|d")], TOKENIZER, 8, loss_on_prompt=True)
    assert learnt(rows) == ["abc|.."]


def test_an_end_token_inside_the_prompt_does_not_crash_the_run():
    rows = padded([Example("a|bc", "de")], TOKENIZER, 9, loss_on_prompt=False)
    assert learnt(rows) == ["....de|"]


def test_isolated_rows_move_a_blank_to_the_completion():
    rows = isolated([Example("Q: ", "ab")], TOKENIZER, 9, loss_on_prompt=False)
    assert shown(rows) == ["Q: ab|"]
    assert learnt(rows) == [".. ab|"]


def test_what_a_tokenizer_puts_in_front_of_a_text_is_not_in_front_of_its_completion():
    example = Example("Q\n", "ab")
    for tokenizer, begin in ((BeginningCharacters(), "^"), (BlankCharacters(), "_")):
        rows = isolated([example], tokenizer, 9, loss_on_prompt=False)
        assert shown(rows) == [f"{begin}Q\nab|"]
        assert learnt(rows) == ["...ab|"]
    rows = list(
        constant_length(lambda: [example], BeginningCharacters(), length=6, buffer_characters=4, loss_on_prompt=False)
    )
    assert learnt(rows) == ["...ab|"]


def test_texts_that_lose_their_end_are_counted():
    texts = [Example("ab", "cdef"), Example("g", ""), Example("hijk", "l")]
    for rows in (
        windows(texts, TOKENIZER, 4),
        padded(texts, TOKENIZER, 4, loss_on_prompt=False),
        isolated(texts, TOKENIZER, 4, loss_on_prompt=False),
    ):
        assert [row.truncated for row in rows if row.input_ids] == [1, 0, 1]
        assert max(len(row.input_ids) for row in rows) == 4


def test_fixed_windows_pad_ids_mask_and_labels():
    batch = FixedWindow(4, pad_id=9)([{"input_ids": [1, 2], "labels": [IGNORED, 2]}])
    assert {name: tensor.tolist() for name, tensor in batch.items()} == {
        "input_ids": [[1, 2, 9, 9]],
        "attention_mask": [[1, 1, 0, 0]],
        "labels": [[IGNORED, 2, IGNORED, IGNORED]],
    }


class TestAgainstTheReference:
    """Token by token against what the reference's data classes gave."""

    @pytest.fixture
    def recorded(self, shared: Path) -> list[dict[str, Any]]:
        with gzip.open(shared / "golden/data/training_tokens.jsonl.gz", "rt", encoding="utf-8") as rows:
            return [json.loads(row) for row in rows]

    @pytest.fixture
    def tokenizer(self, smollm2: Path) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(str(smollm2))

    def test_characters_per_token(self, recorded: list[dict[str, Any]], tokenizer: Any):
        row = next(row for row in recorded if row["kind"] == "pairs")
        examples = [question_answer(pair) for pair in row["pairs"]]
        assert packing.characters_per_token(examples, tokenizer) == row["chars_per_token_measured"]

    def test_constant_length(self, recorded: list[dict[str, Any]], tokenizer: Any):
        pairs = next(row for row in recorded if row["kind"] == "pairs")["pairs"]
        cases = [row for row in recorded if row["kind"] == "packed"]
        assert cases
        for row in cases:
            examples = [question_answer(pair) for pair in pairs[: row.get("pairs_used")]]
            if row["dataset"] == "all_tokens_one_column":
                examples = [Example("", f"{pair['prompt']}\n{pair['completion']}") for pair in pairs]
            found = list(
                islice(
                    constant_length(
                        lambda examples=examples: examples,
                        tokenizer,
                        length=row["seq_length"],
                        buffer_characters=row["seq_length"] * row["chars_per_token"] * row["num_of_sequences"],
                        loss_on_prompt=row["dataset"] != "targets_only",
                        seed=row["python_random_seed"] if row["shuffle"] else None,
                        endless=row["infinite"],
                    ),
                    row["blocks_taken"],
                )
            )
            labels = row["input_ids"] if row["labels"] == "same as input_ids" else row["labels"]
            assert [block.input_ids for block in found] == row["input_ids"], row["id"]
            assert [block.labels for block in found] == labels, row["id"]

    def test_windows_and_padded_rows(self, recorded: list[dict[str, Any]], tokenizer: Any):
        pairs = next(row for row in recorded if row["kind"] == "preprocess_pairs")["pairs"]
        cases = [row for row in recorded if row["kind"] in ("preprocess", "preprocess_special")]
        assert cases
        for row in cases:
            given = row.get("pairs", pairs)
            examples = [Example(pair["input"], pair["output"]) for pair in given]
            if row.get("order") == "reversed":
                examples.reverse()
            if row["packing"] and row["is_train"]:
                rows, pad_id = windows(examples, tokenizer, row["window"]), 0
            else:
                rows = padded(examples, tokenizer, row["window"], loss_on_prompt=row["compute_loss_on_input"])
                pad_id = tokenizer.eos_token_id
            batch = FixedWindow(row["window"], pad_id)([vars(found) for found in rows])
            assert batch["input_ids"].tolist() == row["input_ids"], row["id"]
            assert batch["attention_mask"].tolist() == row["attention_mask"], row["id"]
            # Rows whose labels are longer than the window made the reference crash; ours train on their completion.
            crashed = row.get("label_lengths_not_equal_window", [])
            for at, labels in enumerate(batch["labels"].tolist()):
                if at not in crashed:
                    assert labels == row["labels"][at], (row["id"], at)


def question_answer(pair: dict[str, str]) -> Example:
    return Example(f"Question: {pair['prompt']}\n\nAnswer: ", pair["completion"])
