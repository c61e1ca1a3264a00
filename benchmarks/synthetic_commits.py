"""Seeded commits in CommitPack's layout: realistic sizes and messages, no text of anyone's.

Usage: python benchmarks/synthetic_commits.py OUT.jsonl ROWS [SEED]
"""

from __future__ import annotations

import hashlib
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson

NOUNS = tuple(
    """
    account adapter argument array attribute batch binding block body branch bucket builder bundle button
    callback channel chunk column command config context counter cursor device digest driver edge element
    encoder entity field filter flag frame gateway handle header hook image input instance iterator job label
    layer limit listener loader lock mapper matrix message metric mode module monitor number object offset
    option order output packet page panel payload plugin pointer policy pool port prefix profile property proxy
    query range record region registry renderer report resource role route row rule sample scope screen script
    section segment sensor series setting signal slice slot snapshot socket source stack stage state store table
    target task template test thread ticket timer tree tuple unit vector version view window worker wrapper zone
    """.split()  # noqa: SIM905
)

LANGUAGES = {
    "py": (
        "Python",
        ("def {a}({b}):", "    if {a} > {b}:", "        return {a}[{b}]", "import {a}", "    # {a} of {b}", ""),
    ),
    "js": (
        "JavaScript",
        ("function {a}({b}) {{", "  const {a} = {b} || {{}};", "  return {a};", "}}", "  // {a} {b}", ""),
    ),
    "java": (
        "Java",
        ("public class {A} {{", "    private final int {a};", "    void {a}(int {b}) {{", "    }}", "}}", ""),
    ),
    "rb": ("Ruby", ("def {a}({b})", "  @{a} = {b}.compact", "  {b}.each {{ |x| puts x }}", "end", "module {A}", "")),
    "md": ("Markdown", ("## {A}", "A {a} has one {b} and many others.", "- {a}: the {b}", "", "    {a} --{b}", "")),
}

GOOD_VERBS = ("Add", "Fix", "Remove", "Use", "Make", "Change", "Move", "Rename", "Improve", "Handle", "Replace", "Bump")
OTHER_STARTS = ("Added", "Fixes", "The", "Some", "Initial", "Minor", "fix", "update", "wip", "Trying", "Now", "New")
ENDINGS = (
    "the {a} of every {b} when it is empty",
    "{a} so that {b} works with {c}",
    "support for {a} in the {b}",
    "handling of a missing {a} in {b}",
    "{a} instead of {b} for the {c}",
    "tests of {a} with one {b}",
    "{a} docs",
)
LICENSES = ("mit", "apache-2.0", "bsd-3-clause", "bsd-2-clause", "mpl-2.0", "isc", "agpl-3.0", "unknown")


class Generator:
    """Makes one row after the other from one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._lines = {
            extension: [self._fill(self._random.choice(patterns)) + "\n" for _ in range(4000)]
            for extension, (_, patterns) in LANGUAGES.items()
        }

    def _fill(self, pattern: str) -> str:
        a, b, c = self._random.choices(NOUNS, k=3)
        return pattern.format(a=a, b=b, c=c, A=a.capitalize())

    def _code(self, extension: str) -> list[str]:
        # CommitPack's files: median about 2 KB, mean about 5 KB, a few very long.
        size = min(400_000, max(30, self._random.lognormvariate(math.log(1800), 1.45)))
        pool, lines, written = self._lines[extension], [], 0
        while written < size:
            start = self._random.randrange(len(pool) - 24)
            block = pool[start : start + 24]
            lines += block
            written += sum(map(len, block))
        return lines

    def _subject(self, path: str) -> str:
        r, kind = self._random, self._random.random()
        ending, verb = self._fill(r.choice(ENDINGS)), r.choice(GOOD_VERBS)
        word, number = r.choice(NOUNS), r.randrange(9999)
        table = (
            (0.42, f"{verb} {ending}"),
            (0.62, f"{r.choice(OTHER_STARTS)} {ending}"),
            (0.70, f"{verb.lower()} {ending}"),
            (0.75, f"[{word}] {verb} {ending}"),
            (0.79, f"{word}: {verb} {ending}"),
            (0.85, f"Fix #{number} {ending}"),
            (0.88, f"{verb} {ending} [skip ci]"),
            (0.91, f"{verb} {Path(path).stem} {ending}"),
            (0.92, f"Fix issue {number} with {ending}"),
            (0.93, f"Merge branch '{word}' into development for {word}"),
            (0.94, f"Revert {hashlib.sha1(str(number).encode()).hexdigest()} {ending}"),
            (0.95, f"Use https://example.com/{word} for {ending}"),
            (0.96, f"修正 {ending}"),
        )
        return next((text for bound, text in table if kind < bound), r.choice(("Update", "typo", "v1.2.3 release")))

    def row(self, index: int) -> dict[str, str]:
        """Return row `index`; rows must be asked for in order."""
        r = self._random
        extension = r.choices(list(LANGUAGES), (30, 30, 15, 15, 10))[0]
        old = self._code(extension)
        new = list(old)
        for _ in range(r.randrange(1, 5)):
            place = r.randrange(len(new))
            new[place : place + 1] = r.sample(self._lines[extension], r.randrange(3))
        kind = r.random()
        if kind < 0.06:
            old = []
        elif kind < 0.08:
            new = []
        elif kind < 0.11:
            new = old
        tail = "# naïve, ünïcödé ✓\n" if r.random() < 0.03 else ""
        path = "/".join((*r.choices(NOUNS, k=r.randrange(1, 4)), f"{r.choice(NOUNS)}_{r.choice(NOUNS)}"))
        path += f".{extension}" if r.random() < 0.97 else ""
        subject = self._subject(path)
        repositories = 1 if r.random() < 0.7 else r.randrange(2, 9)
        return {
            "commit": hashlib.sha1(f"{self._seed}-{index}".encode()).hexdigest(),
            "old_file": path,
            "new_file": path,
            "old_contents": "".join(old),
            "new_contents": "".join(new) + (tail if new else ""),
            "subject": subject,
            "message": subject + "\n",
            "lang": LANGUAGES[extension][0],
            "license": r.choice(LICENSES),
            "repos": ",".join(f"{r.choice(NOUNS)}{r.randrange(9999)}/{r.choice(NOUNS)}" for _ in range(repositories)),
        }


def rows(count: int, seed: int = 7) -> Iterator[dict[str, str]]:
    """Yield `count` rows."""
    generator = Generator(seed)
    for index in range(count):
        yield generator.row(index)


def write(path: Path, count: int, seed: int = 7) -> None:
    """Write `count` rows as JSON lines."""
    with path.open("wb") as file:
        for row in rows(count, seed):
            file.write(orjson.dumps(row) + b"\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 7)
