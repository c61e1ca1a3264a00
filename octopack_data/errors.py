"""The one error that data commands show to the user as a single line."""

from __future__ import annotations


class DataError(Exception):
    """Something the user can mend: the message says what was wrong, with which value, and what to do next."""

    exit_code = 2
    """The command line shows any exception with this attribute as one line and exits with it."""
