"""Previews of an evaluation's pictures: a chart of MLflow shows one for each run, side by side.

MLflow's own preview is the whole picture in 256 pixels, too small for any letter.
"""

from collections.abc import Sequence
from pathlib import Path

from modelyard.evaluation.labelled_evaluation import Mistake
from modelyard.evaluation.measures.classification import Integers
from modelyard.images.pictures import Pictures
from modelyard.plots.charts import hide_lines, picture
from modelyard.plots.confusion import draw_cells, name_ticks
from modelyard.plots.contact_sheet import GAP_IN, MARGIN_IN, AnsweredPicture, plot_contact_sheet
from modelyard.plots.gallery import COLUMN_IN, draw_mistakes

# Of the folder beside the whole pictures; each preview is named as what it is of.
FOLDER = "previews"
# Two of them, 352 pixels wide, stand side by side in a window of 1440, beside MLflow's two panels.
COLUMNS, LINES = 4, 3
WIDTH_IN, DPI = COLUMNS * COLUMN_IN, 73
# More classes would have counts over the edges of their cells, and names over one another.
MOST_WRITTEN_CLASSES, LONGEST_CLASS = 12, 14
MOST_ANSWERED = 4


def preview_mistakes(path: Path, pictures: Pictures, mistakes: Sequence[Mistake]) -> None:
    """Draw the twelve worst mistakes; of none, nothing: the whole picture says so in a few large words."""
    if mistakes:
        draw_mistakes(path, pictures, mistakes[: COLUMNS * LINES], COLUMNS, dpi=DPI)


def preview_confusion(path: Path, confusion: Integers, names: Sequence[str]) -> None:
    """Draw a confusion matrix (rows are labels) with its counts; of more than 12 classes, only colours."""
    with picture(path, WIDTH_IN, WIDTH_IN, dpi=DPI) as figure:
        axes = figure.add_subplot()
        draw_cells(axes, confusion, MOST_WRITTEN_CLASSES)
        name_ticks(axes, names, MOST_WRITTEN_CLASSES, LONGEST_CLASS)
        hide_lines(axes)


def preview_answers(path: Path, pictures: Sequence[AnsweredPicture]) -> None:
    """Draw the first four pictures, two in a row, each with its answer and the runner-up."""
    cells_in = WIDTH_IN - 2 * MARGIN_IN + GAP_IN
    plot_contact_sheet(path, [("", pictures[:MOST_ANSWERED])], 1, cells_in, 2, DPI)
