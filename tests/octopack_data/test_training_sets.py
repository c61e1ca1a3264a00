"""OASST, xP3x, self-instruct, commit formats and mixes, against recorded facts and by themselves."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from commit_rows import commit, write_rows

from octopack_data import mix, xp3x
from octopack_data.errors import DataError
from octopack_data.executors import run_units
from octopack_data.formats import (
    CommitLayout,
    Formats,
    flips_to_name,
    layout_function,
    prepare,
    prepare_bigcode,
    prepare_code,
    required_columns,
)
from octopack_data.oasst import Oasst, is_unwanted, matched_phrases, message_texts, reply_language, unwanted_phrases
from octopack_data.pipeline import Batch, Job, Outcome, discover_units, summarise
from octopack_data.self_instruct import SelfInstructFilter, languages_named
from octopack_data.self_instruct import build as build_self_instruct
from octopack_data.shards import iter_rows


def golden(shared: Path, name: str) -> list[dict[str, Any]]:
    path = shared / "golden" / "data" / name
    data = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    return [json.loads(line) for line in data.splitlines()]


def run_oasst(rows: list[Any], **options: Any) -> Outcome:
    return Oasst(**options).start()(Batch([orjson.dumps(row) for row in rows], rows))


# -------------------------------------------------------------------------------------------------------------- OASST


def test_recorded_conversations(shared: Path) -> None:
    expected = {row["id"]: row for row in golden(shared, "oasst_expected.jsonl")}
    for row in golden(shared, "oasst.jsonl"):
        facts = expected[row["id"]]
        texts = message_texts(row) or []
        assert is_unwanted(texts) is not facts["kept"]
        assert matched_phrases(texts) == sorted(facts["matched"])
        outcome = run_oasst([row])
        if facts["prompt"] is None:
            assert outcome.kept == []
        else:
            pair = {"prompt": facts["prompt"], "completion": facts["completion"]}
            assert [orjson.loads(line) for line in outcome.kept] == [pair]


def test_recorded_reply_languages(shared: Path) -> None:
    for row in golden(shared, "reply_languages.jsonl"):
        assert reply_language(row["reply"]) == row["language"], row


def test_the_search_finds_what_the_whole_list_finds() -> None:
    assert len({phrase.lower() for phrase in unwanted_phrases()}) == 229
    for phrase in unwanted_phrases():
        assert is_unwanted([f"xx{phrase.upper()}yy"])
        assert phrase in matched_phrases([f"xx{phrase}yy"])
    assert not is_unwanted(["Sort a list with sorted()."])


def test_both_spellings_of_a_phrase_are_named() -> None:
    assert matched_phrases(["IT IS IMPORTANT TO sort"]) == ["It is important to", "it is important to"]


def test_a_phrase_may_arise_where_messages_meet() -> None:
    assert run_oasst([{"messages": [{"content": "as an AI"}, {"content": "language model"}]}]).dropped == [
        (0, "unwanted phrase")
    ]


def test_three_layouts_of_conversations() -> None:
    messages = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}
    published = [{"text": "Q", "from": "user"}, {"text": "A", "from": "assistant"}, {"text": "more", "from": "user"}]
    raw_tree = {
        "message_tree_id": "1",
        "prompt": {
            "text": "Q",
            "replies": [
                {"text": "worse", "rank": 1, "replies": []},
                {"text": "gone", "rank": 0, "deleted": True},
                {"text": "A", "rank": 0, "replies": [{"text": "again?", "replies": []}]},
            ],
        },
    }
    outcome = run_oasst(
        [messages, published, raw_tree, {"other": 1}, {"messages": [{"content": "Q"}]}, {"messages": []}]
    )
    assert [orjson.loads(line) for line in outcome.kept] == [{"prompt": "Q", "completion": "A"}] * 3
    assert [reason for _, reason in outcome.dropped] == [
        "no conversation in this row",
        "fewer than two messages",
        "no conversation in this row",
    ]


def test_published_lists_pass_the_engine(tmp_path: Path) -> None:
    tree = [{"text": "Q", "from": "user"}, {"text": "```py\nx\n```", "from": "assistant"}]
    path = tmp_path / "oasst.jsonl.gz"
    path.write_bytes(gzip.compress(orjson.dumps(tree) + b"\n" + orjson.dumps(tree[:1]) + b"\n7\n"))
    job = Job(Oasst(only_code=True), tmp_path / "out", keep_dropped=True)
    units = discover_units([path])
    run_units(job, units)
    counts = summarise(job, units).statistics
    assert (counts.rows_in, counts.rows_out, counts.broken) == (2, 1, 1)
    assert counts.tallies["languages of the answers"] == {"python": 1}
    assert next(iter_rows(tmp_path / "out" / "_dropped" / "oasst.jsonl"))["row"] == tree[:1]


# --------------------------------------------------------------------------------------------------------------- xP3x


def test_recorded_draw(shared: Path, tmp_path: Path) -> None:
    folder = shared / "golden" / "data" / "xp3x"
    files, seed = xp3x.default_counts()
    assert (files, seed) == xp3x.read_counts(folder / "counts.json")
    manifest = xp3x.build(folder / "data", tmp_path / "out", files, seed)
    rows = list(iter_rows(tmp_path / "out" / xp3x.OUTPUT))
    assert len(rows) == manifest["rows"] == 5000
    for expected in golden(shared, "xp3x/expected.jsonl.gz"):
        row = rows[expected["position"]]
        assert row["id"] == expected["id"]
        if "inputs" in expected:
            assert (row["inputs"], row["targets"]) == (expected["inputs"], expected["targets"])
    raw = (tmp_path / "out" / xp3x.OUTPUT).read_bytes()
    assert "naïve".encode() in raw  # text stays text, it is not escaped


def test_draw_errors(tmp_path: Path) -> None:
    write_rows(tmp_path / "x" / "python" / "a.jsonl", [{"inputs": "q", "targets": "t"}] * 3)
    with pytest.raises(DataError, match="1 of 1 files are missing"):
        xp3x.find_files(tmp_path / "x", {"b.jsonl": 1})
    with pytest.raises(DataError, match="no such folder"):
        xp3x.find_files(tmp_path / "y", {})
    paths = xp3x.find_files(tmp_path / "x", {"a.jsonl": 4})
    with pytest.raises(DataError, match="4 rows are to be drawn, but there are only 3"):
        xp3x.draw({"a.jsonl": 4}, paths, 0)
    write_rows(tmp_path / "x" / "java" / "a.jsonl", [])
    with pytest.raises(DataError, match="is there twice"):
        xp3x.find_files(tmp_path / "x", {"a.jsonl": 1})
    (tmp_path / "counts.json").write_text('{"files": {"a": "b"}, "seed": 1}', encoding="utf-8")
    with pytest.raises(DataError, match="expected"):
        xp3x.read_counts(tmp_path / "counts.json")
    path = write_rows(tmp_path / "mbpp.jsonl", [{"inputs": "q"}, {"targets": "t"}])
    with pytest.raises(DataError, match=r"row 2: no text column 'inputs' \(columns: targets\)"):
        xp3x.draw({"mbpp.jsonl": 1}, [path], 0)


# ------------------------------------------------------------------------------------------------------------ formats

TRAINING_LAYOUTS = {
    "finetune_commit": (CommitLayout.COMMIT, False),
    "finetune_commit_file_name": (CommitLayout.COMMIT, True),
    "finetune_loss_on_instruction": (CommitLayout.LOSS_ON_INSTRUCTION, False),
    "finetune_loss_on_instruction_file_name": (CommitLayout.LOSS_ON_INSTRUCTION, True),
    "finetune_line_diff": (CommitLayout.LINE_DIFF, False),
    "finetune_line_diff_file_name": (CommitLayout.LINE_DIFF, True),
    "finetune_flan_template": (CommitLayout.FLAN, False),
}


def test_recorded_formats(shared: Path) -> None:
    for row in golden(shared, "formats.jsonl.gz"):
        assert prepare(row)._asdict() == row["prepare"]
        assert prepare_code(row)._asdict() == row["prepare_code"]
        assert prepare_bigcode(row, with_name=True)._asdict() == row["prepare_bigcode_with_name"]
        assert prepare_bigcode(row, with_name=False)._asdict() == row["prepare_bigcode_without_name"]
        for name, (layout, file_name) in TRAINING_LAYOUTS.items():
            pair = layout_function(layout, file_name=file_name)(row)
            assert (pair.inputs, pair.targets) == (row[name]["input"], row[name]["output"]), (name, row["case"])


def test_the_coin_of_bigcode_is_fair_and_fixed() -> None:
    heads = [flips_to_name(1, f"{number:040x}") for number in range(4000)]
    assert 1800 < sum(heads) < 2200
    assert heads == [flips_to_name(1, f"{number:040x}") for number in range(4000)]
    row = commit(5)
    pair = layout_function(CommitLayout.PREPARE_BIGCODE, seed=1)(row)
    assert pair == prepare_bigcode(row, heads[5])


def test_layouts_ask_only_for_the_columns_they_use() -> None:
    bare = {"subject": "s", "old_contents": "o", "new_contents": "n"}
    for layout in CommitLayout:
        for file_name in (False, True):
            row = dict.fromkeys(required_columns(layout, file_name), "x")
            assert layout_function(layout, file_name=file_name)(row)
        if layout is not CommitLayout.PREPARE_BIGCODE:
            assert required_columns(layout, False) == tuple(bare)


def test_formats_write_the_columns_asked_for() -> None:
    step = Formats(CommitLayout.INSTRUCTION, keys=("prompt", "completion"))
    row = commit()
    line = step.start()(Batch([b""], [row])).kept[0]
    assert orjson.loads(line) == {
        "prompt": f"{row['subject']}\n{row['old_contents']}",
        "completion": row["new_contents"],
    }


# ------------------------------------------------------------------------------------------------------ self-instruct


def test_self_instruct_drops_what_is_no_pair_or_there_already() -> None:
    rows = [
        {"instruction": " Write a Python function to sort. ", "output": "def f(): ..."},
        {"instruction": "write a python function, to sort", "output": "again"},
        {"instruction": "Write a quick Python function to sort", "output": "nearly"},
        {"instruction": "Sort", "output": "short"},
        {"instruction": "Repeat this very text", "output": "Repeat this very text"},
        {"instruction": "Say nothing at all", "output": " "},
        {"instruction": "No output here"},
    ]
    kept, dropped = SelfInstructFilter().sift(rows)
    assert [row["output"] for row in kept] == ["def f(): ...", "nearly"]
    assert sum(dropped.values()) + len(kept) == len(rows)
    kept, dropped = SelfInstructFilter(near_duplicates=0.8).sift(rows)
    assert [row["output"] for row in kept] == ["def f(): ..."]
    assert dropped["near-duplicate instruction"] == 1


def test_near_duplicates_equal_a_comparison_of_all_pairs() -> None:
    import itertools
    import random

    generator = random.Random(4)
    rows = [
        {"instruction": " ".join(generator.choices("abcdefgh", k=generator.randrange(3, 9))), "output": "x"}
        for _ in range(150)
    ]
    kept, _ = SelfInstructFilter(near_duplicates=0.6).sift(rows)
    plain: list[frozenset[str]] = []
    for row in rows:
        words = frozenset(row["instruction"].split())
        if all(len(words & other) < 0.6 * len(words | other) for other in plain):
            plain.append(words)
    assert [frozenset(row["instruction"].split()) for row in kept] == plain
    for one, two in itertools.combinations(plain, 2):
        assert len(one & two) < 0.6 * len(one | two)


def test_languages_are_words_of_their_own() -> None:
    assert languages_named("Sort in python and C++, not in C") == ["Python", "C++"]
    assert languages_named("Go and use JavaScript") == ["JavaScript", "Go"]
    assert languages_named("go there with Java.") == ["Java"]


def test_self_instruct_refuses_a_file_without_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "rawin.jsonl"
    path.write_text('{"instruction": "Write a loop"}\n')
    with pytest.raises(DataError, match=r"row 1: no column 'output' \(columns here: instruction\)"):
        build_self_instruct([path], tmp_path / "out", SelfInstructFilter())
    assert not (tmp_path / "out").exists()


def test_self_instruct_build(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "raw.jsonl", [{"instruction": "Write a Rust function", "output": "fn f() {}"}])
    manifest = build_self_instruct([path], tmp_path / "out", SelfInstructFilter())
    assert (manifest["rows_in"], manifest["rows"], manifest["languages"]) == (1, 1, {"Rust": 1})
    assert list(iter_rows(tmp_path / "out" / "self_instruct.jsonl")) == [
        {"prompt": "Write a Rust function", "completion": "fn f() {}"}
    ]


# -------------------------------------------------------------------------------------------------------------- mixes

RECIPE = """
name: small
seed: 3
test_rows: 2
sources:
  - {name: talk, inputs: [oasst.jsonl], layout: conversation, license: apache-2.0}
  - {name: commits, inputs: [ft], layout: instruction, rows: 20}
