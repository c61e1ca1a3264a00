"""Ends a completion that is still being written as soon as its answer is complete."""

from __future__ import annotations

from collections.abc import Callable


class Watch:
    """Reads along with one completion.

    A completeness check counts braces, so it is asked after every closing brace and not only after every token: a
    token of two braces would be missed for ever. As stop words hold no braces and a reading takes nothing after the
    brace that closes the function, a completion that ends here is read just as the whole one.

    Attributes:
        text: What has come so far.
    """

    def __init__(self, is_complete: Callable[[str], bool]) -> None:
        self._is_complete = is_complete
        self.text = ""

    def add(self, piece: str) -> bool:
        """Take the next piece of the text; answer whether it is complete now."""
        begin = len(self.text)
        self.text += piece
        brace = self.text.find("}", begin)
        while 0 <= brace < len(self.text) - 1:
            if self._is_complete(self.text[: brace + 1]):
                return True
            brace = self.text.find("}", brace + 1)
        return bool(piece) and self._is_complete(self.text)
