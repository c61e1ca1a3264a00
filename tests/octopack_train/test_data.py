import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from octopack_train.data import load_examples, load_rows, tokenize
from octopack_train.errors import TrainingError
from octopack_train.model import load_tokenizer
from octopack_train.recipe import DataSection, Recipe
from octopack_train.synthetic import fix_commits

pytest.importorskip("datasets")


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def test_local_files_plain_and_compressed(tmp_path: Path):
    for name in ("rows.jsonl", "rows.jsonl.gz"):
        rows, held_back = load_rows(DataSection(write_rows(tmp_path / name, [{"prompt": "a", "completion": "b"}])), 0)
        assert (rows[0], held_back) == ({"prompt": "a", "completion": "b"}, None)


def test_a_share_is_held_back_and_the_rest_shuffled_by_seed(tmp_path: Path):
    path = write_rows(tmp_path / "rows.jsonl", [{"prompt": str(at), "completion": ""} for at in range(100)])
    data = DataSection(path, eval_fraction=0.1, shuffle=True)
    first, held_back = load_examples(data, seed=42)
    again, _ = load_examples(data, seed=42)
    assert held_back is not None
    assert (len(first), len(held_back)) == (90, 10)
    assert first["prompt"] == again["prompt"]
    assert not set(first["prompt"]) & set(held_back["prompt"])
    assert first["prompt"] != sorted(first["prompt"], key=int)


def test_extra_rows_join_the_training_rows(tmp_path: Path):
    path = write_rows(tmp_path / "rows.jsonl", [{"prompt": "a", "completion": "b"}])
    extra = write_rows(tmp_path / "extra.jsonl", [{"input": "c", "output": "d", "other": 1}])
    rows, _ = load_examples(DataSection(path, extra=extra), 0)
    assert rows["prompt"][:] == ["a", "c"]
    with pytest.raises(TrainingError, match="lacks the columns input, output"):
        load_examples(DataSection(path, extra=path), 0)
    empty = write_rows(tmp_path / "empty.jsonl", [{"input": "c", "output": None}])
    with pytest.raises(TrainingError, match="row 0: Column 'output' holds None"):
        load_examples(DataSection(path, extra=empty), 0)


def test_extra_rows_join_rows_of_another_text_type(tmp_path: Path):
    import pyarrow
    from pyarrow import parquet

    text = pyarrow.array(["a"], pyarrow.large_string())  # as polars writes it
    parquet.write_table(pyarrow.table({"prompt": text, "completion": text}), tmp_path / "rows.parquet")
    extra = write_rows(tmp_path / "extra.jsonl", [{"input": "c", "output": "d"}])
    rows, _ = load_examples(DataSection(str(tmp_path / "rows.parquet"), extra=extra), 0)
    assert rows["completion"][:] == ["a", "d"]


def test_a_data_set_without_the_columns_names_them_and_the_option(tmp_path: Path):
    path = write_rows(tmp_path / "rows.jsonl", [{"question": "a", "completion": "b"}])
    with pytest.raises(TrainingError, match=r"lacks 'prompt' \(its columns: .*question.*data\.columns\.prompt="):
        load_rows(DataSection(path), 0)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "is empty"),
        ('{"prompt": "a", "completion": "b"}\n{"prompt": \n', "line 2 is not JSON"),
        ('{"prompt": "a", "completion": "b"}\n[1]\n', "line 2 is not a JSON object"),
        ('{"prompt": "a", "completion": null}\n', "row 0: Column 'completion' holds None"),
    ],
)
def test_damaged_files_name_the_line(tmp_path: Path, content: str, complaint: str):
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(TrainingError, match=complaint):
        load_examples(DataSection(str(path)), 0)


def test_an_array_may_begin_behind_a_blank_line(tmp_path: Path):
    path = tmp_path / "rows.json"
    path.write_text("\n " + json.dumps([{"prompt": "a", "completion": "b"}], indent=2))
    rows, _ = load_rows(DataSection(str(path)), 0)
    assert rows[0] == {"prompt": "a", "completion": "b"}


