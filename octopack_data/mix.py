"""Training mixes: several data sets drawn from, laid out alike and shuffled, as a recipe says."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import yaml

from octopack_data import resources
from octopack_data.builds import Build
from octopack_data.errors import DataError
from octopack_data.formats import CommitLayout, Pair, layout_function, required_columns
from octopack_data.oasst import message_texts, reply_language
from octopack_data.pipeline import discover_units
from octopack_data.shards import LongLine, read_lines
from octopack_data.sources import resolve

CONVERSATION = "conversation"
PROMPT_COMPLETION = "prompt-completion"
LAYOUTS = (CONVERSATION, PROMPT_COMPLETION, *(layout.value for layout in CommitLayout))
UNKNOWN_LICENSE = "unknown"


@dataclass(frozen=True)
class Pick:
    """Rows chosen by hand.

    Attributes:
        list: name of a list of row numbers (counted from 0) that comes with the package.
        or_with_code: also take every conversation whose answer has a fence of a known language.
    """

    list: str
    or_with_code: bool = False


@dataclass(frozen=True)
class Source:
    """One data set of a mix.

    Attributes:
        name: in the manifest, and in `--source NAME=PATH`.
        inputs: shards, folders or `hf://datasets/...`; relative paths start at the recipe.
        layout: how a row becomes prompt and completion: `conversation` (first two messages), `prompt-completion` (these
            two columns as they are), or a commit layout.
        rows: how many are drawn; all when left out.
        license: of rows without a column `license`.
        pick: rows chosen by hand instead.
    """

    name: str
    inputs: tuple[str, ...]
    layout: str
    rows: int | None = None
    license: str = UNKNOWN_LICENSE
    pick: Pick | None = None


@dataclass(frozen=True)
class Recipe:
    """A whole mix.

    Attributes:
        name: of the mix.
        sources: what goes in, in order.
        seed: of the draws and the shuffle.
        shuffle: whether the rows are shuffled, or stay in the order of the sources.
        test_rows: rows at the end that become the test split.
        columns: names of the two columns written.
        folder: where relative paths start.
    """

    name: str
    sources: tuple[Source, ...]
    seed: int = 0
    shuffle: bool = True
    test_rows: int = 0
    columns: tuple[str, str] = ("prompt", "completion")
    folder: Path = field(default_factory=Path)


def load_recipe(name: str) -> Recipe:
    """Read a recipe: a YAML file, or the name of one that comes with the package (`octocoder`, `octogeex`).

    Raises:
        DataError: no such recipe, not YAML, or a field is missing, unknown or of the wrong kind.
    """
    shipped = files("octopack_data") / "recipes"
    path = Path(name)
    if path.is_file():
        try:
            text, folder = path.read_text(encoding="utf-8"), path.resolve().parent
        except UnicodeDecodeError as error:
            raise DataError(f"{name}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    elif (shipped / f"{name}.yaml").is_file():
        text, folder = (shipped / f"{name}.yaml").read_text(encoding="utf-8"), Path.cwd()
    else:
        names = ", ".join(sorted(f.name.removesuffix(".yaml") for f in shipped.iterdir() if f.name.endswith(".yaml")))
        raise DataError(f"{name}: no such recipe file; those that come with the package are {names}")
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"{name}: not YAML ({' '.join(str(error).split())})") from error
    where = f"recipe {name}"
    data = _checked(data, where, Recipe, required={"name": str, "sources": list}, without={"folder"})
    sources = tuple(_source(item, f"{where}, source {number}") for number, item in enumerate(data["sources"], 1))
    names_seen = Counter(source.name for source in sources)
    if twice := [source for source, often in names_seen.items() if often > 1]:
        raise DataError(f"{where}: the source name {twice[0]!r} is there twice")
    if not sources:
        raise DataError(f"{where}: no sources")
    columns = data.get("columns", ["prompt", "completion"])
    are_names = isinstance(columns, list) and all(isinstance(column, str) for column in columns)
    if not are_names or len(columns) != 2 or columns[0] == columns[1]:
        raise DataError(f"{where}: `columns` must be a list of two different names, this is {columns!r}")
    for key, kind in (("seed", int), ("shuffle", bool), ("test_rows", int)):
        if key in data and not (isinstance(data[key], kind) and (kind is bool or not isinstance(data[key], bool))):
            raise DataError(f"{where}: `{key}` must be of kind {kind.__name__}, this is {data[key]!r}")
    if data.get("test_rows", 0) < 0:
        raise DataError(f"{where}: `test_rows` must be a number of rows, this is {data['test_rows']}")
    return Recipe(**{**data, "sources": sources, "columns": tuple(columns), "folder": folder})


def _checked(
    data: object, where: str, kind: type, required: Mapping[str, type], without: frozenset[str] | set[str] = frozenset()
) -> dict[str, Any]:
    known = {f.name for f in fields(kind)} - without
    if not isinstance(data, dict):
        raise DataError(f"{where}: expected a mapping with {', '.join(required)}")
    if unknown := sorted(set(data) - known, key=str):
        raise DataError(f"{where}: unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}")
    for key, wanted in required.items():
        if not isinstance(data.get(key), wanted):
            raise DataError(f"{where}: `{key}` must be there and be a {wanted.__name__}, this is {data.get(key)!r}")
    return dict(data)


def _source(data: object, where: str) -> Source:
    item = _checked(data, where, Source, required={"name": str, "inputs": list, "layout": str})
    if item["layout"] not in LAYOUTS:
        raise DataError(f"{where}: unknown layout {item['layout']!r}; known are {', '.join(LAYOUTS)}")
    rows = item.get("rows")
    if rows is not None and not (type(rows) is int and rows >= 0):
        raise DataError(f"{where}: `rows` must be a number of rows, this is {rows!r}")
    if not isinstance(item.get("license", ""), str):
        raise DataError(f"{where}: `license` must be text, this is {item['license']!r}")
    pick = None
    if item.get("pick") is not None:
        chosen = _checked(item["pick"], f"{where}, pick", Pick, required={"list": str})
        known = resources.load("manual_selection")["rows"]
        if chosen["list"] not in known:
            raise DataError(f"{where}: unknown list {chosen['list']!r}; known are {', '.join(known)}")
        pick = Pick(**chosen)
    return Source(**{**item, "inputs": tuple(map(str, item["inputs"])), "pick": pick})


@dataclass(frozen=True, slots=True)
class _Drawn:
    line: bytes
    license: str


def build(recipe: Recipe, output: Path, replaced: Mapping[str, str], *, dry_run: bool = False) -> dict[str, Any]:
    """Build a mix into `output` (`train.jsonl`, `test.jsonl` if asked for) and return its manifest.

    The drawn rows are held in memory. The same recipe and inputs give the same bytes: a draw takes the rows whose hash
    with the seed is smallest, whatever shards they lie in.

    Args:
        recipe: what goes in.
        output: folder of the results.
        replaced: inputs to take instead of the recipe's, by name of the source.
        dry_run: only say what would be read.

    Raises:
        DataError: an input is missing or damaged, or holds too few rows.
    """
    if unknown := sorted(set(replaced) - {source.name for source in recipe.sources}):
        names = ", ".join(source.name for source in recipe.sources)
        raise DataError(f"--source {unknown[0]}=...: the recipe has no such source; it has {names}")
    paths = {source.name: _paths(recipe, source, replaced.get(source.name)) for source in recipe.sources}
    config = {key: value for key, value in asdict(recipe).items() if key != "folder"}
    job = Build("mix", _plain(config), [path for source in recipe.sources for path in paths[source.name]], output)
    if dry_run:
        return {**job.recipe(), "outputs": []}
    if (manifest := job.manifest_if_done()) is not None:
        return manifest
    drawn: list[_Drawn] = []
    facts = []
    for source in recipe.sources:
        rows, available = _draw(recipe, source, paths[source.name])
        licenses = Counter(row.license for row in rows)
        facts.append(
            {
                "source": source.name,
                "available": available,
                "rows": len(rows),
                "licenses": dict(sorted(licenses.items())),
            }
        )
        drawn.extend(rows)
    if recipe.shuffle:
        random.Random(recipe.seed).shuffle(drawn)
    if recipe.test_rows >= len(drawn) > 0:
        raise DataError(f"test_rows {recipe.test_rows}: the mix has only {len(drawn)} rows")
    cut = len(drawn) - recipe.test_rows
    parts = {"train.jsonl": drawn[:cut]} | ({"test.jsonl": drawn[cut:]} if recipe.test_rows else {})
    licenses = Counter(row.license for row in drawn)
    return job.write(
        {name: [row.line for row in rows] for name, rows in parts.items()},
        {"rows": len(drawn), "sources": facts, "licenses": dict(licenses.most_common())},
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _paths(recipe: Recipe, source: Source, replacement: str | None) -> list[Path]:
    if replacement is not None:
        return [path for unit in discover_units([resolve(replacement)]) for path in unit.inputs]
    roots = [resolve(item) for item in source.inputs]
    # Files of one name in several folders are welcome here: each is read on its own.
    return [
        path
        for root in roots
        for unit in discover_units([root if root.is_absolute() else recipe.folder / root])
        for path in unit.inputs
    ]


def _rows(paths: Sequence[Path]) -> Iterator[tuple[bytes, Any]]:
    for path in paths:
        number = 0
        for lines in read_lines(path):
            for line in lines:
                number += 1
                if isinstance(line, LongLine):
                    raise DataError(f"{path}, line {number}: {line.size} bytes are too long for a row; remove it")
                if not line.strip():
                    continue
                try:
                    yield line, orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    raise DataError(f"{path}, line {number}: not JSON ({error}); mend or remove the line") from error


def _draw(recipe: Recipe, source: Source, paths: Sequence[Path]) -> tuple[list[_Drawn], int]:
    """Return the drawn rows of a source, in the order of its files, and how many it has."""
    lay_out = _layout(source.layout, recipe.seed)
    picked = _picked(source)
    candidates: list[
        tuple[int, int, _Drawn]
    ] = []  # (negative hash, negative place, row): a heap of the smallest hashes
    available = without_answer = 0
    for place, (line, row) in enumerate(_rows(paths)):
        available += 1
        if picked is not None and not picked(place, row):
            continue
        pair = lay_out(row)
        if pair is None and len(message_texts(row) or ()) == 1:
            without_answer += 1
            continue
        if pair is None:
            raise DataError(
                f"source {source.name!r}, row {place}: does not fit the layout {source.layout!r} "
                f"(columns: {', '.join(map(str, row)) if isinstance(row, dict) else type(row).__name__})"
            )
        license_name = row.get("license") if isinstance(row, dict) else None
        laid_out = orjson.dumps(dict(zip(recipe.columns, pair, strict=True)))
        drawn = _Drawn(laid_out, license_name if isinstance(license_name, str) else source.license)
        digest = blake2b(b"%d:%s:" % (recipe.seed, source.name.encode()) + line, digest_size=8).digest()
        item = (-int.from_bytes(digest, "big"), -place, drawn)
        if source.rows is None or len(candidates) < source.rows:
            heapq.heappush(candidates, item)
        elif source.rows:
            heapq.heappushpop(candidates, item)
    if source.rows is not None and len(candidates) < source.rows:
        usable = available - without_answer
        raise DataError(f"source {source.name!r}: {source.rows} rows are to be drawn, but only {usable} are there")
    return [drawn for _, _, drawn in sorted(candidates, key=lambda item: -item[1])], available


def _picked(source: Source) -> Callable[[int, Any], bool] | None:
    if source.pick is None:
        return None
    numbers = frozenset(resources.load("manual_selection")["rows"][source.pick.list])
    with_code = source.pick.or_with_code

    def is_picked(place: int, row: Any) -> bool:
        if place in numbers:
            return True
        texts = message_texts(row) if with_code else None
        return texts is not None and len(texts) > 1 and reply_language(texts[1]) is not None

    return is_picked


def _layout(name: str, seed: int) -> Callable[[Any], Pair | None]:
    if name == CONVERSATION:
        return _conversation
    if name == PROMPT_COMPLETION:
        return _prompt_completion
    commit, needed = layout_function(CommitLayout(name), seed), required_columns(CommitLayout(name))

    def lay_out(row: Any) -> Pair | None:
        if not isinstance(row, dict) or not all(isinstance(row.get(column), str) for column in needed):
            return None
        return commit(row)

    return lay_out


def _conversation(row: Any) -> Pair | None:
    texts = message_texts(row)
    if texts is not None and len(texts) > 1:
        return Pair(texts[0], texts[1])
    return _prompt_completion(row)  # what `octopack data oasst` writes


def _prompt_completion(row: Any) -> Pair | None:
    if not isinstance(row, dict):
        return None
    prompt, completion = row.get("prompt"), row.get("completion")
    return Pair(prompt, completion) if isinstance(prompt, str) and isinstance(completion, str) else None
