import gzip
import json
from pathlib import Path

import pytest

from octopack_train.errors import TrainingError
from octopack_train.formats import Example, Format, Layout, Role

COMMIT = {"old_contents": " a\n", "new_contents": "b\n", "subject": " Use b ", "old_file": "src/x.py", "diff": "@@ -1"}


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (Layout(Format.COMMIT, {}), ("<commit_before>\na\n<commit_msg>\nUse b\n<commit_after>\n", "b\n")),
        (
            Layout(Format.COMMIT, {}, file_name=True),
            ("<file_name>\nx.py\n<commit_before>\na\n<commit_msg>\nUse b\n<commit_after>\n", "b\n"),
        ),
        (
            Layout(Format.COMMIT, {}, message_in_target=True),
            ("<commit_before>\na\n<commit_msg>", " Use b <commit_after>b\n"),
        ),
        (
            Layout(Format.COMMIT_DIFF, {}, message_in_target=True),
            ("<commit_before>\na\n<commit_msg>", " Use b \n<commit_after>\n@@ -1"),
        ),
        (
            Layout(Format.LINE_DIFF, {}),
            ("<commit_before>\n  1 a\n<commit_msg>\nUse b\n<commit_after>\n", "-  1 a\n+  1 b"),
        ),
        (Layout(Format.INSTRUCTION_INPUT_OUTPUT, {}), ("Instructions: Use b\nInput:\na\nOutput:\n", "b\n")),
    ],
)
def test_commit_layouts(layout: Layout, expected: tuple[str, str]):
    assert layout.example(COMMIT) == Example(*expected)


def test_question_answer_is_one_text_in_two_parts():
    example = Layout(Format.QUESTION_ANSWER, {Role.PROMPT: "q"}).example({"q": "Why?", "completion": "So."})
    assert example.text == "Question: Why?\n\nAnswer: So."


def test_the_blank_at_the_end_of_a_prompt_belongs_to_the_next_token():
    assert Example("Answer: ", "So.").on_token_boundary() == Example("Answer:", " So.")
    assert Example("Answer:\n", "So.").on_token_boundary() == Example("Answer:\n", "So.")


def test_old_content_column_is_cut_after_its_tag():
    layout = Layout(Format.COMMIT_CONTENT, {})
    assert layout.example({"content": "x<commit_after>y"}) == Example("x<commit_after>", "y")
    with pytest.raises(TrainingError, match="No <commit_after>"):
        layout.example({"content": "x"})


def test_a_missing_text_is_refused():
    with pytest.raises(TrainingError, match="'subject' holds None"):
        Layout(Format.COMMIT, {}).example({**COMMIT, "subject": None})


@pytest.mark.parametrize("options", [{"file_name": True}, {"message_in_target": True}])
def test_options_that_do_not_go_together_are_refused(options: dict[str, bool]):
    with pytest.raises(TrainingError, match="data"):
        Layout(Format.QUESTION_ANSWER, {}, **options)
    if "message_in_target" in options:
        with pytest.raises(TrainingError, match="line-diff"):
            Layout(Format.LINE_DIFF, {}, **options)


def test_agrees_with_the_reference(shared: Path):
    layouts = {
        "finetune_commit": Layout(Format.COMMIT, {}),
        "finetune_commit_file_name": Layout(Format.COMMIT, {}, file_name=True),
        "finetune_loss_on_instruction": Layout(Format.COMMIT, {}, message_in_target=True),
        "finetune_loss_on_instruction_file_name": Layout(Format.COMMIT, {}, file_name=True, message_in_target=True),
        "finetune_line_diff": Layout(Format.LINE_DIFF, {}),
        "finetune_line_diff_file_name": Layout(Format.LINE_DIFF, {}, file_name=True),
        "finetune_flan_template": Layout(Format.INSTRUCTION_INPUT_OUTPUT, {}),
    }
    with gzip.open(shared / "golden/data/formats.jsonl.gz", "rt", encoding="utf-8") as rows:
        for row in map(json.loads, rows):
            for name, layout in layouts.items():
                expected = Example(row[name]["input"], row[name]["output"])
                assert layout.example(row) == expected, (row["id"], name)
