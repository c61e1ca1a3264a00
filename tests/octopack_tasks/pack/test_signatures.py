"""How languages spell the head of a declared function."""

from __future__ import annotations

from octopack_tasks import LANGUAGES
from octopack_tasks.pack.signatures import SPELLINGS, Signature


def test_every_language_can_be_spelled() -> None:
    assert set(SPELLINGS) == set(LANGUAGES)


def test_typescript_has_javascripts_spelling_with_types() -> None:
    declared = Signature.parse("name_of(first: str, rest: list[list[int]], is_old: bool, weight: float) -> list[str]")
    assert SPELLINGS["typescript"].head(declared) == (
        "const nameOf = (first: string, rest: number[][], isOld: boolean, weight: number): string[] => {\n"
    )
    assert SPELLINGS["js"].head(declared) == "const nameOf = (first, rest, isOld, weight) => {\n"
