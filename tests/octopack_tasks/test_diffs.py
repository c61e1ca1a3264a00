from __future__ import annotations

import pytest

from octopack_tasks.diffs import apply_carper_hunks, apply_diff, carper_hunks

CODE = "a\nb\nc\nd\n"
PROMPT = "<NME> f.py\n<BEF> a\n<MSG> Fix it.\n<DFF>"


def test_hunks_stand_after_the_last_tag() -> None:
    assert carper_hunks(PROMPT + " @@ -1 +1 @@\n-a\n+b") == "@@ -1 +1 @@\n-a\n+b"
    assert carper_hunks(PROMPT + "@@ -1 +1 @@\n-a\n+b") is None
    assert carper_hunks("no tags") is None


def test_hunks_end_where_no_hunk_line_is() -> None:
    assert carper_hunks(PROMPT + " @@ @@\n+b\nThat was it.\n+c") == "@@ @@\n+b"
    assert (
        carper_hunks(PROMPT + " @@ @@\n+b\n7 is no end, nor is\n<this\n?\nZ")
        == "@@ @@\n+b\n7 is no end, nor is\n<this\n?"
    )
    assert carper_hunks(PROMPT + " @@ @@\n+b\n<NME> other") == "@@ @@\n+b\n"


@pytest.mark.parametrize(
    ("hunks", "result"),
    [
        ("@@ -2 +2 @@\n-b\n+B", "a\nB\nc\nd\n"),
        ("@@ -9,9 +9,9 @@ def f():\n a\n-b\n+B\n c", "a\nB\nc\nd\n"),  # line numbers and headings do not matter
        ("@@ -1 +1 @@\n-a\n+A\n@@ -3 +3 @@\n-c\n+C", "A\nb\nC\nd\n"),
        ("@@ -3 +3 @@\n-c\n+C\n@@ -1 +1 @@\n-a\n+A", "a\nb\nC\nd\n"),  # hunks are applied in order only
        ("@@ -1 +1 @@\n-x\n+y\n@@ -1 +1 @@\n-a\n+A", "A\nb\nc\nd\n"),  # one that matches nowhere is skipped
        ("@@ -0,0 +1 @@\n+new", "new\na\nb\nc\nd\n"),
        ("@@ -1 +1 @@\n-a\n+A\n@@ -0,0 +1 @@\n+new", "A\nb\nc\nd\n"),
        ("@@ -4 +4 @@\n-d\n\\ No newline at end of file\n+D", "a\nb\nc\nD\n"),
        ("text first\n@@ -1 +1 @@\n-a\n+A", "\na\nb\nc\nd\n"),  # taken for the header, the header for its hunk
        ("no header", CODE),
        ("", CODE),
    ],
)
def test_hunks_are_applied_by_their_text(hunks: str, result: str) -> None:
    assert apply_carper_hunks(CODE, hunks) == result


def test_a_hunk_must_end_at_a_line_end() -> None:
    assert apply_carper_hunks("ab\na\n", "@@ -1 +1 @@\n-a\n+x") == "ab\na\n"
    assert apply_carper_hunks("ba\na\n", "@@ -1 +1 @@\n-a\n+x") == "bx\na\n"


def test_a_patch_of_diff_match_patch() -> None:
    patch = "\n@@ -1,8 +1,8 @@\n a%0A\n-b\n+B\n %0Ac%0Ad%0A\n"
    assert apply_diff(CODE, patch) == "a\nB\nc\nd\n"
    assert apply_diff(CODE, "") == CODE
    assert apply_diff(CODE, "no patch") == ""
