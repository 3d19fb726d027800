"""Pictures of answers: the worst mistakes, and what a network says of photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from modelyard.evaluation.mistakes import Mistake
from modelyard.plots.charts import BLUE, GREY, INK, PALE_GREY, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pixels: TypeAlias = npt.NDArray[np.uint8]
COLUMNS = 8
COLUMN_IN = 1.2
LINE = 1.42  # the height of a line of the gallery, picture and caption, in columns' widths
TITLE_IN = 0.75
PHOTO_SIDE = 480
LONGEST_LABEL = 44


@dataclass(frozen=True)
class AnsweredPhoto:
    """A photo with its answers.

    Attributes:
        name: the file's name.
        pixels: (h, w, 3), uint8.
        answers: as `Predictor.predict` ranks them: each with `label` and `score`, best first.
    """

    name: str
    pixels: Pixels
    answers: Sequence[dict[str, Any]]


def plot_mistakes(path: Path, images: Pixels, mistakes: Sequence[Mistake], wrong: int, subject: str) -> None:
    """Draw the images of mistakes in lines of eight, each with truth, answer and score.

    Args:
        path: the PNG to write.
        images: (n, h, w), uint8, all images; a mistake's index points into them.
        mistakes: the ones to show, in this order; none makes a page that says so.
        wrong: how many mistakes there are in all.
        subject: model and data, for the title.
    """
    if not mistakes:
        with picture(path, 6, 2, arranged=False) as figure:
            figure.text(0.04, 0.7, subject, fontsize=12, weight="bold", va="bottom")
            figure.text(0.04, 0.4, f"No mistakes: all {len(images):,} first answers are right.", color=BLUE)
        return
    lines = -(-len(mistakes) // COLUMNS)
    grid_in = lines * LINE * COLUMN_IN
    with picture(path, COLUMNS * COLUMN_IN, grid_in + TITLE_IN, arranged=False) as figure:
        axes = figure.add_axes((0, 0, 1, grid_in / (grid_in + TITLE_IN)))
        for place, mistake in enumerate(mistakes):
            _hang(axes, images[mistake.index], mistake, place % COLUMNS, place // COLUMNS)
        axes.set(xlim=(0, COLUMNS), ylim=(lines * LINE, 0), aspect="equal")
        axes.set_axis_off()
        shown = f"the {len(mistakes):,} surest" if len(mistakes) < wrong else "all, the surest first"
        axes.set_title(f"{subject}\n{wrong:,} mistakes; {shown}: truth → answer, score", pad=8, x=0.009)


def plot_answers(path: Path, photos: Sequence[AnsweredPhoto], subject: str) -> None:
    """Draw every photo beside its answers, as bars from 0 to 1, best first.

    Args:
        path: the PNG to write.
        photos: at least one, a line of the picture each.
        subject: the model, for the title.
    """
    with picture(path, 10, 2.4 * len(photos) + 0.7) as figure:
        grid = figure.subplots(len(photos), 2, squeeze=False, width_ratios=[1, 2.2])
        for photo, (left, right) in zip(photos, grid, strict=True):
            _show_photo(left, photo)
            _show_answers(right, photo.answers)
        figure.suptitle(subject, x=0.014, ha="left", fontsize=12, weight="bold")


def _hang(axes: "Axes", image: Pixels, mistake: Mistake, column: int, line: int) -> None:
    left, top = column + 0.08, line * LINE + 0.04
    extent = (left, left + 0.84, top + 0.84, top)
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, extent=extent, interpolation="nearest")
    change = f"{mistake.truth} → {mistake.answer}"
    axes.text(column + 0.5, top + 0.99, change, ha="center", va="center", fontsize=11, weight="bold")
    detail = f"{mistake.score:.3f}  no. {mistake.index}"
    axes.text(column + 0.5, top + 1.17, detail, ha="center", va="center", fontsize=7.5, color=GREY)


def _show_photo(axes: "Axes", photo: AnsweredPhoto) -> None:
    small = Image.fromarray(photo.pixels)
    small.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
    axes.imshow(np.asarray(small), cmap="gray", vmin=0, vmax=255)
    axes.set_title(photo.name, fontsize=9, weight="normal", color=GREY)
    axes.set_axis_off()


def _show_answers(axes: "Axes", answers: Sequence[dict[str, Any]]) -> None:
    places = range(len(answers))
    scores = [answer["score"] for answer in answers]
    axes.barh(places, scores, color=[BLUE] + [PALE_GREY] * (len(answers) - 1), height=0.68)
    axes.set_yticks(places, [_shorten(answer["label"]) for answer in answers])
    for place, score in zip(places, scores, strict=True):
        shown = f"{score:.4f}" if score >= 0.00005 else "< 0.0001"
        axes.text(score + 0.01, place, shown, va="center", fontsize=9, color=INK)
    axes.set(xlim=(0, 1.15), ylim=(len(answers) - 0.4, -0.6), xticks=[])
    axes.tick_params(length=0)
    axes.spines[["bottom"]].set_visible(False)


def _shorten(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"
