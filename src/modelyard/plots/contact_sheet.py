"""One picture of several models' answers: every sample image, with its ranked labels below."""

from collections.abc import Sequence
from pathlib import Path

from modelyard.plots.charts import GREY, INK, picture, shorten
from modelyard.plots.gallery import AnsweredPicture
from modelyard.plots.thumbnails import shrink

COLUMNS = 5
CELL_IN = 2.0
LINE_IN = 0.22
LONGEST_LABEL, LONGEST_NAME = 18, 26
SIDE = 320


def plot_contact_sheet(path: Path, sections: Sequence[tuple[str, Sequence[AnsweredPicture]]]) -> None:
    """Draw each section's images in lines of five under its title, one section a model.

    Args:
        path: the PNG to write.
        sections: a title, and images with their answers.
    """
    answers = max(len(one.answers) for _, pictures in sections for one in pictures)
    lines = [-(-len(pictures) // COLUMNS) for _, pictures in sections]
    cell_in = CELL_IN + (answers + 1) * LINE_IN
    heights_in = [count * cell_in + 0.5 for count in lines]
    with picture(path, COLUMNS * CELL_IN, sum(heights_in)) as figure:
        parts = figure.subfigures(len(sections), 1, height_ratios=heights_in, squeeze=False)[:, 0]
        for part, count, (title, pictures) in zip(parts, lines, sections, strict=True):
            part.suptitle(title, x=0.014, ha="left", fontsize=12, weight="bold")
            grid = part.subplots(count, COLUMNS, squeeze=False).ravel()
            for axes in grid:
                axes.set_axis_off()
            for axes, one in zip(grid, pictures, strict=False):
                axes.imshow(shrink(one.pixels, SIDE), cmap="gray", vmin=0, vmax=255)
                axes.set_title(
                    shorten(one.name, LONGEST_NAME), fontsize=8, weight="normal", color=GREY, loc="center"
                )
                axes.text(
                    0.5,
                    -0.04,
                    _caption(one),
                    transform=axes.transAxes,
                    ha="center",
                    va="top",
                    fontsize=8,
                    color=INK,
                )


def _caption(one: AnsweredPicture) -> str:
    """Labels and scores, best first; a score that rounds to nothing still has its four digits."""
    return "\n".join(
        f"{shorten(answer['label'], LONGEST_LABEL)} {answer['score']:.4f}" for answer in one.answers
    )
