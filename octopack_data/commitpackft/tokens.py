"""Counting tokens exactly and fast: how many, or certainly more than a bound.

A byte-level BPE tokenizer cuts a text into pieces by a regular expression and merges inside each piece, so the count of
a text is the sum over its pieces, and pieces repeat: a dictionary from piece to count makes the sum cheap. The cutting
is done here only for ASCII, where both regular expression engines agree; everything else goes to the tokenizer itself,
a stretch of text at a time, cut where no piece can reach across. A text is counted from its start and given up as soon
as the bound is passed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import orjson

from octopack_data.errors import DataError

STRETCH = 2048
"""Characters looked at before the bound is asked again."""

_SHORT = 64
_MAX_CACHED_PIECES = 400_000
_MAX_CACHED_LENGTH = 48

# The pieces of GPT-2's byte-level pre-tokenizer, for ASCII text. With digits apart, a digit ends the text before it.
_PIECES = re.compile(
    r" ?[A-Za-z]+|'(?:s|t|re|ve|m|ll|d)| ?[^\sA-Za-z0-9]+|\s+(?!\S)| ?[0-9]+|\s+",
    re.ASCII,
)
_PIECES_DIGITS_APART = re.compile(
    r" ?[A-Za-z]+|'(?:s|t|re|ve|m|ll|d)| ?[^\sA-Za-z0-9]+|\s+(?![^\s0-9])|[0-9]|\s+",
    re.ASCII,
)
# Every piece ends where white space follows something that is not.
_BOUNDARY = re.compile(r"(?<=[!-~])(?=[ \t\n\r\x0b\x0c])")


class TokenCounter(Protocol):
    """Counts the tokens of a text as a given tokenizer would, special tokens that it always adds included."""

    identity: str
    """Name and content hash, for the record of a run."""

    def count(self, text: str, limit: int) -> int:
        """Return the exact count if it is at most `limit`, else some number above `limit`."""

    def count_around(self, before: str, separator: str, after: str, limit: int) -> int:
        """Return what `count` gives for `before + separator + after`."""


class WholeTextCounter:
    """Hands every text to the tokenizer as it is; right for any tokenizer."""

    def __init__(self, tokenizer: Any, identity: str) -> None:
        self._tokenizer = tokenizer
        self.identity = identity

    def count(self, text: str, limit: int) -> int:
        """Return the exact count."""
        del limit
        return len(self._tokenizer.encode(text).ids)

    def count_around(self, before: str, separator: str, after: str, limit: int) -> int:
        """Return the exact count of the joined text."""
        return self.count(before + separator + after, limit)


class _PieceCounts(dict[str, int]):
    """Piece -> number of tokens, filled on demand and bounded."""

    def __init__(self, tokenize: Callable[[str], Any], alphabet: dict[int, str]) -> None:
        super().__init__()
        self._tokenize = tokenize
        self._alphabet = alphabet

    def __missing__(self, piece: str) -> int:
        count = len(self._tokenize(piece.translate(self._alphabet)))
        if len(piece) <= _MAX_CACHED_LENGTH:
            if len(self) >= _MAX_CACHED_PIECES:
                self.clear()
            self[piece] = count
        return count


class ByteLevelCounter:
    """Counts by pieces; made by `counter_for` for tokenizers whose structure allows it."""

    def __init__(self, tokenizer: Any, identity: str, pieces: re.Pattern[str], added: list[str]) -> None:
        self._tokenizer = tokenizer
        self.identity = identity
        self._find_pieces = pieces.findall
        self._added = frozenset(added)
        self._find_added = re.compile("|".join(map(re.escape, added)) or r"(?!)").search
        self._first_of_added = tuple({token[0] for token in added})
        self._always = tokenizer.num_special_tokens_to_add(False)
        self._count_of = _PieceCounts(tokenizer.model.tokenize, _byte_alphabet()).__getitem__

    def count(self, text: str, limit: int) -> int:
        """Return the exact count if it is at most `limit`, else some number above `limit`."""
        return self._add(self._always, text, limit)

    def count_around(self, before: str, separator: str, after: str, limit: int) -> int:
        """Return what `count` gives for `before + separator + after`, where the separator may be a special token.

        The two sides of a commit differ in a few lines: what they share is counted once.
        """
        if not self._stands_alone(separator):
            return self.count(before + separator + after, limit)
        total = self._always + 1
        if self._surely_more(before, after, limit - total):
            return limit + 1
        head, tail = _shared_ends(before, after)
        total = self._add(total, before[:head], limit, times=2)
        total = self._add(total, before[len(before) - tail :], limit, times=2)
        total = self._add(total, before[head : len(before) - tail], limit)
        return self._add(total, after[head : len(after) - tail], limit)

    @cache  # noqa: B019 - counters live as long as the process
    def _stands_alone(self, separator: str) -> bool:
        """Whether `separator` is cut out as one token whatever stands around it."""
        if separator not in self._added:
            return False
        others = self._added - {separator}
        return not any(
            separator in token or any(separator.startswith(token[i:]) for i in range(len(token))) for token in others
        )

    def _surely_more(self, before: str, after: str, limit: int) -> bool:
        """Whether the texts have more than `limit` tokens for certain, judged by the runs of letters and signs alone.

        Every run of letters lies in a piece of its own, and so does every run of signs once apostrophes are taken out
        (a piece such as `'s` joins one with letters); and a piece is at least one token.
        """
        if len(before) + len(after) < 2 * limit:
            return False  # most pieces are longer than two characters
        enough = 16 * limit
        sample = before[:enough]
        sample += " " + after[: enough - len(sample)]
        if not sample.isascii() or self._has_added(sample):
            return False
        data = sample.encode()
        runs = data.translate(_LETTERS).count(b"a ")
        return runs > limit or runs + data.translate(_SIGNS, _NO_SIGNS).count(b"a ") > limit

    def _add(self, total: int, text: str, limit: int, times: int = 1) -> int:
        position, length = 0, len(text)
        while position < length and total <= limit:
            end = length
            if length - position > STRETCH and (boundary := _BOUNDARY.search(text, position + STRETCH)):
                end = boundary.start()
            total += times * self._count_stretch(text[position:end])
            position = end
        return total

    def _count_stretch(self, text: str) -> int:
        if text.isascii():
            if not self._has_added(text):
                return sum(map(self._count_of, self._find_pieces(text)))
        elif len(text) > 2 * _SHORT and (boundary := _BOUNDARY.search(text, len(text) // 2)):
            # A few letters beyond ASCII: the tokenizer itself need not see all that is around them.
            return self._count_stretch(text[: boundary.start()]) + self._count_stretch(text[boundary.start() :])
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _has_added(self, text: str) -> bool:
        return any(first in text for first in self._first_of_added) and self._find_added(text) is not None


def _shared_ends(a: str, b: str) -> tuple[int, int]:
    """Return how many characters at the start and at the end two texts share, cut where no piece reaches across."""
    head = _shared_start(a, b)
    rest = min(len(a), len(b)) - head
    tail = _shared_start(a[len(a) - rest :][::-1], b[len(b) - rest :][::-1])
    # The characters on both sides of a cut must be shared too, for it is they that make it a boundary.
    head = _last_boundary(a, head)
    cut = _BOUNDARY.search(a, len(a) - tail + 1) if tail else None
    return head, len(a) - cut.start() if cut else 0


def _shared_start(a: str, b: str) -> int:
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _last_boundary(text: str, end: int) -> int:
    """Return the last boundary before `end` that is a line end, or 0."""
    line_end = text.rfind("\n", 0, end)
    while line_end > 0 and not "!" <= text[line_end - 1] <= "~":
        line_end = text.rfind("\n", 0, line_end)
    return max(line_end, 0)


def _marking(wanted: Callable[[str], bool]) -> bytes:
    """Return a translation table from ASCII to "a" for wanted characters and a blank for all others."""
    return bytes(ord("a") if byte < 128 and wanted(chr(byte)) else ord(" ") for byte in range(256))


_LETTERS = _marking(str.isalpha)
_SIGNS = _marking(lambda character: "!" <= character <= "~" and not character.isalnum())
# Left out, not blanked: between two signs they belong to the same piece. (A tokenizer may know no control characters.)
_NO_SIGNS = b"'" + bytes(byte for byte in (*range(32), 127) if chr(byte) not in "\t\n\r\x0b\x0c")


def _byte_alphabet() -> dict[int, str]:
    """Return the printable stand-in of every ASCII byte that byte-level BPE uses (GPT-2's table)."""
    printable = set(range(ord("!"), ord("~") + 1)) | set(range(0xA1, 0xAD)) | set(range(0xAE, 0x100))
    stand_ins: dict[int, str] = {}
    shift = 0
    for byte in range(256):
        if byte in printable:
            stand_ins[byte] = chr(byte)
        else:
            stand_ins[byte] = chr(256 + shift)
            shift += 1
    return {byte: stand_ins[byte] for byte in range(128)}


_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
_DIGITS_APART = {"type": "Digits", "individual_digits": True}


def _piece_pattern(pre_tokenizer: Any) -> re.Pattern[str] | None:
    """Return the pattern that cuts ASCII text as this pre-tokenizer does, or None for one we do not know."""

    def plain(part: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in part.items() if k != "trim_offsets"} | (
            {"use_regex": part.get("use_regex", True)} if part.get("type") == "ByteLevel" else {}
        )

    if not isinstance(pre_tokenizer, dict):
        return None
    parts = pre_tokenizer["pretokenizers"] if pre_tokenizer.get("type") == "Sequence" else [pre_tokenizer]
    plain_parts = [plain(part) for part in parts]
    if plain_parts == [_BYTE_LEVEL]:
        return _PIECES
    if plain_parts == [_DIGITS_APART, _BYTE_LEVEL]:
        return _PIECES_DIGITS_APART
    return None


def counter_for(tokenizer_json: str, identity: str) -> TokenCounter:
    """Return the fastest counter that is exact for the tokenizer given as the text of a `tokenizer.json`."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    description = orjson.loads(tokenizer_json)
    model = description["model"]
    added = description.get("added_tokens", [])
    pattern = _piece_pattern(description.get("pre_tokenizer"))
    by_pieces = (
        pattern is not None
        and model.get("type") == "BPE"
        and not model.get("dropout")
        and not model.get("continuing_subword_prefix")
        and not model.get("end_of_word_suffix")
        and not model.get("fuse_unk")
        and set(map(chr, range(ord("!"), ord("~") + 1))) <= model["vocab"].keys()
        and description.get("normalizer") is None
        and not any(
            token["lstrip"] or token["rstrip"] or token["single_word"] or re.search(r"\s", token["content"])
            for token in added
        )
    )
    if not by_pieces or pattern is None:
        return WholeTextCounter(tokenizer, identity)
    return ByteLevelCounter(tokenizer, identity, pattern, [token["content"] for token in added])


def load_tokenizer(name: str) -> str:
    """Return the text of the `tokenizer.json` that `name` stands for.

    Args:
        name: a `tokenizer.json`, a folder with one, or the name of a model on the Hugging Face hub.

    Raises:
        DataError: there is none, or it is not a tokenizer.
    """
    path = Path(name)
    if path.is_dir():
        path = path / "tokenizer.json"
        if not path.is_file():
            raise DataError(f"--tokenizer {name}: no tokenizer.json in this folder")
    if not path.is_file():
        if name.endswith(".json") or name.startswith((".", "/", "~")) or name.count("/") > 1:
            raise DataError(f"--tokenizer {name}: no such file or folder")
        path = _from_hub(name)
    try:
        from tokenizers import Tokenizer

        text = path.read_text(encoding="utf-8")
        Tokenizer.from_str(text)
    except ImportError as error:
        raise DataError("counting tokens needs the tokenizers package: pip install 'octopack[data]'") from error
    except Exception as error:  # tokenizers raises plain Exception
        raise DataError(f"--tokenizer {name}: {path} is not a tokenizer file ({error})") from error
    return text


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(name, "tokenizer.json"))
    except Exception as error:  # the hub's errors share no base class with requests' and OS errors
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"--tokenizer {name}: not a local file, and the hub gave none ({reason}); "
            "give a folder with tokenizer.json, or log in with `hf auth login` if the model is gated"
        ) from error


def tokenizer_identity(name: str, tokenizer_json: str) -> str:
    """Return a name for the record that changes with the content of the tokenizer, not with its path."""
    return f"{Path(name).name}:{hashlib.sha256(tokenizer_json.encode()).hexdigest()[:16]}"
