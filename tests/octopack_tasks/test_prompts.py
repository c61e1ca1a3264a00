from __future__ import annotations

import dataclasses

import pytest

from octopack_tasks import FORMATS, TASKS, Problem, UserError, get_task
from octopack_tasks.prompts import EDIT_FORMATS, Question, render

QUESTION = Question(instruction="Fix it.", context=" code", start="def f():\n", file_name="f.py", fence="python")


def test_one_prompt_in_full(toy: Problem) -> None:
    assert get_task("humanevalfixtests-python").prompt(toy, "octocoder").text == (
        "Question: Fix bugs in double.\n"
        "def double(x):\n    return x\n\n"
        "def check(double):\n    assert double(2) == 4\n\ncheck(double)\n\n"
        "Answer:\ndef double(x):"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("instruct", "code\nFix it.\n\ndef f():"),
        ("octocoder", "Question: Fix it.\n code\n\nAnswer:\ndef f():"),
        ("starchat", "<|system|>\n<|end|>\n<|user|>\nFix it.\n code<|end|>\n<|assistant|>\ndef f():"),
        ("starcodercommit", "<commit_before> code<commit_msg>Fix it.<commit_after>def f():"),
        ("codellama", "[INST] Fix it.\n code [/INST] def f():"),
        ("zephyr", "<|user|>\nFix it.\n code</s>\n<|assistant|>\ndef f():"),
        ("codegemma", "<start_of_turn>user\nFix it.\n code<end_of_turn>\n<start_of_turn>model\ndef f():"),
        ("file", "<file_name>\nf.py\n<commit_before>\n code\n<commit_msg>\nFix it.<commit_after>\ndef f():"),
        ("diff", "<commit_before> code<commit_msg>Fix it.<commit_after>"),
        ("diff-carper", "<NME> f.py\n<BEF>  code\n<MSG> Fix it.\n<DFF>"),
    ],
)
def test_formats(name: str, text: str) -> None:
    assert render(QUESTION, name).text == text


def test_formats_that_are_the_same() -> None:
    def texts(*names: str) -> set[str]:
        return {render(QUESTION, name).text for name in names}

    assert len(texts("yi", "starchat2", "codeqwen")) == 1
    assert len(texts("tulu", "gritlm")) == 1
    assert len(texts("wizardcoder", "instructcodet5p")) == 2  # they differ by one newline


def test_the_request_is_stripped_in_some_formats_only() -> None:
    question = dataclasses.replace(QUESTION, context="code\n\n")
    assert "code [/INST]" in render(question, "codellama").text
    assert "code\n\n<|im_end|>" in render(question, "yi").text


def test_a_commit_has_code_before_it_only_where_code_is_edited() -> None:
    question = dataclasses.replace(QUESTION, file_name=None)
    assert render(question, "starcodercommit").text == "<commit_before><commit_msg>Fix it.\n code<commit_after>def f():"


def test_an_unknown_format_is_refused_with_those_there_are(toy: Problem) -> None:
    with pytest.raises(UserError, match="unknown prompt format 'octocoda'; there are: continue, instruct, octocoder"):
        get_task("humanevalsynthesize-python").prompt(toy, "octocoda")


@pytest.mark.parametrize("name", EDIT_FORMATS)
def test_formats_for_edits_are_refused_elsewhere(name: str, toy: Problem) -> None:
    with pytest.raises(UserError, match="only works for humanevalfixtests"):
        get_task("humanevalsynthesize-python").prompt(toy, name)
    assert get_task("humanevalfixdocs-python").prompt(toy, name).text


def test_continue_is_for_synthesis_only(toy: Problem) -> None:
    assert get_task("humanevalsynthesize-python").prompt(toy, "continue").text == toy.prompt.strip()
    with pytest.raises(UserError, match="'continue' shows the start of the answer alone"):
        get_task("humanevalfixtests-python").prompt(toy, "continue")


@pytest.mark.parametrize("name", TASKS)
def test_the_formats_of_a_task_are_those_it_renders(name: str, problems: dict[str, Problem]) -> None:
    task = get_task(name)
    problem = dataclasses.replace(problems[task.language.name], description="Counts seats.", candidate=0)
    for prompt_format in FORMATS:
        if prompt_format in task.formats:
            task.check_format(prompt_format)
            text = task.prompt(problem, prompt_format).text
            assert text == text.strip() != ""
        else:
            with pytest.raises(UserError, match="does not suit"):
                task.check_format(prompt_format)
            with pytest.raises(UserError):
                task.prompt(problem, prompt_format)


def test_encoder_prompts_lack_the_start_of_the_answer(toy: Problem) -> None:
    task = get_task("humanevalsynthesize-python")
    encoder, decoder = task.encoder_prompt(toy), task.prompt(toy, "instructcodet5p").text
    assert decoder == encoder + toy.prompt.rstrip()
    with pytest.raises(UserError, match="need the prompt format 'instructcodet5p', not 'octocoder'"):
        task.encoder_prompt(toy, "octocoder")
    with pytest.raises(UserError, match="fix scenarios have no encoder prompt"):
        get_task("humanevalfixdocs-python").encoder_prompt(toy)


def test_chat_prefills_the_declaration(toy: Problem) -> None:
    prompt = get_task("humanevalfixtests-python").prompt(toy, "chat")
    assert prompt.is_chat
    assert prompt.text.startswith("Fix bugs in double.\ndef double(x):\n    return x\n")
    assert prompt.prefill == "```python\ndef double(x):"
    assert [dict(message) for message in prompt.messages] == [
        {"role": "user", "content": prompt.text},
        {"role": "assistant", "content": prompt.prefill},
    ]


def test_chat_without_prefill_asks_for_a_whole_answer(toy: Problem) -> None:
    prompt = get_task("humanevalsynthesize-python").prompt(toy, "chat-without-prefill")
    assert prompt.prefill == ""
    assert len(prompt.messages) == 1
    assert prompt.text.startswith("Write a Python function `double(x)`")
    assert '```python\ndef double(x):\n    """ Twice x. """\n```' in prompt.text


def test_chat_descriptions_are_prose(toy: Problem) -> None:
    prompt = get_task("humanevalexplaindescribe-python").prompt(toy, "chat")
    assert prompt.prefill == ""
    assert "```" not in prompt.text


def test_stop_words() -> None:
    python, go = get_task("humanevalfixtests-python"), get_task("humanevalsynthesize-go")
    assert python.stop_words()[:2] == ("\nclass", "\ndef")
    assert python.stop_words("starchat")[-2:] == ("<|end|>", "<|endoftext|>")
    assert python.stop_words("diff") == ("<commit_before>", "<commit_msg>", "<commit_after>", "<|endoftext|>")
    assert python.stop_words("chat") == ("<|endoftext|>",)
    # No format leaves words behind for the next one, as they do in one process of the reference.
    assert "<|end|>" not in python.stop_words()
    assert go.stop_words("issue") == ("\n//", "\nfunc main(", "struct", "\nfunc", "```", "<|endoftext|>")
