"""The models that CommitPackFT is filtered for: which text is counted in tokens, its bounds, the columns written."""

from __future__ import annotations

from dataclasses import dataclass

from octopack_data.commitpackft.tokens import TokenCounter


@dataclass(frozen=True, slots=True)
class TokenBounds:
    """The token rule of a model: which text is counted, and the bounds that keep a row (both included).

    Attributes:
        layout: text that is counted, with {old}, {subject}, {new} in their places.
        minimum: fewest tokens.
        maximum: most tokens.
    """

    layout: str
    minimum: int
    maximum: int

    def count(self, counter: TokenCounter, old: str, subject: str, new: str) -> int:
        """Return the number of tokens, or some number above the maximum."""
        before, separator, after = _split_layout(self.layout)
        values = {"old": old, "subject": subject, "new": new}
        return counter.count_around(before.format(**values), separator, after.format(**values), self.maximum)


END_OF_TEXT = "<|endoftext|>"


def _split_layout(layout: str) -> tuple[str, str, str]:
    before, separator, after = layout.rpartition(END_OF_TEXT)
    return before, separator, after


@dataclass(frozen=True, slots=True)
class Model:
    """A model that CommitPackFT is filtered for.

    Attributes:
        name: how the reference calls it.
        tokenizer: its tokenizer on the hub.
        bounds: its token rule.
        columns: columns written, None for the `inputs` and `targets` of BLOOMZ.
        languages: folder names of the languages its run went through; empty for all.
    """

    name: str
    tokenizer: str
    bounds: TokenBounds
    columns: tuple[str, ...] | None
    languages: tuple[str, ...]


_ALL_COLUMNS = (
    "commit",
    "old_file",
    "new_file",
    "old_contents",
    "new_contents",
    "subject",
    "message",
    "lang",
    "license",
    "repos",
)
_WITHOUT_MESSAGE = tuple(column for column in _ALL_COLUMNS if column != "message")
_THREE = ("python", "java", "javascript")
_SIX = (*_THREE, "rust", "go", "c++")
_CODEGEEX = (
    *(*_SIX, "c", "html", "shell", "php", "html+php", "css", "typescript", "sql", "tex", "objective-c++", "scala"),
    *("kotlin", "pascal", "fortran", "r", "cuda", "c#"),
)

MODELS = {
    model.name: model
    for model in (
        Model("starcoder", "bigcode/starcoder", TokenBounds("{old}<|endoftext|>{new}", 50, 768), _ALL_COLUMNS, ()),
        Model(
            "santacoder",
            "bigcode/santacoder",
            TokenBounds("<|endoftext|>{old}<|endoftext|>{subject}<|endoftext|>{new}", 0, 2048),
            _WITHOUT_MESSAGE,
            _THREE,
        ),
        Model("codegeex", "gpt2", TokenBounds("{old}{subject}{new}", 0, 2048), _WITHOUT_MESSAGE, _CODEGEEX),
        Model("bloomz", "bigscience/bloomz-7b1", TokenBounds("{old}\n\n{subject}\n{new}", 0, 2048), None, _SIX),
    )
}
"""Presets; the published data set was made with `starcoder`. Source: commitpackft_filters1.py."""
