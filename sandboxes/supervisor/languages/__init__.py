"""One strategy a language: how it is compiled and run, and what proves that its tests ran to their end."""

from __future__ import annotations

import importlib

from ..protocol import LANGUAGES
from .base import Setting, Strategy

__all__ = ["Setting", "Strategy", "strategy"]


def strategy(language: str, setting: Setting) -> Strategy:
    """The strategy of a language.

    Raises:
        ValueError: There is no such language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}; the languages are {', '.join(LANGUAGES)}")
    module = importlib.import_module(f".{language}", __package__)
    found: Strategy = module.STRATEGY(setting)
    return found
