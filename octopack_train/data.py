"""Training data: rows from the hub, from files or made up, as token data sets for the trainer."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octopack_train import packing, synthetic
from octopack_train.errors import TrainingError
from octopack_train.faults import downloads
from octopack_train.formats import Example, Layout, Role
from octopack_train.recipe import DataSection, Loss, Packing, Recipe

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset
    from transformers import PreTrainedTokenizerBase

_BUILDERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}
_PROMPT, _COMPLETION = "prompt", "completion"
_TOKEN_COLUMNS = ["input_ids", "labels"]


@dataclass(frozen=True)
class Manifest:
    """What a run was trained on; becomes `data.json` in its folder.

    Attributes:
        source: the recipe's data.path.
        files: SHA-256 of local files.
        fingerprint: the data set's fingerprint after selection and shuffling.
        train_rows: training texts.
        eval_rows: texts held back for evaluation.
        token_rows: rows of tokens that the texts became; null for an endless stream.
        tokens: tokens in those rows.
        learnt_tokens: tokens with loss.
        truncated: texts that were longer than `data.length` and lost their end.
        left_out: texts of which nothing to learn was left, because their prompt alone fills `data.length`.
    """

    source: str
    files: Mapping[str, str]
    fingerprint: str
    train_rows: int
    eval_rows: int
    token_rows: int | None = None
    tokens: int | None = None
    learnt_tokens: int | None = None
    truncated: int = 0
    left_out: int = 0

    def to_json(self) -> str:
        """Return the manifest as JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"


@dataclass(frozen=True)
class TokenData:
    """Token data sets for the trainer, with columns `input_ids` and `labels`.

    Attributes:
        train: rows to train on.
        evaluation: rows to evaluate on, if any.
        collator: pads a batch; None leaves it to the trainer.
        manifest: where the rows come from.
    """

    train: Dataset | IterableDataset
    evaluation: Dataset | None
    collator: packing.FixedWindow | None
    manifest: Manifest


def load_rows(data: DataSection, seed: int) -> tuple[Dataset, Dataset | None]:
    """Return the training rows and those held back for evaluation, as the recipe's columns.

    Raises:
        TrainingError: no such data set, columns missing, no rows, lines that are not JSON, a download that broke off.
    """
    rows = _load(data, data.train_split)
    _check_columns(rows, data.layout, data.path)
    held_back = None
    if data.eval_split is not None:
        held_back = _load(data, data.eval_split)
        _check_columns(held_back, data.layout, data.path)
    elif data.eval_fraction:
        size = data.eval_fraction if data.eval_fraction < 1 else int(data.eval_fraction)
        if len(rows) <= (2 if size < 1 else size):
            raise TrainingError(
                f"data.eval_fraction={data.eval_fraction:g} leaves nothing to train on: {data.path} has {len(rows)} "
                "rows; set data.eval_fraction=0."
            )
        parts = rows.train_test_split(test_size=size, seed=seed)
        rows, held_back = parts["train"], parts["test"]
    if data.limit is not None:
        rows = rows.select(range(min(data.limit, len(rows))))
    return rows, held_back


def load_examples(data: DataSection, seed: int) -> tuple[Dataset, Dataset | None]:
    """Return the rows laid out: data sets with the columns `prompt` and `completion`."""
    rows, held_back = load_rows(data, seed)
    train = _lay_out(rows, data)
    if data.extra is not None:
        from datasets import concatenate_datasets

        pairs = DataSection(data.extra, columns={Role.PROMPT: "input", Role.COMPLETION: "output"})
        extra = _load(pairs, "train")
        missing = {"input", "output"} - set(extra.column_names)
        if missing:
            raise TrainingError(f"data.extra: {data.extra} lacks the columns {', '.join(sorted(missing))}.")
        train = concatenate_datasets([train, _lay_out(extra, pairs)])
    if data.shuffle:
        train = train.shuffle(seed=seed)
    return train, None if held_back is None else _lay_out(held_back, data)


