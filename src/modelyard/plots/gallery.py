"""A picture of the worst mistakes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from modelyard.evaluation.labelled_evaluation import Mistake
from modelyard.images.pictures import Pictures
from modelyard.plots.charts import BLUE, DPI, GREY, picture, shorten, wrap
from modelyard.plots.contact_sheet import show_share
from modelyard.plots.thumbnails import make_thumbnail

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pixels: TypeAlias = npt.NDArray[np.uint8]
COLUMNS = 8
COLUMN_IN = 1.2
LINE = 1.34  # the height of a line of the gallery, picture and caption, in columns' widths
TITLE_IN, TITLE_LINE_IN = 0.22, 0.2
# The most letters of truth and answer in one line, and of either in a line of its own.
SHORT, LONGEST_CLASS = 8, 15
CELL = 0.84  # a picture's longer side, in columns' widths


def plot_mistakes(
    path: Path, pictures: Pictures, mistakes: Sequence[Mistake], wrong: int, subject: str
) -> None:
    """Draw the pictures of mistakes in rows of eight, each with truth, answer and score.

    A mistake's index points into `pictures`; `wrong` counts all mistakes, not only those shown. Without
    mistakes the picture says so. `subject` is model and data, for the title.
    """
    if not mistakes:
        with picture(path, 6, 2, arranged=False) as figure:
            figure.text(0.04, 0.6, wrap(subject, 6), fontsize=12, weight="bold", va="bottom")
            right = f"No mistakes: all {len(pictures):,} first answers are right."
            figure.text(0.04, 0.4, right, color=BLUE)
        return
    shown = f"the {len(mistakes):,} surest" if len(mistakes) < wrong else "all, the surest first"
    title = f"{wrap(subject, COLUMNS * COLUMN_IN)}\n{wrong:,} mistakes; {shown}: truth → answer, score"
    draw_mistakes(path, pictures, mistakes, COLUMNS, title)


def draw_mistakes(
    path: Path, pictures: Pictures, mistakes: Sequence[Mistake], columns: int, title: str = "", dpi: int = DPI
) -> None:
    """Draw the pictures of at least one mistake in rows, each 1.2 inches wide."""
    short = all(len(one.truth) + len(one.answer) <= SHORT for one in mistakes)
    line = LINE if short else LINE + 0.14
    lines = -(-len(mistakes) // columns)
    grid_in = lines * line * COLUMN_IN
    whole_in = grid_in + (TITLE_IN + TITLE_LINE_IN * len(title.splitlines()) if title else 0)
    with picture(path, columns * COLUMN_IN, whole_in, arranged=False, dpi=dpi) as figure:
        axes = figure.add_axes((0, 0, 1, grid_in / whole_in))
        for place, mistake in enumerate(mistakes):
            column, top = place % columns, place // columns * line
            _place_picture(axes, make_thumbnail(pictures, mistake.index), column, top)
            _label(axes, mistake, column, top, short)
        axes.set(xlim=(0, columns), ylim=(lines * line, 0), aspect="equal")
        axes.set_axis_off()
        axes.set_title(title, pad=8, x=0.009)


def _place_picture(axes: "Axes", pixels: Pixels, column: int, top: float) -> None:
    height, width = (CELL * side / max(pixels.shape[:2]) for side in pixels.shape[:2])
    left, above = column + (1 - width) / 2, top + 0.04 + (CELL - height) / 2
    extent = (left, left + width, above + height, above)
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=extent, interpolation="nearest")


def _label(axes: "Axes", mistake: Mistake, column: int, top: float, short: bool) -> None:
    """Write truth and answer in one line, or in two lines that are cut if they are long."""
    truth, answer = (shorten(name, LONGEST_CLASS) for name in (mistake.truth, mistake.answer))
    text, size = (f"{truth} → {answer}", 11) if short else (f"{truth}\n→ {answer}", 7)
    middle = column + 0.5
    axes.text(middle, top + 0.91, text, ha="center", va="top", fontsize=size, weight="bold")
    detail, below = f"{show_share(mistake.score)}, no. {mistake.index}", top + (1.13 if short else 1.26)
    axes.text(middle, below, detail, ha="center", va="center", fontsize=7.5, color=GREY)
