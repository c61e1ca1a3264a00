"""The one kind of error that is the user's to mend."""

from __future__ import annotations


class TrainingError(Exception):
    """Something in the recipe, the data or the machine must change: the message is one line that says what and how.

    The command line prints the message and exits with `exit_code`.
    """

    exit_code = 2