def tokenize(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> TokenData:
    """Load, lay out, tokenise and (but for `isolated` rows, which the trainer packs) pack the recipe's data."""
    data = recipe.data
    examples, held_back = load_examples(data, recipe.train.seed)
    manifest = Manifest(
        source=data.path,
        files={**checksums(data.path), **({} if data.extra is None else checksums(data.extra))},
        fingerprint=examples._fingerprint,
        train_rows=len(examples),
        eval_rows=0 if held_back is None else len(held_back),
    )
    if data.packing is Packing.CONSTANT_LENGTH:
        return _constant_length(data, examples, held_back, tokenizer, recipe.train.seed, manifest)
    learn_prompt = data.loss is Loss.ALL
    collator = None
    in_rows: Callable[..., list[packing.Row]]
    if data.packing is Packing.WINDOWS:
        in_rows = partial(packing.windows, window=data.length)
        eval_rows: Callable[..., list[packing.Row]] = partial(packing.padded, window=data.length, loss_on_prompt=True)
        collator = packing.FixedWindow(data.length, pad_id=0)
    elif data.packing is Packing.PADDED:
        in_rows = eval_rows = partial(packing.padded, window=data.length, loss_on_prompt=learn_prompt)
        collator = packing.FixedWindow(data.length, pad_id=tokenizer.eos_token_id)
    else:
        in_rows = eval_rows = partial(packing.isolated, window=data.length, loss_on_prompt=learn_prompt)
    train = _map_rows(examples, in_rows, tokenizer, data.workers)
    tokens, learnt, truncated = _count(train)
    if not learnt:
        raise TrainingError(
            f"Nothing to learn in {data.path}: every completion lies behind data.length={data.length} tokens; "
            "raise data.length."
        )
    manifest = replace(
        manifest,
        token_rows=len(train),
        tokens=tokens,
        learnt_tokens=learnt,
        truncated=truncated,
        left_out=0 if data.packing is Packing.WINDOWS else len(examples) - len(train),
    )
    evaluation = None
    if held_back is not None:
        rows = _map_rows(held_back, eval_rows, tokenizer, data.workers)
        evaluation = rows.select_columns(_TOKEN_COLUMNS) if len(rows) else None
    return TokenData(train.select_columns(_TOKEN_COLUMNS), evaluation, collator, manifest)


def _count(rows: Dataset) -> tuple[int, int, int]:
    """Return tokens, tokens with loss, and truncated texts, without bringing all rows into memory."""
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    tokens = learnt = truncated = 0
    for batch in rows.with_format("arrow").iter(1000):
        tokens += pc.sum(pc.list_value_length(batch["input_ids"])).as_py() or 0
        learnt += pc.sum(pc.not_equal(pc.list_flatten(batch["labels"]), packing.IGNORED)).as_py() or 0
        truncated += pc.sum(batch["truncated"]).as_py() or 0
    return tokens, learnt, truncated


def _constant_length(
    data: DataSection,
    examples: Dataset,
    held_back: Dataset | None,
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    manifest: Manifest,
) -> TokenData:
    from datasets import Dataset, IterableDataset

    ratio = packing.characters_per_token(_examples(examples), tokenizer)
    options = {
        "tokenizer": tokenizer,
        "length": data.length,
        "buffer_characters": data.length * ratio * data.buffer_sequences,
        "loss_on_prompt": data.loss is Loss.ALL,
        "seed": seed,
    }
    train = IterableDataset.from_generator(_blocks, gen_kwargs={"rows": examples, **options, "endless": True})
    evaluation = None
    if held_back is not None:
        evaluation = Dataset.from_list(list(_blocks(held_back, **options)))
        if not len(evaluation):
            evaluation = None  # too little text for one row: the reference's evaluation set is empty as well
    return TokenData(train, evaluation, None, manifest)


def _blocks(rows: Dataset, **options: Any) -> Iterator[dict[str, list[int]]]:
    for row in packing.constant_length(lambda: _examples(rows), **options):
        yield {"input_ids": row.input_ids, "labels": row.labels}


def _examples(rows: Iterable[Mapping[str, str]]) -> Iterator[Example]:
    for row in rows:
        yield Example(row[_PROMPT], row[_COMPLETION])


def _map_rows(
    examples: Dataset, in_rows: Callable[..., list[packing.Row]], tokenizer: PreTrainedTokenizerBase, workers: int
) -> Dataset:
    def tokenized(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        texts = [
            Example(prompt, completion) for prompt, completion in zip(batch[_PROMPT], batch[_COMPLETION], strict=True)
        ]
        # A window without any token, or a prompt that leaves its completion no room, teaches nothing; a batch of
        # nothing else would divide a loss of nothing by nothing.
        rows = [row for row in in_rows(texts, tokenizer) if any(label != packing.IGNORED for label in row.labels)]
        return {name: [getattr(row, name) for row in rows] for name in ("input_ids", "labels", "truncated")}

    # Packing restarts with every batch of 1000 rows, as in the reference (the default of `Dataset.map`).
    return examples.map(
        tokenized,
        batched=True,
        remove_columns=examples.column_names,
        num_proc=workers if workers > 1 else None,
        desc="Tokenising",
    )


def _lay_out(rows: Dataset, data: DataSection) -> Dataset:
    layout = data.layout

    def example(row: dict[str, Any], at: int) -> dict[str, str]:
        try:
            laid_out = layout.example(row)
        except TrainingError as error:
            raise TrainingError(f"{data.path}, row {at}: {error}") from error
        return {_PROMPT: laid_out.prompt, _COMPLETION: laid_out.completion}

    from datasets import Features, Value

    columns = sorted(set(layout.required().values()))
    return rows.select_columns(columns).map(
        example,
        with_indices=True,
        remove_columns=[column for column in columns if column not in (_PROMPT, _COMPLETION)],
        features=Features({_PROMPT: Value("string"), _COMPLETION: Value("string")}),
        desc="Laying out",
    )


def _load(data: DataSection, split: str) -> Dataset:
    from datasets import Dataset, load_dataset

    if data.path == synthetic.DATA_SET:
        commits = synthetic.fix_commits(data.limit or 400, held_out=split != "train")
        return Dataset.from_list([commit.row() for commit in commits])
    path = Path(data.path)
    with downloads(f"the data set {data.path}"):
        if path.is_file():
            name = path.name.removesuffix(".gz")
            builder = _BUILDERS.get(Path(name).suffix)
            if builder is None:
                raise TrainingError(f"{path}: expected a file ending in {', '.join(_BUILDERS)} (or .gz of these).")
            if path.stat().st_size == 0:
                raise TrainingError(f"{path} is empty.")
            if builder == "json":
                _check_json_lines(path)
            rows = load_dataset(builder, data_files=str(path), split="train")
        elif path.suffix in _BUILDERS or data.path.startswith((".", "/", "~")):
            if not path.is_dir():
                raise TrainingError(f"There is no file {data.path}: check data.path.")
            rows = load_dataset(data.path, data.name, split=split)
        else:
            rows = load_dataset(data.path, data.name, split=split, revision=data.revision)
    if not len(rows):
        raise TrainingError(f"{data.path} has no rows in the split {split!r}.")
    return rows


def _check_json_lines(path: Path) -> None:
    """Name the first line that is no JSON object: the loader of `datasets` would not."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        if path.name.removesuffix(".gz").endswith(".json") and lines.read(1000).lstrip().startswith(b"["):
            return  # one array, which the loader reads as well
        lines.seek(0)
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise TrainingError(f"{path}, line {number} is not JSON ({error}).") from error
            if not isinstance(row, dict):
                raise TrainingError(f"{path}, line {number} is not a JSON object: {line[:60]!r}.")


def _check_columns(rows: Dataset, layout: Layout, path: str) -> None:
    missing = {role: column for role, column in layout.required().items() if column not in rows.column_names}
    if missing:
        first = next(iter(missing))
        raise TrainingError(
            f"{path} lacks {', '.join(repr(column) for column in missing.values())} (its columns: "
            f"{', '.join(rows.column_names)}); name the right column with data.columns.{first.value}=..."
        )


def checksums(source: str) -> dict[str, str]:
    """Return the SHA-256 of a local file, or of all files of a local folder, by name; nothing for other sources."""
    path = Path(source)
    if not path.exists():
        return {}
    files = [path] if path.is_file() else sorted(entry for entry in path.rglob("*") if entry.is_file())
    sums = {}
    for file in files:
        digest = hashlib.sha256()
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        sums[file.name if file == path else str(file.relative_to(path))] = digest.hexdigest()
    return sums
