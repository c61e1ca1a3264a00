"""Code in the answer of a chat model: fenced or not, the whole of it or the rest of what it was given to continue."""

from __future__ import annotations

import re

from octopack_tasks.languages import Language
from octopack_tasks.problems import Problem
from octopack_tasks.prompts import END_OF_TEXT

_FENCE = re.compile(r"^(?P<indentation>[ \t]*)```(?P<info>[^\n`]*)$", re.MULTILINE)
_INDENTATION = re.compile(r"^([ \t]*)[^ \t\n]", re.MULTILINE)


def code_of_answer(completion: str, given: str, problem: Problem, language: Language, *, is_continued: bool) -> str:
    """The solution in a chat model's answer.

    It is the first fenced block that defines the function, without a fence the whole text if that does. A model that
    continues a prefilled message may also just end the function; the code it was given stands before that then.

    Args:
        completion: The answer, without the prefill.
        given: The code of the prefill, or the code which the answer was asked to start with.
        problem: The problem.
        language: Its language.
        is_continued: Whether the model continued a message with the given code in an open fence.
    """
    text = completion.split(END_OF_TEXT, 1)[0]
    if is_continued:
        fence = _FENCE.search(text)
        if fence is None:
            return given.rstrip() + language.truncate(text.rstrip())
        if not fence["info"].strip():  # closes the fence of the prefill
            return given.rstrip() + language.without_main(text[: fence.start()]).rstrip()
    candidates = fenced_blocks(text) or [text]
    whole = next((code for code in candidates if language.defines(code, problem.entry_point)), None)
    if whole is not None:
        return _with_preamble(language.without_main(whole).strip("\n"), language.declaration(problem), problem)
    return given.rstrip() + language.truncate("\n" + candidates[0].strip("\n"))


def is_closed(completion: str) -> bool:
    """Whether an answer that continued a prefilled message has closed the fence of its code."""
    fence = _FENCE.search(completion)
    # At the very end the fence may still get an info string: it would be the opening of another block.
    return fence is not None and not fence["info"].strip() and fence.end() < len(completion)


def fenced_blocks(text: str) -> list[str]:
    """The contents of the fenced code blocks of a Markdown text; the last one may lack its end.

    A block in a list is indented as its fence is; that much indentation is not the code's.
    """
    fences = list(_FENCE.finditer(text))
    blocks = []
    while fences:
        opening = fences.pop(0)
        while fences and fences[0]["info"].strip():  # a fence with an info string does not close a block
            fences.pop(0)
        closing = fences.pop(0) if fences else None
        block = text[opening.end() + 1 : closing.start() if closing else None]
        blocks.append(_without_indentation(block, at_most=len(opening["indentation"])))
    return blocks


def _without_indentation(code: str, at_most: int) -> str:
    shared = min((len(indentation) for indentation in _INDENTATION.findall(code)), default=0)
    return re.sub(rf"^[ \t]{{0,{min(shared, at_most)}}}", "", code, flags=re.MULTILINE)


def _with_preamble(code: str, declaration: str, problem: Problem) -> str:
    """Whole code after those imports, helpers or class heads of the declaration that it lacks."""
    function = max(declaration.find(problem.entry_point), 0)
    preamble = declaration[: declaration.rfind("\n", 0, function) + 1]
    lacking: list[str] = []
    for chunk in re.split(r"\n{2,}", preamble.strip("\n")):
        lines = chunk.split("\n")
        is_block = any(line[:1] in (" ", "\t") for line in lines)  # a helper function: all of it or nothing
        if not is_block:
            lacking += [line for line in lines if line.strip() not in code]
        elif lines[0].strip() not in code:
            lacking += [*lines, ""]
    head = "".join(f"{line}\n" for line in lacking)
    opened = head.count("{") - head.count("}")  # by a class around the function
    return head + code + "\n}" * opened
