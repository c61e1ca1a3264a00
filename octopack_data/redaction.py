"""Secrets and e-mail addresses replaced by placeholders in the text of a row."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import orjson

from octopack_data.formats import PAIR_COLUMNS
from octopack_data.pipeline import Batch, BatchFunction, Outcome, Step

EMAIL = "<EMAIL>"
KEY = "<KEY>"
"""Placeholders as in StarCoder's data (arXiv 2305.06161, section 4)."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A kind of secret.

    Attributes:
        name: how its replacements are counted.
        hint: lower-case text without which the pattern cannot match: most texts are passed over by one fast search.
        pattern: what is replaced; the group `secret` alone where there is one.
        placeholder: what stands in its place.
    """

    name: str
    hint: str
    pattern: re.Pattern[str]
    placeholder: str


def _key(name: str, hint: str, pattern: str) -> Pattern:
    return Pattern(name, hint, re.compile(pattern), KEY)


# Every repetition is bounded or cannot overlap what stands before it: a hostile file costs no more than a plain one.
PATTERNS = (
    Pattern(
        "email",
        "@",
        re.compile(
            r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,6}[A-Za-z]{2,24}"
            r"(?![A-Za-z0-9@])"
        ),
        EMAIL,
    ),
    _key("private_key", "private key", r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[\sA-Za-z0-9+/=:,.-]{0,8192}?-----END"),
    _key("aws_access_key", "ia", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    _key("github_token", "gh", r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b"),
    _key("github_token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{22,255}\b"),
    _key("slack_token", "xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}"),
    _key("google_api_key", "aiza", r"\bAIza[0-9A-Za-z_-]{35}\b"),
    _key("stripe_key", "k_live_", r"\b[rs]k_live_[0-9A-Za-z]{16,99}\b"),
    _key("hugging_face_token", "hf_", r"\bhf_[A-Za-z]{34}\b"),
    _key("openai_key", "sk-", r"\bsk-(?:proj-)?[A-Za-z0-9_-]{32,200}\b"),
    _key("json_web_token", "eyj", r"\beyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}"),
    _key("url_password", "://", r"(?<=://)[^\s:/@\"'<>]{1,64}:(?P<secret>[^\s:/@\"'<>$({]{3,128})(?=@)"),
    _key(
        "assigned_secret",
        "",
        r"(?i)(?:api_?key|secret_?key|access_?key|auth_?token|access_?token|client_?secret|passwd|password)[\"']?"
        r"\s{0,3}(?:=|:|=>|:=)\s{0,3}[\"'](?P<secret>[A-Za-z0-9+/=_.~!@%^*-]{12,200})[\"']",
    ),
)

_ASSIGNED_HINTS = ("key", "token", "secret", "passw")
_NOT_SECRET = re.compile(r"(?i)^(?:[a-z_.-]+|x+|\*+|\.+|<.*>|.*(?:example|changeme|placeholder|your[_-]).*)$")


def redact(text: str) -> tuple[str, Counter[str]]:
    """Return `text` with e-mail addresses and credentials replaced, and how many of each kind there were.

    Only formats that are recognised with confidence are replaced. A quoted value given to a name such as `api_key`
    counts only if it is at least 12 characters long and not plain words.
    """
    found: Counter[str] = Counter()
    lowered = text.lower()
    for kind in PATTERNS:
        if kind.hint not in lowered:
            continue
        if kind.name == "assigned_secret" and not any(hint in lowered for hint in _ASSIGNED_HINTS):
            continue
        text = _replace(kind, text, found)
    return text, found


def _replace(kind: Pattern, text: str, found: Counter[str]) -> str:
    def placeholder(match: re.Match[str]) -> str:
        secret = match.groupdict().get("secret")
        if secret is None:
            found[kind.name] += 1
            return kind.placeholder
        if _NOT_SECRET.match(secret):
            return match.group()
        found[kind.name] += 1
        begin, end = match.span("secret")
        whole, start = match.group(), match.start()
        return whole[: begin - start] + kind.placeholder + whole[end - start :]

    return kind.pattern.sub(placeholder, text)


@dataclass(frozen=True)
class Redaction(Step):
    """Redacts text columns of rows; no row is dropped.

    Attributes:
        text_columns: the columns, where a row has them.
    """

    name: ClassVar[str] = "redact"

    text_columns: tuple[str, ...] = ("old_contents", "new_contents", "subject", "message", *PAIR_COLUMNS)

    @property
    def reasons(self) -> tuple[str, ...]:
        """No row is dropped."""
        return ()

    def config(self) -> Mapping[str, object]:
        """Everything that changes the output."""
        patterns = [[kind.name, kind.pattern.pattern, kind.placeholder] for kind in PATTERNS]
        return {"columns": list(self.text_columns), "patterns": patterns}

    def start(self) -> BatchFunction:
        """Return the function."""
        return self._redact

    def _redact(self, batch: Batch) -> Outcome:
        counts: Counter[str] = Counter()
        kept: list[bytes] = []
        for line, row in zip(batch.lines, batch.rows, strict=True):
            changed: dict[str, str] = {}
            for column in self.text_columns:
                text = row.get(column)
                if isinstance(text, str):
                    redacted, found = redact(text)
                    if found:
                        changed[column] = redacted
                        counts.update(found)
            kept.append(orjson.dumps(row | changed) if changed else line)
            counts["rows changed"] += bool(changed)
        return Outcome(kept=kept, tallies={"redacted": counts})
