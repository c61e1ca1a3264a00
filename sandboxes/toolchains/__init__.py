"""The tools of each language as seen from outside of the sandbox, one file each: packages, file names, an example."""

from __future__ import annotations

import functools
import importlib

from sandboxes.supervisor.protocol import LANGUAGES
from sandboxes.toolchains.base import Edit, Example, Toolchain

__all__ = ["Edit", "Example", "Toolchain", "titles", "toolchain"]


@functools.cache
def toolchain(language: str) -> Toolchain:
    """The toolchain of a language.

    Raises:
        ValueError: There is no such language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}: choose from {', '.join(LANGUAGES)}")
    found: Toolchain = importlib.import_module(f"sandboxes.toolchains.{language}").TOOLCHAIN
    return found


def titles() -> str:
    """The names of all languages, for people."""
    return ", ".join(toolchain(language).title for language in LANGUAGES)
