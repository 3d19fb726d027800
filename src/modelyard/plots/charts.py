"""What all charts share: colours, letters, and the file that they become.

Blue is right or measured, vermilion is wrong: two of Okabe and Ito's colours, which any eye can tell apart.
"""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes._base import _AxesBase
    from matplotlib.figure import Figure

BLUE, PALE_BLUE = "#0072B2", "#DCEAF4"
VERMILION, PALE_VERMILION = "#D55E00", "#FDEBDD"
INK, GREY, PALE_GREY = "#222222", "#737373", "#E4E4E4"
TITLE_LETTER_IN = 0.11
DPI = 110

STYLE: dict[str, Any] = {
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "figure.dpi": DPI,
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a label may hold a dollar sign
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
}


@contextmanager
def picture(
    path: Path, width_in: float, height_in: float, arranged: bool = True, dpi: int = DPI
) -> Iterator["Figure"]:
    """Yield a figure to draw on, and save it as a PNG at `path`, whole or not at all.

    `arranged` lays its axes out so that nothing overlaps; otherwise they are placed by hand. The user's
    matplotlib settings and the library's version are left out: the same drawing gives the same bytes.
    """
    import matplotlib.style
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with matplotlib.style.context(["default", STYLE]):
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12) if arranged else None
        figure = Figure((width_in, height_in), layout=layout)
        yield figure
        with replace_file(path) as new:
            figure.savefig(new, format="png", dpi=dpi, metadata={"Software": None})


def shorten(text: str, most: int) -> str:
    """Cut a text to at most `most` characters, marked by an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def wrap(title: str, width_in: float) -> str:
    """Break a title into lines that fit a picture of this width."""
    return textwrap.fill(title, int(width_in / TITLE_LETTER_IN), break_on_hyphens=False)


def hide_lines(*axes: "_AxesBase") -> None:
    """Leave out frames and the marks of ticks."""
    for axis in axes:
        axis.tick_params(length=0, which="both")
        axis.spines[:].set_visible(False)
