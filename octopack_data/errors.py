"""The one error that data commands show to the user as a single line."""

from __future__ import annotations


class DataError(Exception):
    """Something the user can mend: the message says what was wrong, with which value, and what to do next."""
