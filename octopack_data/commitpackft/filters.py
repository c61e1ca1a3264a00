"""The filters of CommitPackFT: one ordered list of small named rules for each reading of the recipe.

Two readings: `paper` (Table 6 of arXiv 2308.07124 and what the published data shows) and `scripts` (the reference's
two scripts as they run). `scripts-nolist` and `scripts-dotless` differ from `scripts` in the extension rule alone: its
lists are written with dots in the source and compared without, so that it drops every row of nine languages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from hashlib import blake2b
from typing import Any

from octopack_data.commitpackft import wordlists
from octopack_data.commitpackft.subjects import CI_SKIP, clean_paper, clean_scripts


class Semantics(str, Enum):
    """Which reading of the recipe is meant."""

    PAPER = "paper"
    SCRIPTS = "scripts"
    SCRIPTS_NOLIST = "scripts-nolist"
    SCRIPTS_DOTLESS = "scripts-dotless"


class Commit:
    """A row under judgement: its fields, and the subject as the cleaning rules leave it.

    `lowered` is there from the first cleaning on; the rules that read it come behind it.
    """

    __slots__ = ("commit", "lang", "lowered", "new", "new_file", "old", "subject")

    def __init__(self, row: dict[str, Any]) -> None:
        self.commit: str = row["commit"]
        self.old: str = row["old_contents"]
        self.new: str = row["new_contents"]
        self.new_file: str = row["new_file"]
        self.lang: str = row["lang"]
        self.subject: str = row["subject"]

    def set_subject(self, subject: str) -> None:
        """Change the subject."""
        self.subject = subject
        self.lowered: str = subject.lower()


COLUMNS = ("commit", "old_contents", "new_contents", "new_file", "lang", "subject")
"""Text columns that the rules read."""

FIRST_SCRIPT = "commitpackft_filters1.py"
SECOND_SCRIPT = "commitpackft_filters2.py"
PAPER = "paper, Table 6"


@dataclass(frozen=True, slots=True)
class Rule:
    """One filter: a row stays when `keeps` says so.

    Attributes:
        code: place in the recipe (A, B: the two scripts; P: the paper).
        name: what the rule looks at.
        keeps: the test.
        source: where the rule comes from.
        parameters: the numbers and words it uses, for the record.
        shows: the value the test was decided on, for explanations.
    """

    code: str
    name: str
    keeps: Callable[[Commit], bool]
    source: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    shows: Callable[[Commit], object] = lambda commit: commit.subject

    @property
    def reason(self) -> str:
        """The name under which dropped rows are counted."""
        return f"{self.code} {self.name}"


@dataclass(frozen=True, slots=True)
class Edit:
    """A step of the recipe that changes the subject and drops nothing."""

    code: str
    name: str
    change: Callable[[str], str]
    source: str

    @property
    def reason(self) -> str:
        """The name of the step in explanations."""
        return f"{self.code} {self.name}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The ordered rules of one reading.

    Attributes:
        before_tokens: rules and edits before the token rule.
        tokens: code and name of the token rule (its test needs the tokenizer and is made separately).
        after_tokens: rules and edits after it.
    """

    before_tokens: tuple[Rule | Edit, ...]
    tokens: str
    after_tokens: tuple[Rule | Edit, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons for dropping, in order."""
        steps = (*self.before_tokens, self.tokens, *self.after_tokens)
        return tuple(s if isinstance(s, str) else s.reason for s in steps if not isinstance(s, Edit))


# ----------------------------------------------------------------------------------------------- parts of both readings

_VERSION = re.compile(r"(?:v)?\d+\.\d+\.\d+(?=$|\S)")
_HASH = re.compile(r"^[a-f0-9]+(?:-[a-f0-9]+)*$")
_SHA = re.compile(r"[a-f0-9]{40}")
_TICKET = re.compile(r"(?:issue|bug|feature)\s*\d+", re.IGNORECASE)

DROPPED_BUMPS = 0.9
"""Share of version bumps that is dropped (paper Table 6, "Downsample"; random.random() > 0.1 in the second script)."""


def bump_survives(seed: int, commit: str) -> bool:
    """Decide the random rule for a commit: a fixed tenth of all commits survives, however the rows are sharded."""
    digest = blake2b(f"{seed}:{commit}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >= DROPPED_BUMPS * 2**64


def _lists_without_dots() -> dict[str, frozenset[str]]:
    lists = wordlists.load("extensions")["extensions"]
    return {lang: frozenset(ext.removeprefix(".") for ext in listed) for lang, listed in lists.items()}


def _content_rules(prefix: str, source: str, longest: int) -> tuple[Rule, ...]:
    return (
        Rule(
            f"{prefix}1",
            "old contents too long",
            lambda c: len(c.old) <= longest,
            source,
            {"max_characters": longest},
            lambda c: f"{len(c.old)} characters",
        ),
        Rule(
            f"{prefix}2",
            "new contents empty",
            lambda c: bool(c.new),
            source,
            shows=lambda c: f"{len(c.new)} characters",
        ),
        Rule(
            f"{prefix}3",
            "nothing changed",
            lambda c: c.old != c.new,
            source,
            shows=lambda c: "contents are equal" if c.old == c.new else "contents differ",
        ),
        Rule(f"{prefix}4", "number sign in subject", lambda c: "#" not in c.subject, source, {"text": "#"}),
    )


def _lists(words: tuple[str, ...]) -> Callable[[Commit], bool]:
    """Return a test that no listed text is in the lowered subject."""
    if len(words) == 1:
        only = words[0]
        return lambda c: only not in c.lowered

    def keeps(c: Commit) -> bool:
        lowered = c.lowered
        return not any([word in lowered for word in words])  # noqa: C419 - a list is twice as fast for so few

    return keeps


def _no_ticket(subject: str) -> bool:
    """Return whether no issue, bug or feature is named by number."""
    if subject.isascii():  # beyond ASCII, other letters may count as these when case is ignored
        lowered = subject.lower()
        if "issue" not in lowered and "bug" not in lowered and "feature" not in lowered:
            return True
    return _TICKET.search(subject) is None


def _starts_with(verbs: tuple[str, ...]) -> Callable[[Commit], bool]:
    """Return a test that the lowered subject starts with one of the verbs, then white space or the end."""
    single = frozenset(verb for verb in verbs if " " not in verb)
    compound = re.compile("|".join(rf"{re.escape(verb)}(?=\s|\Z)" for verb in verbs if " " in verb) or r"(?!)").match

    def keeps(c: Commit) -> bool:
        words = c.lowered.split(None, 1)
        if not words or not c.lowered.startswith(words[0]):
            return False
        return words[0] in single or compound(c.lowered) is not None

    return keeps


# ------------------------------------------------------------------------------------------------------------ scripts


def language_folder(lang: str) -> str:
    """Return the folder name of a language as the reference's scripts see it."""
    return lang.lower().replace(" ", "-")


def _extension_scripts(semantics: Semantics) -> Callable[[Commit], bool]:
    lists: dict[str, frozenset[str]]
    if semantics is Semantics.SCRIPTS_DOTLESS:
        lists = _lists_without_dots()
    elif semantics is Semantics.SCRIPTS_NOLIST:
        lists = {}
    else:
        lists = {lang: frozenset(listed) for lang, listed in wordlists.load("extensions")["extensions"].items()}

    def keeps(c: Commit) -> bool:
        if "." not in c.new_file:
            return False
        allowed = lists.get(language_folder(c.lang))
        return allowed is None or c.new_file.rpartition(".")[2] in allowed

    return keeps


def _stem_not_in_subject_scripts(c: Commit) -> bool:
    parts = c.new_file.rpartition("/")[2].split(".")
    return len(parts) < 2 or parts[-2] not in c.subject


def _length_scripts(c: Commit) -> bool:
    return 10 < len(c.subject) < 1000 and 4 < len(c.subject.split()) < 1000


def _show_length(c: Commit) -> str:
    return f"{len(c.subject)} characters, {len(c.subject.split())} words: {c.subject}"


_LENGTH = {"characters": "11..999", "words": "5..999"}


def scripts_recipe(semantics: Semantics, seed: int, starts: tuple[str, ...] | None = None) -> Recipe:
    """Return the rules of the two scripts, in the order in which they run.

    Args:
        semantics: one of the three scripts readings.
        seed: of the random rule.
        starts: verbs a subject must start with, instead of the source's English list.
    """
    noise = wordlists.load("noise")
    source_starts = wordlists.load("starts_scripts")
    verbs = tuple(f"{word} " for word in starts or source_starts["words"]["en"])
    stock = frozenset(noise["stock_messages"])
    sentences = frozenset(noise["sentences"])
    bumps = tuple(noise["version_bump_starts"])
    cherry_picked: str = noise["cherry_picked"]

    def rule(code: str, name: str, keeps: Callable[[Commit], bool], **parameters: object) -> Rule:
        return Rule(code, name, keeps, FIRST_SCRIPT if code[0] == "A" else SECOND_SCRIPT, parameters)

    def without(code: str, *words: str) -> Rule:
        return rule(code, f"says {words[0].strip()!r}", _lists(words), texts=words)

    before: tuple[Rule | Edit, ...] = (
        *_content_rules("A", FIRST_SCRIPT, 49_999),
        Rule(
            "A5",
            "unusual extension",
            _extension_scripts(semantics),
            FIRST_SCRIPT,
            {"lists": semantics.value},
            lambda c: f"{c.new_file} ({c.lang})",
        ),
        Rule(
            "A6",
            "file name in subject",
            _stem_not_in_subject_scripts,
            FIRST_SCRIPT,
            shows=lambda c: f"{c.new_file} / {c.subject}",
        ),
        Rule("A7", "subject length", _length_scripts, FIRST_SCRIPT, _LENGTH, _show_length),
        Edit("A8", "clean", clean_scripts, FIRST_SCRIPT),
        Rule("A9", "cleaned subject length", _length_scripts, FIRST_SCRIPT, _LENGTH, _show_length),
        rule("A10", "no capital letter first", lambda c: c.subject.strip()[:1].isupper()),
    )
    after: tuple[Rule | Edit, ...] = (
        rule("A12", "start word", lambda c: c.lowered.startswith(verbs), starts=len(verbs)),
        rule("A13", "stock message", lambda c: c.lowered not in stock, messages=sorted(stock)),
        rule("A14", "noise phrase", _lists(tuple(noise["phrases_first_script"])), texts=noise["phrases_first_script"]),
        rule("A15", "version number", lambda c: _VERSION.match(c.subject) is None, pattern=_VERSION.pattern),
        rule("A16", "only a hash", lambda c: _HASH.match(c.subject) is None, pattern=_HASH.pattern),
        rule("B1", "cherry picked", lambda c: cherry_picked not in c.subject, text=cherry_picked),
        rule("B2", "commit id", lambda c: _SHA.search(c.subject) is None, pattern=_SHA.pattern),
        Edit("B3", "clean again", lambda subject: subject.replace(CI_SKIP, "").strip(), SECOND_SCRIPT),
        without("B5", " i ", "i've", "i'm"),
        rule("B6", "says 'thanks to ... for'", lambda c: not ("thanks to" in c.lowered and "for" in c.subject)),
        without("B7", "code review"),
        rule("B8", "stock sentence", lambda c: c.lowered not in sentences, sentences=sorted(sentences)),
        rule("B9", "ticket number", lambda c: _no_ticket(c.subject), pattern=_TICKET.pattern),
        without("B10", "cdpcp"),
        without("B11", "//codereview"),
        without("B12", "work in progress", "wip"),
        without("B13", "https://", "http://"),
        without("B14", "| leetcode"),
        rule("B15", "fewer than 4 words", lambda c: len(c.subject.split()) >= 4, words=4),
        # Fourth in the script. Last, it drops the same rows, and the counts of all others do not depend on the seed.
        rule(
            "B4",
            "version bump (random)",
            lambda c: not c.subject.startswith(bumps) or bump_survives(seed, c.commit),
            starts=bumps,
            dropped=DROPPED_BUMPS,
            seed=seed,
        ),
    )
    return Recipe(before, "A11 token count", after)


# -------------------------------------------------------------------------------------------------------------- paper


def _split_name(path: str) -> tuple[str, str]:
    """Return stem and extension (without dot) of a path's base name; dots at its start begin no extension."""
    base = path.rpartition("/")[2]
    stem, _, extension = base.rpartition(".")
    return (stem, extension) if stem.strip(".") else (base, "")


def _extension_paper() -> Callable[[Commit], bool]:
    lists = _lists_without_dots()

    def keeps(c: Commit) -> bool:
        extension = _split_name(c.new_file)[1]
        allowed = lists.get(c.lang.lower())
        return bool(extension) and (allowed is None or extension in allowed)

    return keeps


def paper_recipe(seed: int, starts: tuple[str, ...] | None = None) -> Recipe:
    """Return the rules of the paper's Table 6 in its order.

    Where the table leaves a choice: exactly 50,000 characters stay; lengths are those of the uncleaned subject; lists
    of words and patterns are searched anywhere in the lowered subject; a verb may end the subject.

    Args:
        seed: of the random rule.
        starts: verbs a subject must start with, instead of Table 7.
    """
    noise = wordlists.load("noise")
    verbs = starts or tuple(wordlists.load("starts_paper")["words"])
    starts_with_verb = _starts_with(verbs)
    phrases = (*noise["phrases_first_script"], *noise["phrases_second_script"], *noise["sentences"])
    no_phrase = _lists(phrases)
    bumps = tuple(noise["version_bump_starts"])

    def no_pattern(c: Commit) -> bool:
        text = c.lowered
        return (
            (text.count(".") < 2 or _VERSION.search(text) is None)
            and _HASH.match(text) is None
            and (len(text) < 40 or _SHA.search(text) is None)
            and _no_ticket(text)
        )

    def rule(code: str, name: str, keeps: Callable[[Commit], bool], **parameters: object) -> Rule:
        return Rule(code, name, keeps, PAPER, parameters)

    before: tuple[Rule | Edit, ...] = (
        *_content_rules("P", PAPER, 50_000),
        Rule("P5", "unusual extension", _extension_paper(), PAPER, shows=lambda c: f"{c.new_file} ({c.lang})"),
        Rule(
            "P6",
            "file name in subject",
            lambda c: _split_name(c.new_file)[0] not in c.subject,
            PAPER,
            shows=lambda c: f"{c.new_file} / {c.subject}",
        ),
        Rule("P7", "subject characters", lambda c: 10 < len(c.subject) < 1000, PAPER, {"characters": "11..999"}),
        Rule(
            "P8", "subject words", lambda c: 4 < len(c.subject.split()) < 1000, PAPER, {"words": "5..999"}, _show_length
        ),
        Edit("P9", "clean", clean_paper, PAPER),
        rule("P10", "no capital letter first", lambda c: c.subject[:1].isupper()),
    )
    after = (
        Rule(
            "P12",
            "start word",
            starts_with_verb,
            "paper, Table 7",
            {"starts": len(verbs)},
        ),
        rule(
            "P13",
            "noise",
            lambda c: no_phrase(c) and not ("thanks to" in c.lowered and "for" in c.lowered),
            texts=phrases,
        ),
        rule("P14", "pattern", no_pattern, patterns=[p.pattern for p in (_VERSION, _HASH, _SHA, _TICKET)]),
        rule(
            "P15",
            "version bump (random)",
            lambda c: not c.subject.startswith(bumps) or bump_survives(seed, c.commit),
            starts=bumps,
            dropped=DROPPED_BUMPS,
            seed=seed,
        ),
    )
    return Recipe(before, "P11 token count", after)


@cache
def recipe(semantics: Semantics, seed: int, starts: tuple[str, ...] | None = None) -> Recipe:
    """Return the rules of a reading."""
    return paper_recipe(seed, starts) if semantics is Semantics.PAPER else scripts_recipe(semantics, seed, starts)
