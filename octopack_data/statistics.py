"""What is in a data set of commits: languages, licences, lengths and kinds of task, for the report."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar

from octopack_data.pipeline import Batch, BatchFunction, Outcome, Statistics, Step, Unit, read_batches

CATEGORIES: Mapping[str, str] = {
    "bug fixes": r"fix\w*|bugs?|correct\w*|resolve\w*|repair\w*|crash\w*|broken|regressions?|errors?|issues?|wrong",
    "testing": r"tests?|specs?|coverage|unittests?|mocks?|assert\w*|fixtures?",
    "documentation": r"docs?|document\w*|readme|comments?|changelog|docstrings?|typos?|spelling|examples?",
    "dependencies": r"dependenc\w*|bump|upgrade|downgrade|requirements?|package\.json|gemfile|versions?|pin",
    "build and tooling": r"build\w*|ci|travis|makefile|cmake|gradle|docker\w*|webpack|deploy\w*|compil\w*"
    r"|setup\.py|release",
    "configuration": r"config\w*|settings?|options?|flags?|env\w*|parameters?|defaults?",
    "formatting": r"format\w*|indent\w*|whitespace|lint\w*|pep8|style\w*|prettier|rubocop|semicolons?",
    "performance": r"performance|optimi[sz]e\w*|speed|faster|cach\w*|memory|efficien\w*|slow|lazy",
    "security": r"security|vulnerab\w*|xss|csrf|sanitiz\w*|escap\w*|auth\w*|permissions?|passwords?",
    "logging": r"log|logs|logging|logger|trac(?:e|ing)|debug\w*|print|verbose|metrics?",
    "user interface": r"ui|css|layout|buttons?|colou?rs?|fonts?|icons?|responsive|templates?|view|styles?|html|display",
    "internationalization": r"i18n|l10n|locali[sz]\w*|translat\w*|languages?|locale\w*",
    "refactoring": r"refactor\w*|clean\w*|rename\w*|mov(?:e|ed|ing)|simplif\w*|remov\w*|delet\w*|extract\w*"
    r"|reorgani[sz]e\w*|replace\w*|rework\w*|unused|deprecat\w*|use",
    "new features": r"add\w*|implement\w*|creat\w*|introduc\w*|support\w*|allow\w*|enable\w*|new|provide\w*|include\w*",
}
"""Kind of task -> words that tell it, in order of precedence: a message that fits several is of the first kind."""

OTHER = "other"

_CATEGORY_PATTERNS = {name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for name, words in CATEGORIES.items()}


def category(subject: str) -> str:
    """Return the kind of task a commit message asks for, judged by its words."""
    for name, pattern in _CATEGORY_PATTERNS.items():
        if pattern.search(subject):
            return name
    return OTHER


@dataclass(frozen=True)
class CommitStatistics(Step):
    """Counts rows by language, licence, length and kind of task."""

    name: ClassVar[str] = "statistics"
    columns: ClassVar[tuple[str, ...]] = ("subject", "old_contents", "new_contents")
    counts_only: ClassVar[bool] = True

    @property
    def reasons(self) -> tuple[str, ...]:
        """No row is dropped."""
        return ()

    def config(self) -> Mapping[str, object]:
        """Everything that changes the counts."""
        return {"categories": dict(CATEGORIES)}

    def start(self) -> BatchFunction:
        """Return the counting function."""
        return _count


def _count(batch: Batch) -> Outcome:
    tallies: dict[str, Counter[str]] = {
        name: Counter()
        for name in (*_BY_ROW, "language bytes", "subject characters", "subject words", "old lines", "new lines")
    }
    for line, row in zip(batch.lines, batch.rows, strict=True):
        subject = row["subject"]
        language = str(row.get("lang") or "unknown")
        tallies["language rows"][language] += 1
        tallies["language bytes"][language] += len(line) + 1
        tallies["licenses"][str(row.get("license") or "unknown")] += 1
        tallies["categories"][category(subject)] += 1
        tallies["subject characters"][str(len(subject))] += 1
        tallies["subject words"][str(len(subject.split()))] += 1
        tallies["old lines"][str(row["old_contents"].count("\n"))] += 1
        tallies["new lines"][str(row["new_contents"].count("\n"))] += 1
    return Outcome(tallies=tallies)


_BY_ROW = ("language rows", "licenses", "categories")
LENGTHS = ("subject characters", "subject words", "old lines", "new lines")


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and quantiles of a count of whole numbers."""

    mean: float
    least: int
    quarter: int
    median: int
    three_quarters: int
    ninety_nine: int
    most: int


