"""Which language a file is in, by the suffix of its name: linguist's table as the published CommitPack uses it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

import orjson

from octopack_data.errors import DataError
from octopack_data.pipeline import Batch, BatchFunction, Judgement, Outcome, Step

UNKNOWN = "unknown"

# Languages whose folder is not simply the lower-case name with dashes for blanks.
_DIRECTORIES = {"Cap'n Proto": "capn-proto", "Graphviz (DOT)": "graphviz-dot", "Ren'Py": "renpy"}


class Lookup(str, Enum):
    """How a file's language is looked up.

    The longest listed suffix of the file name is right most often. The published data were made with `used`, which
    never finds suffixes of two parts (`.html.hl`) and loses `Makefile` in a folder with a dot in its name. `written` is
    the reference's later script: it looks suffixes up without their dot, so only Dockerfile and Makefile are found.
    """

    LONGEST = "longest"
    USED = "used"
    WRITTEN = "written"


@cache
def load_languages() -> dict[str, tuple[str, ...]]:
    """Return the suffixes of each of the 358 languages; those with a leading dot end a name, others are whole names.

    No suffix belongs to two languages. The table is `resources/languages.json`, which names its source.
    """
    text = (resources.files("octopack_data.commitpack") / "resources" / "languages.json").read_bytes()
    return {language: tuple(suffixes) for language, suffixes in orjson.loads(text)["languages"].items()}


def load_table(path: Path) -> dict[str, tuple[str, ...]]:
    """Return a table of the user: a JSON object from languages to lists of suffixes.

    Raises:
        DataError: not such an object, or a suffix belongs to two languages.
    """
    try:
        data = orjson.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot read the language table ({error.strerror})") from error
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON ({error})") from error
    if not isinstance(data, dict) or not all(
        isinstance(suffixes, list) and all(isinstance(suffix, str) and suffix for suffix in suffixes)
        for suffixes in data.values()
    ):
        raise DataError(f'{path}: expected an object of lists of suffixes, for example {{"Python": [".py", ".pyw"]}}')
    owners: dict[str, str] = {}
    for language, suffixes in data.items():
        for suffix in suffixes:
            if owners.setdefault(suffix, language) != language:
                raise DataError(f"{path}: the suffix {suffix!r} belongs to both {owners[suffix]!r} and {language!r}")
    return {language: tuple(suffixes) for language, suffixes in data.items()}


def directory_name(language: str) -> str:
    """Return the folder of a language in the published data set ("Jupyter Notebook" -> "jupyter-notebook")."""
    return _DIRECTORIES.get(language) or language.lower().replace(" ", "-")


def has_listed_suffix(path: str, table: Mapping[str, tuple[str, ...]] | None = None) -> bool:
    """Say whether a path ends with any listed suffix, as the reference asks before it scrapes."""
    return path.endswith(_all_suffixes() if table is None else tuple(s for group in table.values() for s in group))


@cache
def _all_suffixes() -> tuple[str, ...]:
    return tuple(suffix for suffixes in load_languages().values() for suffix in suffixes)


def language_finder(
    lookup: Lookup = Lookup.LONGEST, table: Mapping[str, tuple[str, ...]] | None = None
) -> Callable[[str], str]:
    """Return the function from a path to its language, or to "unknown"."""
    owner = {suffix: language for language, suffixes in (table or load_languages()).items() for suffix in suffixes}

    def longest(path: str) -> str:
        name = path.rpartition("/")[2]
        if name in owner:  # a whole name (Makefile), or nothing but a suffix (.xml)
            return owner[name]
        dot = name.find(".")
        while dot >= 0:  # from the first dot on, so the longest suffix comes first
            language = owner.get(name[dot:])
            if language:
                return language
            dot = name.find(".", dot + 1)
        return UNKNOWN

    def used(path: str) -> str:
        last = path.rpartition("/")[2].rpartition(".")[2]
        return owner.get(f".{last}" if "." in path else last, UNKNOWN)

    def written(path: str) -> str:
        return owner.get(path.rpartition(".")[2], UNKNOWN)

    return {Lookup.LONGEST: longest, Lookup.USED: used, Lookup.WRITTEN: written}[lookup]


def with_field(line: bytes, row: dict[str, Any], name: str, value: str) -> bytes:
    """Return a row with a text column set: appended to the raw line where the column is new, written anew otherwise."""
    if name in row:
        return orjson.dumps({**row, name: value})
    return line.rstrip()[:-1] + b"," + orjson.dumps({name: value})[1:]


@dataclass(frozen=True)
class LanguagesStep(Step):
    """Adds the column `lang`, and puts the rows of each language into a folder of its own.

    Attributes:
        lookup: how a file's language is found.
        table: languages and their suffixes; None for the table of the package.
        keep_unknown: whether rows in no listed language are kept (in the folder `unknown`, as published).
    """

    lookup: Lookup = Lookup.LONGEST
    table: Mapping[str, tuple[str, ...]] | None = None
    keep_unknown: bool = True

    name: ClassVar[str] = "commitpack-languages"
    columns: ClassVar[tuple[str, ...]] = ("new_file",)
    routed: ClassVar[bool] = True

    @property
    def reasons(self) -> tuple[str, ...]:
        """Rows are dropped for one reason only, and only when asked."""
        return () if self.keep_unknown else ("unknown_language",)

    def config(self) -> dict[str, object]:
        """Return the lookup and the table."""
        table = self.table or load_languages()
        return {"lookup": self.lookup.value, "keep_unknown": self.keep_unknown, "table": dict(table)}

    def start(self) -> BatchFunction:
        """Return the function that adds the column."""
        find = language_finder(self.lookup, self.table)

        def add_languages(batch: Batch) -> Outcome:
            outcome = Outcome(routes=[], tallies={"languages": Counter()})
            assert outcome.routes is not None
            for position, (line, row) in enumerate(zip(batch.lines, batch.rows, strict=True)):
                language = find(row["new_file"])
                if language == UNKNOWN and not self.keep_unknown:
                    outcome.dropped.append((position, "unknown_language"))
                    continue
                outcome.kept.append(with_field(line, row, "lang", language))
                outcome.routes.append(directory_name(language))
                outcome.tallies["languages"][language] += 1
            return outcome

        return add_languages

    def explain(self, row: dict[str, Any]) -> list[Judgement]:
        """Say which language each lookup gives."""
        path = str(row["new_file"])
        judgements = []
        for lookup in Lookup:
            language = language_finder(lookup, self.table)(path)
            passed = self.keep_unknown or language != UNKNOWN or lookup is not self.lookup
            mark = " (in use)" if lookup is self.lookup else ""
            judgements.append(Judgement(f"lookup {lookup.value}{mark}", passed, f"{path} -> {language}"))
        return judgements
