"""Cleaning of commit subjects: what stands before and behind the instruction is cut off."""

from __future__ import annotations

import re

SKIP_CI = "[skip ci]"
CI_SKIP = "[ci skip]"

_BRACKETS_AT_START = re.compile(r"\[[^\[\]]*\]")
_WORD_WITH_COLON = re.compile(r"\S*:(?=\s|\Z)")
_BRACKETS_AT_END = re.compile(r"\[[^\[\]]*\]\Z")


def clean_scripts(subject: str) -> str:
    """Clean a subject as the reference's first script does.

    Source: commitpackft_filters1.py. One bracketed word at the start, then one word ending in a colon, then one
    bracketed word at the end; brackets around several words stay; white space becomes single blanks.
    """
    words = subject.replace(SKIP_CI, "").split()
    if words and words[0].startswith("[") and words[0].endswith("]"):
        words = words[1:]
    if words and words[0].endswith(":"):
        words = words[1:]
    if words and words[-1].startswith("[") and words[-1].endswith("]"):
        words = words[:-1]
    return " ".join(words)


def clean_paper(subject: str) -> str:
    """Clean a subject as the paper's table describes it.

    Source: paper Table 6, "Clean". Both skip tokens anywhere; then bracketed sequences (blanks included) at either end
    and first words ending in a colon, until nothing changes. White space inside stays as it is.
    """
    if "[" not in subject and ":" not in subject:
        return subject.strip()
    subject = subject.replace(SKIP_CI, "").replace(CI_SKIP, "").strip()
    while True:
        before = subject
        for pattern in (_BRACKETS_AT_START, _WORD_WITH_COLON):
            if match := pattern.match(subject):
                subject = subject[match.end() :].strip()
        if match := _BRACKETS_AT_END.search(subject):
            subject = subject[: match.start()].strip()
        if subject == before:
            return subject
