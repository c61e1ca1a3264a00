"""StarCoder self-instruct: instructions that a model wrote itself, cleaned and put as prompt and completion."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from octopack_data.builds import Build
from octopack_data.errors import DataError
from octopack_data.shards import iter_rows

HUB_NAME = "hf://datasets/codeparrot/self-instruct-starcoder"
OUTPUT = "self_instruct.jsonl"

LANGUAGE_WORDS = (*("Python", "C++", "SQL", "Java", "HTML", "JavaScript", "PHP", "Go", "Shell", "Bash", "Rust", "C#"),)
"""The twelve languages of the published set, by the word that names them in an instruction."""

# A name counts as a word of its own; "Go" only with a capital letter, the verb being far more common.
_LANGUAGE_PATTERNS = {
    name: re.compile(rf"(?<![\w+#]){re.escape(name)}(?![\w+#])", 0 if name == "Go" else re.IGNORECASE)
    for name in LANGUAGE_WORDS
}
_NORMAL = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class SelfInstructFilter:
    """Which rows are kept.

    Attributes:
        min_words: fewest words of an instruction (Self-Instruct drops shorter ones, arXiv 2212.10560, section 2.2).
        max_words: most words of an instruction.
        near_duplicates: drop an instruction whose word overlap (Jaccard) with an earlier one is at least this; 1 drops
            equal instructions only, whatever their case and punctuation.
    """

    min_words: int = 3
    max_words: int = 150
    near_duplicates: float = 1.0

    def sift(self, rows: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, str]], Counter[str]]:
        """Return the kept rows (instruction, output) and the number dropped for each reason."""
        kept: list[dict[str, str]] = []
        dropped: Counter[str] = Counter()
        seen: set[str] = set()
        word_sets: dict[str, list[frozenset[str]]] = {}
        for row in rows:
            instruction, output = row.get("instruction"), row.get("output")
            if not isinstance(instruction, str) or not isinstance(output, str):
                dropped["no instruction or output"] += 1
                continue
            instruction = instruction.strip()
            words = _NORMAL.sub(" ", instruction.lower()).split()
            normal = " ".join(words)
            if not output.strip():
                dropped["empty output"] += 1
            elif not self.min_words <= len(words) <= self.max_words:
                dropped["length of the instruction"] += 1
            elif output.strip() == instruction:
                dropped["output repeats the instruction"] += 1
            elif normal in seen:
                dropped["duplicate instruction"] += 1
            elif self.near_duplicates < 1 and self._has_neighbour(frozenset(words), word_sets):
                dropped["near-duplicate instruction"] += 1
            else:
                seen.add(normal)
                kept.append({"instruction": instruction, "output": output})
        return kept, dropped

    def _has_neighbour(self, words: frozenset[str], word_sets: dict[str, list[frozenset[str]]]) -> bool:
        # A set with enough overlap shares one of the first few words in any fixed order (prefix filtering).
        ordered = sorted(words)
        prefix = ordered[: len(ordered) - int(self.near_duplicates * len(ordered)) + 1]
        for word in prefix:
            for other in word_sets.get(word, ()):
                if len(words & other) >= self.near_duplicates * len(words | other):
                    return True
        for word in prefix:
            word_sets.setdefault(word, []).append(words)
        return False


def languages_named(instruction: str) -> list[str]:
    """Return the languages that an instruction names."""
    return [name for name, pattern in _LANGUAGE_PATTERNS.items() if pattern.search(instruction)]


def build(inputs: list[Path], output: Path, chosen: SelfInstructFilter) -> dict[str, Any]:
    """Filter the rows of `inputs` into `output` and return the manifest, with counts by language and reason.

    Raises:
        DataError: an input is damaged, or its first row lacks a column, or the disk is full.
    """
    job = Build("self-instruct", asdict(chosen), inputs, output)
    if (manifest := job.manifest_if_done()) is not None:
        return manifest
    rows_in = 0

    def rows() -> Iterable[dict[str, Any]]:
        nonlocal rows_in
        for path in inputs:
            for number, row in enumerate(iter_rows(path), start=1):
                missing = [column for column in ("instruction", "output") if column not in row]
                if number == 1 and missing:
                    columns = ", ".join(map(str, row)) or "none"
                    raise DataError(f"{path}, row 1: no column {missing[0]!r} (columns here: {columns})")
                rows_in += 1
                yield row

    kept, dropped = chosen.sift(rows())
    languages = Counter(name for row in kept for name in languages_named(row["instruction"]) or ["(none named)"])
    lines = [orjson.dumps({"prompt": row["instruction"], "completion": row["output"]}) for row in kept]
    facts = {
        "rows_in": rows_in,
        "rows": len(kept),
        "dropped": dict(sorted(dropped.items())),
        "languages": dict(languages.most_common()),
    }
    return job.write({OUTPUT: lines}, facts)
