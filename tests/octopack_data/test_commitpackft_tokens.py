"""Token counts equal the tokenizer's own, whatever the text and wherever the counting stops."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from octopack_data.commitpackft import tokens
from octopack_data.commitpackft.tokens import ByteLevelCounter, WholeTextCounter, counter_for, load_tokenizer
from octopack_data.errors import DataError

EOT = "<|endoftext|>"
TEXT = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(
                    "def",
                    "return",
                    " ",
                    "  ",
                    "\t",
                    "\n",
                    "\n\n",
                    "\r\n",
                    "'s",
                    "'re",
                    "''",
                    "don't",
                    "(",
                    "):",
                    "x",
                    "12",
                    "0",
                ),
                *(
                    "\x0b",
                    "\x0c",
                    "\x1c",
                    "\x1d",
                    "\x85",
                    "\xa0",
                    "é",
                    "naïve",
                    "中",
                    "\u2028",
                    "٣",
                    "½",
                    "İ",
                    "_a9",
                    "<|",
                    EOT,
                ),
                *("<file_sep>", "<|endof", "text|>", "('(", "'(", "\x00", "\x7f", "a" * 60, " " * 60, "=" * 40),
            ]
        ),
        st.text(max_size=6),
        st.text(alphabet="ab 1\n'._", max_size=12),
    ),
    max_size=14,
).map("".join)


@pytest.fixture(params=["plain", "digits apart", "recorded"])
def description(request: pytest.FixtureRequest) -> str:
    name = {"plain": "tokenizer_json", "digits apart": "digits_apart_json", "recorded": "recorded_tokenizer_json"}
    return str(request.getfixturevalue(name[request.param]))


def test_counts_are_the_tokenizers(description: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counter, tokenizer = counter_for(description, "t"), Tokenizer.from_str(description)
    assert isinstance(counter, ByteLevelCounter)

    @settings(max_examples=250, deadline=None)
    @given(TEXT, TEXT, st.sampled_from([1, 5, 16, 2048]), st.integers(0, 40))
    def check(old: str, new: str, stretch: int, limit: int) -> None:
        monkeypatch.setattr(tokens, "STRETCH", stretch)
        for text in (old, new, old + new):
            assert counter.count(text, 10**9) == len(tokenizer.encode(text).ids)
        for before, after in ((old, new), (old + new, old + "x" + new), (new + old, new)):
            exact = len(tokenizer.encode(before + EOT + after).ids)
            assert counter.count_around(before, EOT, after, 10**9) == exact
            bounded = counter.count_around(before, EOT, after, limit)
            assert bounded == exact if exact <= limit else bounded > limit
            assert counter.count_around(before, "", after, 10**9) == len(tokenizer.encode(before + after).ids)

    check()


def test_long_texts_are_given_up_early(tokenizer_json: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = counter_for(tokenizer_json, "t")
    assert isinstance(counter, ByteLevelCounter)
    looked_at: list[int] = []
    count_stretch = ByteLevelCounter._count_stretch

    def spy(self: ByteLevelCounter, text: str) -> int:
        looked_at.append(len(text))
        return count_stretch(self, text)

    monkeypatch.setattr(ByteLevelCounter, "_count_stretch", spy)
    assert counter.count("value = other + 1\n" * 100_000, 768) > 768
    assert sum(looked_at) < 10_000
    looked_at.clear()
    assert counter.count_around("value = other + 1\n" * 1000, EOT, "value = other - 1\n" * 1000, 768) > 768
    assert looked_at == []


def test_a_tokenizer_of_another_structure_gets_the_whole_text(tokenizer_json: str) -> None:
    description = json.loads(tokenizer_json)
    description["pre_tokenizer"] = {"type": "Whitespace"}
    counter = counter_for(json.dumps(description), "t")
    assert isinstance(counter, WholeTextCounter)
    text = "def total(values): return values"
    assert counter.count(text, 1) == len(Tokenizer.from_str(json.dumps(description)).encode(text).ids)


def test_special_tokens_that_are_always_added_are_counted(tokenizer_json: str) -> None:
    description = json.loads(tokenizer_json)
    description["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": EOT, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {EOT: {"id": EOT, "ids": [0], "tokens": [EOT]}},
    }
    text = json.dumps(description)
    assert counter_for(text, "t").count("def", 99) == len(Tokenizer.from_str(text).encode("def").ids)
    assert counter_for(text, "t").count("def", 99) == 1 + counter_for(tokenizer_json, "t").count("def", 99)


def test_loading(tmp_path: Path, tokenizer_json: str) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(tokenizer_json, encoding="utf-8")
    assert load_tokenizer(str(file)) == load_tokenizer(str(tmp_path)) == tokenizer_json
    with pytest.raises(DataError, match="no such file"):
        load_tokenizer(str(tmp_path / "missing" / "tokenizer.json"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no tokenizer\.json in this folder"):
        load_tokenizer(str(tmp_path / "empty"))
    file.write_text('{"model": 1}', encoding="utf-8")
    with pytest.raises(DataError, match="not a tokenizer file"):
        load_tokenizer(str(file))