def test_missing_and_unknown_files_are_refused(tmp_path: Path):
    with pytest.raises(TrainingError, match="There is no file"):
        load_rows(DataSection(str(tmp_path / "none.jsonl")), 0)
    (tmp_path / "rows.txt").write_text("x")
    with pytest.raises(TrainingError, match="expected a file ending in"):
        load_rows(DataSection(str(tmp_path / "rows.txt")), 0)


def test_too_few_rows_to_hold_some_back(tmp_path: Path):
    path = write_rows(tmp_path / "rows.jsonl", [{"prompt": "a", "completion": "b"}])
    with pytest.raises(TrainingError, match="leaves nothing to train on"):
        load_rows(DataSection(path, eval_fraction=5), 0)


def test_the_manifest_counts_texts_tokens_and_learnt_tokens(make_recipe: Callable[..., Recipe], tmp_path: Path):
    path = write_rows(tmp_path / "rows.jsonl", [{"prompt": "aa", "completion": "bb"}] * 3)
    recipe = make_recipe(f"data.path={path}", "data.format=prompt-completion")
    manifest = tokenize(recipe, load_tokenizer(recipe.model)).manifest
    assert (manifest.train_rows, manifest.token_rows) == (3, 3)
    assert manifest.tokens is not None
    assert manifest.learnt_tokens is not None
    assert 0 < manifest.learnt_tokens < manifest.tokens
    assert list(manifest.files) == ["rows.jsonl"]


@pytest.mark.parametrize("packing", ["windows", "padded", "isolated"])
def test_the_manifest_counts_what_is_cut_and_only_what_is_left(
    make_recipe: Callable[..., Recipe], tmp_path: Path, packing: str
):
    path = write_rows(tmp_path / "rows.jsonl", [{"prompt": "a", "completion": "b" * size} for size in (900, 3, 700)])
    recipe = make_recipe(
        f"data.path={path}", "data.format=prompt-completion", f"data.packing={packing}", "data.loss=all"
    )
    data = tokenize(recipe, load_tokenizer(recipe.model))
    assert data.manifest.truncated == 2
    assert data.manifest.tokens == data.manifest.learnt_tokens < 3 * recipe.data.length
    assert set(data.train.column_names or ()) == {"input_ids", "labels"}


@pytest.mark.parametrize("packing", ["padded", "isolated"])
def test_texts_with_no_room_for_their_completion_are_counted_and_left_out(
    make_recipe: Callable[..., Recipe], tmp_path: Path, packing: str
):
    rows = [{"prompt": "a" * size, "completion": "b"} for size in (900, 3, 700)]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    recipe = make_recipe(f"data.path={path}", "data.format=prompt-completion", f"data.packing={packing}")
    data = tokenize(recipe, load_tokenizer(recipe.model))
    assert (data.manifest.train_rows, data.manifest.left_out, data.manifest.token_rows) == (3, 2, 1)


@pytest.mark.parametrize("packing", ["padded", "isolated"])
def test_nothing_to_learn_behind_the_length_is_an_error(
    make_recipe: Callable[..., Recipe], tmp_path: Path, packing: str
):
    path = write_rows(tmp_path / "rows.jsonl", [{"prompt": "a" * 900, "completion": "b"}])
    recipe = make_recipe(f"data.path={path}", "data.format=prompt-completion", f"data.packing={packing}")
    with pytest.raises(TrainingError, match="Nothing to learn"):
        tokenize(recipe, load_tokenizer(recipe.model))


def test_synthetic_commits_are_what_they_say():
    train, held_out = fix_commits(150, seed=3), fix_commits(80, seed=3, held_out=True)
    for commit in train + held_out:
        exec(commit.new_contents + commit.test, {})
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the bug makes of the test
            exec(commit.old_contents + commit.test, {})
    shapes = [{commit.test.split("(", 1)[1] for commit in commits} for commits in (train, held_out)]
    assert not shapes[0] & shapes[1]
    assert len({commit.prompt for commit in train}) == 150
    assert fix_commits(150, seed=3) == train
