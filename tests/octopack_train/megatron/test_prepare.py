import json
from pathlib import Path
from typing import Any

import pytest

from octopack_train.errors import TrainingError
from octopack_train.megatron.indexed import IndexedReader
from octopack_train.megatron.prepare import Preparation, prepare

pytest.importorskip("transformers")


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def texts(prefix: Path, tiny_model: Path) -> list[str]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    reader = IndexedReader(prefix)
    return [tokenizer.decode(reader[at].tolist()) for at in range(len(reader))]


ROWS = [{"inputs": f"def f{at}():", "targets": f" return {at}"} for at in range(20)]


def test_inputs_and_targets_stay_in_step(tiny_model: Path, tmp_path: Path):
    source = write(tmp_path / "rows.jsonl", [*ROWS, ROWS[3], {"inputs": "x", "targets": ""}])
    done = prepare(Preparation([source], tmp_path / "train", str(tiny_model), append_end=frozenset({"targets"})))
    assert (done.rows, done.duplicates, done.empty) == (20, 1, 1)
    inputs, targets = (texts(tmp_path / f"train_{key}_document", tiny_model) for key in ("inputs", "targets"))
    pairs = {(row["inputs"], row["targets"] + "<|endoftext|>") for row in ROWS}
    assert set(zip(inputs, targets, strict=True)) == pairs
    assert inputs != [row["inputs"] for row in ROWS]  # shuffled


def test_order_can_be_kept_and_shuffling_is_seeded(tiny_model: Path, tmp_path: Path):
    source = write(tmp_path / "rows.jsonl", ROWS)
    found = {}
    for name, seed in (("kept", None), ("one", 1), ("again", 1), ("two", 2)):
        prepare(Preparation([source], tmp_path / name, str(tiny_model), seed=seed))
        found[name] = texts(tmp_path / f"{name}_inputs_document", tiny_model)
    assert found["kept"] == [row["inputs"] for row in ROWS]
    assert found["one"] == found["again"] != found["two"]


def test_joined_rows_come_with_a_mask_of_their_targets(tiny_model: Path, tmp_path: Path):
    source = write(tmp_path / "rows.jsonl", ROWS[:3])
    prepare(Preparation([source], tmp_path / "train", str(tiny_model), seed=None, joined=True))
    assert texts(tmp_path / "train_text_document", tiny_model) == [row["inputs"] + row["targets"] for row in ROWS[:3]]
    readers = {key: IndexedReader(tmp_path / f"train_{key}_document") for key in ("inputs", "targets", "mask")}
    for at in range(3):
        mask = readers["mask"][at].tolist()
        assert mask == [0] * len(readers["inputs"][at]) + [1] * len(readers["targets"][at])


def test_commits_become_one_text(tiny_model: Path, tmp_path: Path):
    commit = {"old_contents": "a\n", "subject": "Use b", "new_contents": "b\n", "lang": "Python"}
    source = write(tmp_path / "rows.jsonl", [commit])
    done = prepare(Preparation([source], tmp_path / "pack", str(tiny_model), commits=True))
    assert texts(tmp_path / "pack_text_document", tiny_model) == [
        "<commit_before>a\n<commit_msg>Use b<commit_after>b\n"
    ]
    assert f'"train: 1.0 0:0.95 {tmp_path}/pack_text_document"' in done.weights[0].read_text()


def test_weight_files_have_the_form_that_megatron_reads(tiny_model: Path, tmp_path: Path):
    source = write(tmp_path / "rows.jsonl", ROWS)
    done = prepare(Preparation([source], tmp_path / "train", str(tiny_model), train_share=0.9))
    assert [path.read_text() for path in done.weights] == [
        f'"train: 1.0 0:0.9 {tmp_path}/train"\n',
        f'"valid: 1.0 0.9:1.0 {tmp_path}/train"\n',
    ]


def test_long_rows_are_left_out(tiny_model: Path, tmp_path: Path):
    source = write(tmp_path / "rows.jsonl", [*ROWS, {"inputs": "word " * 500, "targets": "x"}])
    assert prepare(Preparation([source], tmp_path / "train", str(tiny_model), max_tokens=100)).too_long == 1


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"inputs": "a", "targets": "b"}\n{"inputs": \n', r"byte 32: not JSON"),
        ('{"inputs": "a", "outputs": "b"}\n', "needs the text columns inputs, targets; found inputs, outputs"),
        ('{"inputs": "a", "targets": 3}\n', "needs the text columns"),
        ("[1]\n", "needs the text columns"),
        ('{"inputs": "a", "targets": "\\ud800"}\n', r"byte 0: not Unicode text"),
        ("", "No row is left"),
    ],
)
def test_bad_rows_are_named_and_nothing_is_left_behind(tiny_model: Path, tmp_path: Path, content: str, complaint: str):
    source = tmp_path / "rows.jsonl"
    source.write_text(content)
    with pytest.raises(TrainingError, match=complaint):
        prepare(Preparation([source], tmp_path / "out" / "train", str(tiny_model), seed=None))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"append_end": frozenset({"answers"})}, "append-end"),
        ({"joined": True, "keys": ("text",)}, "two --keys"),
        ({"train_share": 1.0}, "train-share"),
        ({"keys": ()}, "name text columns"),
        ({"keys": ("text", "text")}, "each once"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, options: dict[str, Any], complaint: str):
    with pytest.raises(TrainingError, match=complaint):
        Preparation([tmp_path / "rows.jsonl"], tmp_path / "train", "tokenizer", **options)
