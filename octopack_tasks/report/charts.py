"""What all figures share: the style, the sizes, and how they are written as PNG, PDF and SVG."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octopack_tasks.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE = Path(__file__).parent / "octopack.mplstyle"
"""The style of all figures; usable for figures of one's own: `plt.style.use(STYLE)`."""

COLUMN = 3.35
"""Width in inches of a column of a paper with two."""
PAGE = 6.9
"""Width in inches of its text."""

COLORS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
    "#332288",
    "#999933",
    "#882255",
    "#777777",
)
"""The colours of the style's cycle, told apart with any colour vision (Okabe and Ito 2008; Tol 2021)."""
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++")
"""Marks for what comes after the last colour, or is drawn in one ink."""

_SUFFIXES = ("png", "pdf", "svg")
_NO_DATES: dict[str, dict[str, Any]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


@contextmanager
def styled() -> Iterator[None]:
    """Draw and write in our style, whatever the user's own settings are.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise UserError("figures need matplotlib: pip install 'octopack[report]'") from None

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # Names come from outside: a dollar sign in one is a dollar sign, not the start of a formula.
        with matplotlib.rc_context({"text.parse_math": False}, fname=STYLE):
            yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches; drawn without pyplot, so that nothing is kept and no window is needed."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def color(index: int) -> str:
    """The colour of the n-th of several things."""
    return COLORS[index % len(COLORS)]


def hatch(index: int) -> str:
    """The mark of the n-th of several things: none as long as colours tell them apart."""
    return HATCHES[index // len(COLORS) % len(HATCHES)]


def write_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure in all formats.

    Raises:
        UserError: The folder cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # A name in another script is a row of boxes, which the figure itself shows.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            for suffix in _SUFFIXES:
                path = folder / f"{name}.{suffix}"
                figure.savefig(path, metadata=_NO_DATES[suffix])
                written.append(path)
    except OSError as error:
        raise UserError(f"could not write the figure {name} to {folder}: {error.strerror or error}") from None
    return written


def percent_axis(axes: Axes, label: str = "pass@1 (%)") -> None:
    """Make the vertical axis one of percentages that begins at 0, with quiet lines to read along."""
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, axis="y")


def spread_out(positions: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Move positions as little as keeps them `distance` apart and between two ends, in the same order.

    Where there is no room for all, they end up at equal distances.
    """
    if not positions:
        return []
    distance = min(distance, (high - low) / max(len(positions) - 1, 1))
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    placed = [positions[index] for index in order]
    for _ in range(2):  # push up from below, then down from above: the second pass cannot undo the first's distances
        placed[0] = max(placed[0], low)
        for index in range(1, len(placed)):
            placed[index] = max(placed[index], placed[index - 1] + distance)
        placed[-1] = min(placed[-1], high)
        for index in range(len(placed) - 2, -1, -1):
            placed[index] = min(placed[index], placed[index + 1] - distance)
    result = [0.0] * len(positions)
    for index, position in zip(order, placed, strict=True):
        result[index] = position
    return result