"""


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    write_rows(tmp_path / "oasst.jsonl", [{"prompt": f"Q{i}", "completion": f"A{i}"} for i in range(10)])
    for part in range(2):
        rows = [commit(100 * part + i, license=("mit", "isc")[i % 2]) for i in range(30)]
        write_rows(tmp_path / "ft" / f"p{part}.jsonl", rows)
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def test_a_mix_is_drawn_shuffled_and_accounted_for(recipe_file: Path, tmp_path: Path) -> None:
    manifest = mix.build(mix.load_recipe(str(recipe_file)), tmp_path / "out", {})
    train = list(iter_rows(tmp_path / "out" / "train.jsonl"))
    test = list(iter_rows(tmp_path / "out" / "test.jsonl"))
    assert (len(train), len(test)) == (28, 2)
    assert manifest["licenses"]["apache-2.0"] == 10
    assert sum(manifest["licenses"].values()) == manifest["rows"] == 30
    assert {row["prompt"] for row in train + test} >= {f"Q{i}" for i in range(10)}
    assert [row["prompt"] for row in train][:10] != [f"Q{i}" for i in range(10)]
    again = mix.build(mix.load_recipe(str(recipe_file)), tmp_path / "again", {})
    assert again == manifest
    assert (tmp_path / "again" / "train.jsonl").read_bytes() == (tmp_path / "out" / "train.jsonl").read_bytes()


def test_a_draw_does_not_depend_on_the_shards(recipe_file: Path, tmp_path: Path) -> None:
    recipe = mix.load_recipe(str(recipe_file))
    mix.build(recipe, tmp_path / "out", {})
    whole = (tmp_path / "ft" / "p0.jsonl").read_bytes() + (tmp_path / "ft" / "p1.jsonl").read_bytes()
    (tmp_path / "one.jsonl").write_bytes(whole)
    mix.build(recipe, tmp_path / "other", {"commits": str(tmp_path / "one.jsonl")})
    assert (tmp_path / "out" / "train.jsonl").read_bytes() == (tmp_path / "other" / "train.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("layout: conversation", "layout: talk"), "unknown layout 'talk'"),
        (("rows: 20", "rows: 200"), "200 rows are to be drawn, but only 60 are there"),
        (("rows: 20", "rows: many"), "`rows` must be a number of rows"),
        (("seed: 3", "sead: 3"), "unknown field 'sead'"),
        (("seed: 3", "seed: x"), "`seed` must be of kind int"),
        (("test_rows: 2", "test_rows: 30"), "the mix has only 30 rows"),
        (("name: commits", "name: talk"), "the source name 'talk' is there twice"),
        (("layout: instruction", "layout: prompt-completion"), "does not fit the layout 'prompt-completion'"),
        (("inputs: [ft]", "inputs: [nowhere]"), "no such file or folder"),
        (("sources:", "sources: ["), "not YAML"),
        (("test_rows: 2", "test_rows: -2"), "`test_rows` must be a number of rows"),
        (("license: apache-2.0", "license: [mit]"), "`license` must be text"),
        (("seed: 3", "columns: 3"), "`columns` must be a list of two different names"),
        (("seed: 3", "columns: [a, b, a]"), "`columns` must be a list of two different names"),
    ],
)
def test_recipe_errors(recipe_file: Path, tmp_path: Path, change: tuple[str, str], message: str) -> None:
    recipe_file.write_text(recipe_file.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        mix.build(mix.load_recipe(str(recipe_file)), tmp_path / "out", {})
    assert not (tmp_path / "out" / "train.jsonl").exists()


def test_recipes_that_come_with_the_package() -> None:
    octocoder = mix.load_recipe("octocoder")
    assert [source.rows for source in octocoder.sources] == [None, 5000]
    octogeex = mix.load_recipe("octogeex")
    assert len(octogeex.sources) == 7
    with pytest.raises(DataError, match="no such recipe file"):
        mix.load_recipe("octopus")


def test_rows_picked_by_hand(tmp_path: Path) -> None:
    write_rows(tmp_path / "go.jsonl", [commit(i, subject=f"Fix number {i}") for i in range(60)])
    (tmp_path / "r.yaml").write_text(
        "name: r\nshuffle: false\nsources: [{name: go, inputs: [go.jsonl], layout: instruction, "
        "pick: {list: commitpackft-go}}]",
        encoding="utf-8",
    )
    mix.build(mix.load_recipe(str(tmp_path / "r.yaml")), tmp_path / "out", {})
    prompts = [row["prompt"].split("\n")[0] for row in iter_rows(tmp_path / "out" / "train.jsonl")]
    assert prompts == ["Fix number 26", "Fix number 53"]
