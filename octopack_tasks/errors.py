"""What the user can mend: shown as one line, without a traceback."""

from __future__ import annotations


class UserError(ValueError):
    """Something the user can mend. The message says what is wrong, with which value, and what to do next.

    The command line prints any exception that has an integer `exit_code` as one line and exits with it, so packages
    that do not import this one can raise such errors of their own.
    """

    exit_code = 2
