"""Every rule and the whole chain, against recorded facts and against a plain implementation on generated rows."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commit_rows import commit
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plain_commitpackft import has_bump, judge

from octopack_data.commitpackft.filters import Commit, Edit, Semantics, bump_survives, recipe
from octopack_data.commitpackft.judge import Judge
from octopack_data.commitpackft.models import MODELS
from octopack_data.commitpackft.subjects import clean_paper, clean_scripts
from octopack_data.commitpackft.tokens import TokenCounter, counter_for

READINGS = list(Semantics)
STARCODER = MODELS["starcoder"].bounds


class FixedCount:
    """Stands for a tokenizer: every text has the same number of tokens."""

    identity = "fixed"

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def count(self, text: str, limit: int) -> int:
        return self.tokens

    def count_around(self, before: str, separator: str, after: str, limit: int) -> int:
        return self.tokens


def recorded(shared: Path) -> list[tuple[dict[str, str], dict[str, Any]]]:
    folder = shared / "golden" / "data"
    with gzip.open(folder / "commitpackft_expected.jsonl.gz", "rt", encoding="utf-8") as file:
        expected = {row["commit"]: row for row in map(json.loads, file)}
    with gzip.open(folder / "commitpackft_rows.jsonl.gz", "rt", encoding="utf-8") as file:
        return [(row, expected[row["commit"]]) for row in map(json.loads, file)]


@pytest.mark.parametrize("reading", READINGS)
def test_recorded_rows(shared: Path, recorded_tokenizer_json: str, reading: Semantics) -> None:
    chain = Judge(recipe(reading, seed=0), counter_for(recorded_tokenizer_json, "SmolLM2"), STARCODER)
    rows = recorded(shared)
    for row, facts in rows:
        expected = facts[reading.value.replace("-", "_")]
        decision = chain.decide(row)
        rule = decision.reason.split()[0] if decision.reason else None
        if expected["kept"] == "random":
            assert rule in (None, "B4", "P15"), row
        else:
            assert (rule is None, rule) == (expected["kept"], expected["rule"]), row
        if rule is None:
            assert decision.subject == expected["subject"]
    assert len(rows) > 1000


def test_recorded_cleaning_and_token_counts(shared: Path, recorded_tokenizer_json: str) -> None:
    counter = counter_for(recorded_tokenizer_json, "SmolLM2")
    counted = 0
    for row, facts in recorded(shared):
        assert clean_scripts(row["subject"]) == facts["clean_scripts"]
        assert clean_paper(row["subject"]) == facts["clean_paper"]
        if facts["tokens"] is not None:
            assert (
                STARCODER.count(replace_limit(counter), row["old_contents"], "", row["new_contents"]) == facts["tokens"]
            )
            counted += 1
    assert counted > 1000


def replace_limit(counter: TokenCounter) -> TokenCounter:
    """Return a counter that counts on where the rule would have given up."""

    class Exact:
        identity = counter.identity

        def count(self, text: str, limit: int) -> int:
            return counter.count(text, 10**9)

        def count_around(self, before: str, separator: str, after: str, limit: int) -> int:
            return counter.count_around(before, separator, after, 10**9)

    return Exact()


# Pieces of subjects that sit on the rules' edges, glued together at random.
PIECES = st.sampled_from(
    [
        *(
            "Fix",
            "fix",
            "Add",
            "Bump",
            "Bump up",
            "Set version",
            "Update version",
            "Plug",
            "plug ",
            "Recommend",
            "Recomment",
        ),
        *(
            "Brush up",
            "Speed up",
            "Deal with",
            "Test",
            "update",
            "Merge branch",
            "Undo",
            "the",
            "total",
            "of",
            "values",
        ),
        *(
            "reader",
            "a",
            "I",
            "i",
            "I've",
            "I'm",
            "thanks to",
            "for",
            "format",
            "For",
            "WIP",
            "swipe",
            "work in progress",
        ),
        *(
            "[skip ci]",
            "[ci skip]",
            "[Skip CI]",
            "[x]",
            "[x",
            "x]",
            "[a b]",
            "[[x]]",
            "core:",
            ":",
            "a:b",
            "[x]:",
            "x:[y]",
        ),
        *(
            "issue 12",
            "Issue12",
            "bug\t7",
            "feature",
            "feature ١٢",
            "i\u017f\u017fue 3",
            "#",
            "C#",
            "1.2.3",
            "v1.2.34",
            "1.2.3 ",
            "deadbeef",
        ),
        *(
            "0123456789abcdef0123456789abcdef01234567",
            "abc-def",
            "https://x.y",
            "http://",
            "| leetcode",
            "//codereview",
            "cdpcp",
        ),
        *(
            "code review",
            "cherry picked from commit",
            "Cherry picked from commit",
            "auto commit",
            "<?xml",
            "Signed-off-by",
        ),
        *(
            "merge pull request",
            "Put the thingie in the thingie",
            "Add a beter commit message",
            "updated readme.md",
            "É",
            "ß",
            "中",
        ),
        *("\u2028", "\x1c", "  ", "\t", "\xa0", "\n", "x" * 990, "w " * 498),
    ]
)
SUBJECTS = st.one_of(
    st.lists(PIECES, max_size=9).map(" ".join),
    st.lists(PIECES, max_size=4).map("".join),
    st.lists(PIECES, min_size=1, max_size=5).map(lambda pieces: "Fix the total " + " ".join(pieces)),
    st.text(max_size=30),
)
PATHS = st.one_of(
    st.sampled_from(
        [
            *(
                "lib/reader.rb",
                "reader",
                ".bashrc",
                "src/.x.py",
                "..",
                "..rb",
                "x..py",
                "a.py",
                "A.PY",
                "x.",
                ".py",
                "d.d/x",
                "",
            ),
            *(
                "a.test.js",
                "x.min.js",
                "x.sh",
                "x.bash",
                "x.cpp",
                "x.h",
                "x.html",
                "x.xml",
                "dir/",
                "the reader.go",
                "x.rs",
            ),
        ]
    ),
    st.text(alphabet="ab./ ", max_size=8),
)
CONTENTS = st.sampled_from(["", "a\n", "b\n", "c" * 49_999, "c" * 50_000, "d" * 50_001, "ä\n"])
LANGS = st.sampled_from(
    [
        "Python",
        "python",
        "Java",
        "JavaScript",
        "C++",
        "C",
        "Go",
        "Rust",
        "HTML",
        "XML",
        "Shell",
        "Ruby",
        "Jupyter Notebook",
        "",
    ]
)
ROWS = st.builds(
    lambda subject, path, old, new, lang, number: commit(
        number, subject=subject, new_file=path, old_contents=old, new_contents=new, lang=lang
    ),
    SUBJECTS,
    st.one_of(st.just("lib/reader.rb"), PATHS),
    st.one_of(st.just("a\n"), CONTENTS),
    st.one_of(st.just("b\n"), CONTENTS),
    st.one_of(st.just("Ruby"), LANGS),
    st.integers(0, 2**64),
)


@settings(max_examples=400, deadline=None)
@given(ROWS, st.sampled_from([49, 50, 300, 300, 300, 768, 769]))
@example(commit(subject="Fix total for Issue ١٢ in the reader"), 300)
@example(commit(subject="Fix the i\u017f\u017fue 12 in the reader"), 300)
@example(commit(subject="Fix the total [ci skip] now"), 300)
@example(commit(subject="Add a beter commit message"), 300)
@example(commit(subject="Plug a leak in the reader"), 300)
def test_chain_equals_the_plain_one(row: dict[str, str], tokens: int) -> None:
    for reading in READINGS:
        for exact in (True, False):
            decision = Judge(recipe(reading, seed=3), FixedCount(tokens), STARCODER, exact).decide(row)
            code, subject = judge(row, reading.value, tokens, not bump_survives(3, row["commit"]))
            assert (decision.reason is None) == (code is None), (reading, decision, code)
            if code is None:
                assert decision.subject == subject
            if exact:
                assert (decision.reason or "").split()[:1] == ([code] if code else [])


def rules(reading: str) -> list[Any]:
    chosen = recipe(Semantics(reading), 0)
    return [step for step in (*chosen.before_tokens, *chosen.after_tokens) if not isinstance(step, Edit)]


BOUNDARIES = [
    # (reading, fields, rule that drops it or None)
    ("scripts", {"old_contents": "x" * 49_999}, None),
    ("scripts", {"old_contents": "x" * 50_000}, "A1"),
    ("scripts", {"new_contents": ""}, "A2"),
    ("scripts", {"old_contents": "same", "new_contents": "same"}, "A3"),
    ("scripts", {"subject": "Fix broken total in C# readers"}, "A4"),
    ("paper", {"subject": "Fix broken total values"}, "P8"),
    ("paper", {"old_contents": "x" * 50_000}, None),
    ("paper", {"old_contents": "x" * 50_001}, "P1"),
    ("paper", {"new_contents": ""}, "P2"),
    ("paper", {"old_contents": "same", "new_contents": "same"}, "P3"),
    ("paper", {"subject": "Fix broken total in C# readers"}, "P4"),
    ("scripts", {"lang": "Python", "new_file": "x.py"}, "A5"),
    ("scripts-dotless", {"lang": "Python", "new_file": "qq.py"}, None),
    ("scripts-nolist", {"lang": "Python", "new_file": "qq.txt"}, None),
    ("scripts", {"lang": "Shell", "new_file": "qq.sh"}, None),
    ("scripts", {"lang": "Shell", "new_file": "qq.ksh"}, "A5"),
    ("scripts", {"new_file": ".bashrc"}, "A6"),
    ("paper", {"new_file": ".bashrc"}, "P5"),
    ("paper", {"new_file": "total.rb"}, "P6"),
    ("scripts", {"new_file": "text.min.js", "lang": "Text"}, None),
    ("scripts", {"new_file": "a.text.js", "lang": "Text"}, "A6"),
    ("paper", {"subject": "Fix a b c"}, "P7"),
    ("paper", {"subject": "Fix a bb c d"}, None),
    ("scripts", {"subject": "Fix broken total values"}, "A7"),
    ("scripts", {"subject": "[core] Fix broken total values"}, "A9"),
    ("paper", {"subject": "[core] Fix broken total values"}, None),
    ("paper", {"subject": "[a b] Fix broken total of values"}, None),
    ("scripts", {"subject": "[a b] Fix broken total of values"}, "A10"),
    ("paper", {"subject": "fix broken total of text values"}, "P10"),
    ("paper", {"subject": "Fixes broken total of text values"}, "P12"),
    ("scripts", {"subject": "Plug a leak of text values"}, "A12"),
    ("paper", {"subject": "Plug a leak of text values"}, None),
    ("scripts", {"subject": "Recomment the total of text values"}, None),
    ("paper", {"subject": "Recomment the total of text values"}, "P12"),
    ("scripts", {"subject": "Fix <?xml head of text values"}, "A14"),
    ("scripts", {"subject": "Fix (cherry picked from commit abc) total"}, "B1"),
    ("scripts", {"subject": f"Revert {'a1' * 20} of the text values"}, "B2"),
    ("scripts", {"subject": "Fix what i broke in values"}, "B5"),
    ("scripts", {"subject": "Fix format thanks to text values"}, "B6"),
    ("scripts", {"subject": "Fix total thanks to text values"}, None),
    ("scripts", {"subject": "Fix total after code review today"}, "B7"),
    ("scripts", {"subject": "Add a beter commit message"}, "B8"),
    ("scripts", {"subject": "Fix total of bug 12 now"}, "B9"),
    ("scripts", {"subject": "Fix total of CDPCP text values"}, "B10"),
    ("scripts", {"subject": "Fix total see //codereview for values"}, "B11"),
    ("scripts", {"subject": "Handle swipe over the text values"}, "B12"),
    ("scripts", {"subject": "Fix total from http://x.y for values"}, "B13"),
    ("scripts", {"subject": "Add total of values | LeetCode now"}, "B14"),
    ("scripts", {"subject": "Fix [ci skip] the totals"}, "B15"),
    ("paper", {"subject": "Fix total of 1.2.34 text values"}, "P14"),
    ("paper", {"subject": "Fix total of 1.2.3 text values"}, None),
    ("paper", {"subject": "Fix total thanks to For values"}, "P13"),
]


@pytest.mark.parametrize(("reading", "fields", "rule"), BOUNDARIES)
def test_boundaries(reading: str, fields: dict[str, str], rule: str | None) -> None:
    row = commit(**fields)
    decision = Judge(recipe(Semantics(reading), 0), FixedCount(300), STARCODER).decide(row)
    assert (decision.reason or "").split()[:1] == ([rule] if rule else [])
    assert judge(row, reading, 300, bump_is_dropped=True)[0] == rule


def test_the_boundaries_name_every_rule_that_can_be_reached() -> None:
    """A rule that no example is dropped by would be compared with nothing."""
    named = {rule for _, _, rule in BOUNDARIES}
    everything = {rule.reason.split()[0] for reading in ("paper", "scripts") for rule in rules(reading)}
    behind_others = {"A13", "A15", "A16"}  # length, capital letter and first word leave nothing for them
    random_rules = {"B4", "P15"}
    assert everything - named == behind_others | random_rules


@pytest.mark.parametrize("subject", ["readme", "1.2.3x and more", "v1.2.3-rc one", "dead-beef"])
def test_rules_behind_others_work_on_their_own(subject: str) -> None:
    behind = [rule for rule in rules("scripts") if rule.code in ("A13", "A15", "A16")]
    row = Commit(commit())
    row.set_subject(subject)
    assert sum(not rule.keeps(row) for rule in behind) == 1


@pytest.mark.parametrize(("tokens", "kept"), [(49, False), (50, True), (768, True), (769, False)])
def test_token_bounds_are_included(tokens: int, kept: bool) -> None:
    assert (Judge(recipe(Semantics.PAPER, 0), FixedCount(tokens), STARCODER).decide(commit()).reason is None) is kept


def test_order_matters() -> None:
    """Length before cleaning and after it are different questions; so are tokens before and after the first word."""
    row = commit(subject="[skip ci] [x] Fix it now")
    scripts = Judge(recipe(Semantics.SCRIPTS, 0), FixedCount(1), STARCODER)
    assert scripts.decide(row).reason == "A9 cleaned subject length"
    before_words = commit(subject="Fixes broken total of text values")
    assert scripts.decide(before_words).reason == "A11 token count"
    chain = recipe(Semantics.SCRIPTS, 0)
    turned = replace(chain, before_tokens=tuple(reversed(chain.before_tokens)))
    assert Judge(turned, None, STARCODER).decide(row).reason != "A9 cleaned subject length"


def test_first_rule_is_named_unless_asked_otherwise() -> None:
    row = commit(subject="Fixes broken total of text values")
    chain = recipe(Semantics.PAPER, 0)
    assert Judge(chain, FixedCount(1), STARCODER).decide(row).reason == "P11 token count"
    assert Judge(chain, FixedCount(1), STARCODER, exact_reasons=False).decide(row).reason == "P12 start word"


def test_the_random_rule_is_a_tenth_fixed_by_seed_and_commit() -> None:
    commits = [f"{number:040x}" for number in range(20_000)]
    survivors = [name for name in commits if bump_survives(0, name)]
    assert 0.09 < len(survivors) / len(commits) < 0.11
    assert survivors == [name for name in commits if bump_survives(0, name)]
    assert survivors != [name for name in commits if bump_survives(1, name)]


def test_bump_like_rows_that_another_rule_drops_are_counted_there() -> None:
    row = commit(subject="Bump total after code review today")
    for number in range(20):
        decision = Judge(recipe(Semantics.SCRIPTS, number), None, STARCODER).decide(row)
        assert decision.reason == "B7 says 'code review'"


def test_every_rule_has_a_reason_and_a_source() -> None:
    for reading in READINGS:
        steps = (*recipe(reading, 0).before_tokens, *recipe(reading, 0).after_tokens)
        assert all(step.source for step in steps)
        reasons = recipe(reading, 0).reasons
        assert len(reasons) == len(set(reasons))


def test_explanation_ends_at_the_rule_that_drops() -> None:
    lines = Judge(recipe(Semantics.PAPER, 0), FixedCount(7), STARCODER).explain(commit())
    assert lines[-1] == ("P11 token count", False, "7 tokens, allowed 50..768")
    assert all(passed for _, passed, _ in lines[:-1])


def test_has_bump_of_the_plain_chain() -> None:
    assert has_bump(commit(subject="Bump it"))
    assert not has_bump(commit(subject="bump it"))


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("starcoder", "OLD<|endoftext|>NEW"),
        ("santacoder", "<|endoftext|>OLD<|endoftext|>SUBJECT<|endoftext|>NEW"),
        ("codegeex", "OLDSUBJECTNEW"),
        ("bloomz", "OLD\n\nSUBJECT\nNEW"),
    ],
)
def test_models_count_their_own_text(model: str, text: str) -> None:
    class Spelled(FixedCount):
        seen = ""

        def count_around(self, before: str, separator: str, after: str, limit: int) -> int:
            self.seen = before + separator + after
            return limit

    counter = Spelled(0)
    MODELS[model].bounds.count(counter, "OLD", "SUBJECT", "NEW")
    assert counter.seen == text