def spread(counts: Mapping[str, int]) -> Spread:
    """Return the spread of values given as value -> how often (all zero for no values)."""
    values = sorted((int(value), often) for value, often in counts.items())
    total = sum(often for _, often in values)
    if not total:
        return Spread(0.0, 0, 0, 0, 0, 0, 0)

    def quantile(share: float) -> int:
        left = share * total
        for value, often in values:
            left -= often
            if left <= 0:
                return value
        return values[-1][0]

    mean = sum(value * often for value, often in values) / total
    quarter, median, three, most = (quantile(share) for share in (0.25, 0.5, 0.75, 0.99))
    return Spread(mean, values[0][0], quarter, median, three, most, values[-1][0])


def language_table(statistics: Statistics) -> list[tuple[str, int, float, float]]:
    """Return (language, rows, megabytes, share of rows in percent), largest first."""
    rows = statistics.tallies.get("language rows", Counter())
    sizes = statistics.tallies.get("language bytes", Counter())
    total = max(sum(rows.values()), 1)
    order = sorted(rows.items(), key=lambda item: (-item[1], item[0]))
    return [(name, count, sizes[name] / 1e6, 100 * count / total) for name, count in order]


def markdown(statistics: Statistics, categories: Mapping[str, int] | None = None) -> str:
    """Return the tables of a data set card: languages, lengths, kinds of task, licences."""
    lines = ["| language | rows | megabytes | % of rows |", "|---|--:|--:|--:|"]
    for name, rows, megabytes, share in language_table(statistics):
        lines.append(f"| {_cell(name)} | {rows:,} | {megabytes:,.2f} | {share:.2f} |")
    lines += ["", "| length | mean | min | 25 % | median | 75 % | 99 % | max |", "|---|--:|--:|--:|--:|--:|--:|--:|"]
    for name in LENGTHS:
        s = spread(statistics.tallies.get(name, {}))
        numbers = (s.least, s.quarter, s.median, s.three_quarters, s.ninety_nine, s.most)
        lines.append(f"| {name} | {s.mean:,.1f} | " + " | ".join(f"{n:,}" for n in numbers) + " |")
    kinds = categories if categories is not None else statistics.tallies.get("categories", {})
    for title, counts in (("kind of task", kinds), ("license", statistics.tallies.get("licenses", {}))):
        lines += ["", f"| {title} | rows | % |", "|---|--:|--:|"]
        lines += [f"| {_cell(name)} | {count:,} | {share:.1f} |" for name, count, share in shares(counts)]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def shares(counts: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """Return (name, count, percent), largest first."""
    total = max(sum(counts.values()), 1)
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(name, count, 100 * count / total) for name, count in order]


def category_names() -> Sequence[str]:
    """Return the names of the kinds of task, `other` last."""
    return (*CATEGORIES, OTHER)


def summary_json(statistics: Statistics, categories: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return all figures as plain JSON values."""
    kinds = categories if categories is not None else statistics.tallies.get("categories", {})
    return {
        "rows": statistics.rows_in,
        "broken": statistics.broken,
        "languages": [
            {"language": name, "rows": rows, "megabytes": round(megabytes, 6), "percent": round(share, 4)}
            for name, rows, megabytes, share in language_table(statistics)
        ],
        "lengths": {
            name: {field: getattr(spread(statistics.tallies.get(name, {})), field) for field in Spread.__slots__}
            for name in LENGTHS
        },
        "categories": dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0]))),
        "licenses": dict(statistics.tallies.get("licenses", Counter()).most_common()),
    }


def draw_subjects(units: Sequence[Unit], size: int, seed: int) -> list[str]:
    """Return up to `size` commit messages, drawn by a seeded hash of their rows from all shards."""
    heap: list[tuple[int, str]] = []
    batches = (batch for unit in units for batch in read_batches(unit, ("subject",), Statistics()))
    for line, row in ((line, row) for batch in batches for line, row in zip(batch.lines, batch.rows, strict=True)):
        digest = blake2b(b"%d:" % seed + line, digest_size=8).digest()
        item = (-int.from_bytes(digest, "big"), row["subject"])
        if len(heap) < size:
            heapq.heappush(heap, item)
        else:
            heapq.heappushpop(heap, item)
    return [subject for _, subject in sorted(heap, reverse=True)]
