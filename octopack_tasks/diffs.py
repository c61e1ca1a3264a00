"""Edits as models write them in the formats `diff` and `diff-carper`, read and applied as the reference does."""

from __future__ import annotations

import re

# The four tags of a `diff-carper` text; the space after the last one has to come from the model.
_CARPER = re.compile(r"<NME> [^\n]*?\n<BEF> .*?\n<MSG> .*?\n<DFF> (.*)", re.DOTALL)
# A hunk goes on while lines begin with a space or a character from "+" to "@", which includes digits and `,-./:;<=>?`.
_CARPER_END = re.compile(r"\n[^ +-@]+")
_CARPER_HEADER = re.compile(r"^(@@ .*? @@).*\n", re.MULTILINE)
_NO_NEWLINE_NOTE = re.compile(r"^\\ No newline at end of file$\n?", re.MULTILINE)


def carper_hunks(text: str) -> str | None:
    """The hunks in a `diff-carper` text (prompt and answer together); None where it has not the four tags."""
    match = _CARPER.match(text)
    return None if match is None else _CARPER_END.split(match.group(1))[0].split("<NME>")[0]


def apply_carper_hunks(code: str, hunks: str) -> str:
    """Apply hunks by their text, in order; line numbers do not matter, and a hunk that matches nowhere is skipped.

    A hunk without old lines is put at the start, unless another has been applied before it. Text before the first
    header is taken for a header and the header for its hunk, so all that follows is paired wrongly.
    """
    parts = _CARPER_HEADER.split(_NO_NEWLINE_NOTE.sub("", hunks))
    if not parts[0]:
        parts = parts[1:]
    position = 0
    for hunk in parts[1::2]:
        old, new = _sides(hunk)
        if not old:
            if position == 0:
                code = f"{new}\n{code}"
                position = 1
            continue
        start = code.find(old, position)
        end = start + len(old)
        if start >= 0 and code[end : end + 1] in ("", "\n"):
            code = code[:start] + new + code[end:]
            position = start + len(new)
    return code


def _sides(hunk: str) -> tuple[str, str]:
    """The old and the new text of a hunk; lines with another first character than ` `, `+` and `-` do not count."""
    lines = hunk.split("\n")
    old = [line[1:] for line in lines if line[:1] in ("-", " ")]
    new = [line[1:] for line in lines if line[:1] in ("+", " ")]
    return "\n".join(old), "\n".join(new)


def apply_diff(code: str, patch: str) -> str:
    """Apply a patch in diff-match-patch's format; a patch that it cannot read gives an empty text."""
    from diff_match_patch import diff_match_patch  # type: ignore[import-untyped]

    matcher = diff_match_patch()
    try:
        patched: str = matcher.patch_apply(matcher.patch_fromText(patch.lstrip()), code)[0]
    except Exception:  # the library raises whatever its parser stumbles over
        return ""
    return patched
