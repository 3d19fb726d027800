"""Pictures of answers: the worst mistakes, and a network's answers to sample pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from modelyard.evaluation.labelled_evaluation import Mistake
from modelyard.images.pictures import Pictures
from modelyard.plots.charts import BLUE, GREY, INK, PALE_GREY, picture, shorten, wrap
from modelyard.plots.thumbnails import make_thumbnail, shrink

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pixels: TypeAlias = npt.NDArray[np.uint8]
COLUMNS = 8
COLUMN_IN = 1.2
LINE = 1.42  # the height of a line of the gallery, picture and caption, in columns' widths
TITLE_IN = 0.75
PICTURE_SIDE = 480
LONGEST_LABEL, LONGEST_NAME = 44, 30
# The most letters of truth and answer in one line, and of either in a line of its own.
SHORT, LONGEST_CLASS = 8, 15
CELL = 0.84  # a picture's longer side, in columns' widths


@dataclass(frozen=True)
class AnsweredPicture:
    """A picture with its answers."""

    name: str
    pixels: Pixels  # uint8 (h, w), grey, or (h, w, 3)
    # As `Predictor.predict` ranks them: each with `label` and `score`, best first.
    answers: Sequence[dict[str, Any]]
    label: str | None = None  # the right answer, or None if it is unknown


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
    short = all(len(one.truth) + len(one.answer) <= SHORT for one in mistakes)
    line = LINE if short else LINE + 0.1
    lines = -(-len(mistakes) // COLUMNS)
    grid_in = lines * line * COLUMN_IN
    with picture(path, COLUMNS * COLUMN_IN, grid_in + TITLE_IN, arranged=False) as figure:
        axes = figure.add_axes((0, 0, 1, grid_in / (grid_in + TITLE_IN)))
        for place, mistake in enumerate(mistakes):
            column, top = place % COLUMNS, place // COLUMNS * line
            _place_picture(axes, make_thumbnail(pictures, mistake.index), column, top)
            _label(axes, mistake, column, top, short)
        axes.set(xlim=(0, COLUMNS), ylim=(lines * line, 0), aspect="equal")
        axes.set_axis_off()
        shown = f"the {len(mistakes):,} surest" if len(mistakes) < wrong else "all, the surest first"
        title = wrap(subject, COLUMNS * COLUMN_IN)
        axes.set_title(f"{title}\n{wrong:,} mistakes; {shown}: truth → answer, score", pad=8, x=0.009)


def plot_answers(path: Path, pictures: Sequence[AnsweredPicture], subject: str) -> None:
    """Draw every picture beside its answers, as bars from 0 to 1, best first."""
    with picture(path, 10, 2.4 * len(pictures) + 0.7) as figure:
        grid = figure.subplots(len(pictures), 2, squeeze=False, width_ratios=[1, 2.2])
        for one, (left, right) in zip(pictures, grid, strict=True):
            left.imshow(shrink(one.pixels, PICTURE_SIDE), cmap="gray", vmin=0, vmax=255)
            left.set_title(shorten(one.name, LONGEST_NAME), fontsize=9, weight="normal", color=GREY)
            left.set_axis_off()
            _show_answers(right, one.answers)
        figure.suptitle(wrap(subject, 10), x=0.014, ha="left", fontsize=12, weight="bold")


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
    detail, below = f"{mistake.score:.3f}  no. {mistake.index}", top + (1.17 if short else 1.26)
    axes.text(middle, below, detail, ha="center", va="center", fontsize=7.5, color=GREY)


def _show_answers(axes: "Axes", answers: Sequence[dict[str, Any]]) -> None:
    places = range(len(answers))
    scores = [answer["score"] for answer in answers]
    axes.barh(places, scores, color=[BLUE] + [PALE_GREY] * (len(answers) - 1), height=0.68)
    axes.set_yticks(places, [shorten(answer["label"], LONGEST_LABEL) for answer in answers])
    for place, score in zip(places, scores, strict=True):
        shown = f"{score:.4f}" if score >= 0.00005 else "< 0.0001"
        axes.text(score + 0.01, place, shown, va="center", fontsize=9, color=INK)
    axes.set(xlim=(0, 1.15), ylim=(len(answers) - 0.4, -0.6), xticks=[])
    axes.tick_params(length=0)
    axes.spines[["bottom"]].set_visible(False)
