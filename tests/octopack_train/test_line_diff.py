import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octopack_train.errors import TrainingError
from octopack_train.line_diff import apply_line_diff, line_diff, number_lines


def test_numbers_are_right_aligned_in_three_characters_and_widen_from_1000_on():
    numbered = number_lines("\n".join(["x"] * 1000)).splitlines()
    assert [numbered[0], numbered[98], numbered[999]] == ["  1 x", " 99 x", "1000 x"]


def test_one_inserted_line_makes_every_later_line_appear():
    assert line_diff("a\nb", "new\na\nb") == "-  1 a\n-  2 b\n+  1 new\n+  2 a\n+  3 b"


def test_equal_codes_have_no_diff():
    assert line_diff("a\nb\n", "  a\nb") == ""


code = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8), max_size=12).map(
    "\n".join
)


@settings(max_examples=200, deadline=None)
@given(old=code, new=code)
def test_applying_a_diff_gives_the_new_lines(old: str, new: str):
    assert apply_line_diff(old, line_diff(old, new)).splitlines() == new.strip().splitlines()


@pytest.mark.parametrize(
    ("diff", "complaint"),
    [("?  1 a", "Not a line"), ("+ a", "Not a line"), ("-  7 a", "removes line 7"), ("-  0 a", "removes line 0")],
)
def test_a_diff_that_does_not_fit_is_refused(diff: str, complaint: str):
    with pytest.raises(TrainingError, match=complaint):
        apply_line_diff("a\nb\n", diff)


def test_agrees_with_the_reference(shared: Path):
    with gzip.open(shared / "golden/data/formats.jsonl.gz", "rt", encoding="utf-8") as rows:
        for row in map(json.loads, rows):
            assert number_lines(row["old_contents"]) == row["line_diff_numbered_old"], row["id"]
            assert line_diff(row["old_contents"], row["new_contents"]) == row["line_diff_target"], row["id"]
