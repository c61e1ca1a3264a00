"""OASST: conversation trees in, first question and answer out, without refusals and moralising."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import orjson

from octopack_data import resources
from octopack_data.pipeline import Batch, BatchFunction, Judgement, Outcome, Step

UNWANTED = "unwanted phrase"
TOO_SHORT = "fewer than two messages"
NO_TREE = "no conversation in this row"

_MAX_TAG = 20
_NOT_IN_TAG = "*{}`:\\."
_NOT_AT_START_OF_TAG = ("import ", "let ", "pythonimport", "using ", ")", "<", "html<", "type=")


@cache
def unwanted_phrases() -> tuple[str, ...]:
    """Return the phrases as written, each spelling once (230 of 233; 229 whatever their case)."""
    return tuple(dict.fromkeys(resources.load("oasst_unwanted")["phrases"]))


def matched_phrases(contents: list[str]) -> list[str]:
    """Return the unwanted phrases in a conversation.

    Source: filter_oasst.py. All messages are joined by one blank and searched without regard to case, so that a phrase
    may also arise where two messages meet.
    """
    text = " ".join(contents).lower()
    return sorted(phrase for phrase in unwanted_phrases() if phrase.lower() in text)


@cache
def _searched() -> tuple[str, ...]:
    """The phrases that need to be searched for: one that contains another is found with it."""
    lowered = {phrase.lower() for phrase in unwanted_phrases()}
    return tuple(sorted(p for p in lowered if not any(other != p and other in p for other in lowered)))


def is_unwanted(contents: list[str]) -> bool:
    """Say whether any unwanted phrase is in a conversation."""
    text = " ".join(contents).lower()
    return any(phrase in text for phrase in _searched())


def message_texts(row: object) -> list[str] | None:
    """Return the texts of a conversation in order, or None if the row holds none.

    Three layouts are read: `messages` with `content` (HuggingFaceH4/oasst1_guanaco), a list of messages with `text`
    (the published OASST of OctoPack), and OASST's own trees, where `prompt` holds nested `replies`: the best-ranked
    reply is followed at every turn, as in Guanaco's selection.
    """
    if isinstance(row, list):
        return _texts(row, "text")
    if not isinstance(row, dict):
        return None
    if isinstance(row.get("messages"), list):
        messages = row["messages"]
        return _texts(messages, "content") or _texts(messages, "text")
    if isinstance(row.get("prompt"), dict):
        texts: list[str] = []
        node: Any = row["prompt"]
        while isinstance(node, dict) and isinstance(node.get("text"), str):
            texts.append(node["text"])
            replies = [r for r in node.get("replies") or [] if isinstance(r, dict) and not r.get("deleted")]
            node = min(replies, key=_rank, default=None)
        return texts or None
    return None


def _rank(reply: dict[str, Any]) -> float:
    rank = reply.get("rank")
    return float(rank) if isinstance(rank, int) else float("inf")


def _texts(messages: list[Any], key: str) -> list[str] | None:
    texts = [message.get(key) if isinstance(message, dict) else None for message in messages]
    return texts if texts and all(isinstance(text, str) for text in texts) else None  # type: ignore[return-value]


def reply_language(reply: str) -> str | None:
    """Return the code language of a reply, judged by the tag of its first fence, or None.

    Source: count_languages.py. A fence without a line end after its tag loses the last character of the text, as there.
    """
    from octopack_data.commitpack.languages import load_languages

    fence = reply.find("```")
    if fence < 0:
        return None
    begin = fence + 3
    tag = reply[begin : reply.find("\n", begin)].strip().lower()
    if not tag or len(tag) > _MAX_TAG or any(c in tag for c in _NOT_IN_TAG) or tag.startswith(_NOT_AT_START_OF_TAG):
        return None
    tag = resources.load("fence_tags")["aliases"].get(tag, tag)
    return tag if tag in _language_names(load_languages()) else None


@cache
def _names(languages: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.lower() for name in languages)


def _language_names(table: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    return _names(tuple(table))


@dataclass(frozen=True)
class Oasst(Step):
    """Filters conversations and writes their first two messages as `prompt` and `completion`.

    Attributes:
        only_code: keep only answers with a fence of a known language.
    """

    name: ClassVar[str] = "oasst"
    row_id: ClassVar[str] = "id"
    row_types: ClassVar[tuple[type, ...]] = (dict, list)

    only_code: bool = False

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why a conversation is dropped."""
        return (NO_TREE, UNWANTED, TOO_SHORT, *(("no code in the answer",) if self.only_code else ()))

    def config(self) -> Mapping[str, object]:
        """Everything that changes the output."""
        return {"phrases": list(unwanted_phrases()), "only_code": self.only_code}

    def start(self) -> BatchFunction:
        """Return the filter."""
        return self._function

    def _reason(self, texts: list[str] | None) -> str | None:
        if texts is None:
            return NO_TREE
        if is_unwanted(texts):
            return UNWANTED
        if len(texts) < 2:
            return TOO_SHORT
        if self.only_code and reply_language(texts[1]) is None:
            return "no code in the answer"
        return None

    def _function(self, batch: Batch) -> Outcome:
        outcome = Outcome()
        phrases: Counter[str] = Counter()
        languages: Counter[str] = Counter()
        for position, row in enumerate(batch.rows):
            texts = message_texts(row)
            reason = self._reason(texts)
            if reason is not None or texts is None:
                outcome.dropped.append((position, reason or NO_TREE))
                if reason == UNWANTED and texts is not None:
                    phrases.update(matched_phrases(texts))
                continue
            outcome.kept.append(orjson.dumps({"prompt": texts[0], "completion": texts[1]}))
            languages[reply_language(texts[1]) or "(no code)"] += 1
        outcome.tallies = {"unwanted phrases": phrases, "languages of the answers": languages}
        return outcome

    def explain(self, row: dict[str, Any]) -> list[Judgement]:
        """Say why a conversation is kept or dropped."""
        texts = message_texts(row)
        if texts is None:
            return [Judgement(NO_TREE, False, f"columns: {', '.join(map(str, row))}")]
        found = matched_phrases(texts)
        lines = [Judgement(UNWANTED, not found, ", ".join(map(repr, found)) or "none found")]
        if not found:
            lines.append(Judgement(TOO_SHORT, len(texts) > 1, f"{len(texts)} messages"))
        return lines
