"""What may be written to a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """One line without what could steer a terminal: text of strangers is shown, not obeyed."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
