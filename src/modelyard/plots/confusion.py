"""The confusion matrix: what is taken for what."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelyard.evaluation.measures.classification import Floats, Integers, class_scores
from modelyard.plots.charts import (
    BLUE,
    GREY,
    INK,
    PALE_BLUE,
    PALE_GREY,
    PALE_VERMILION,
    VERMILION,
    hide_lines,
    picture,
    shorten,
    wrap,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_WRITTEN_CLASSES, LONGEST_CLASS = 30, 28
LETTER_IN = 0.075


def plot_confusion(path: Path, confusion: Integers, names: Sequence[str], subject: str) -> None:
    """Draw a confusion matrix (rows are labels) with its counts, recall on the right and precision on top.

    The colour of the mistakes grows with the logarithm of their count; a pair that never happened is blank.
    `subject` is model and data, for the title.
    """
    classes = len(confusion)
    longest = min(max(map(len, names)), LONGEST_CLASS)
    side_in = min(0.62 * classes + 2.4 + LETTER_IN * max(0, longest - 3), 14)
    width_in = max(side_in, 5)
    with picture(path, width_in, max(side_in, 4.6)) as figure:
        axes = figure.add_subplot()
        draw_cells(axes, confusion, MOST_WRITTEN_CLASSES)
        _name_classes(axes, confusion, names)
        mistakes, images = int(confusion.sum() - confusion.trace()), int(confusion.sum())
        title = f"{wrap(subject, width_in)}\n{mistakes:,} of {images:,} first answers wrong"
        figure.suptitle(title, x=0.014, ha="left", fontsize=12, weight="bold")


def draw_cells(axes: "Axes", confusion: Integers, most_written: int) -> None:
    """Colour what is right and what is wrong; of at most `most_written` classes, write the counts."""
    from matplotlib.colors import ListedColormap

    written = len(confusion) <= most_written
    right = np.eye(len(confusion), dtype=bool)
    colours = ListedColormap([PALE_BLUE if written else BLUE])
    axes.imshow(np.ma.masked_where(~right | (confusion == 0), right), cmap=colours)
    wrong = np.ma.masked_where(right | (confusion == 0), confusion)
    if wrong.count():
        _colour_mistakes(axes, wrong, written)
    for row, column in np.argwhere(confusion > 0) if written else ():
        count = f"{confusion[row, column]:,}"
        axes.text(column, row, count, ha="center", va="center", color=INK, fontsize=9)
    if written:
        axes.set_xticks(np.arange(len(confusion) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(confusion) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=PALE_GREY, linewidth=0.8)


def _colour_mistakes(axes: "Axes", wrong: Integers, written: bool) -> None:
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    # Pale cells as small as a dot would not be seen.
    pale = [PALE_VERMILION] if written else []
    colours = LinearSegmentedColormap.from_list("mistakes", [*pale, "#F5A56B", VERMILION])
    axes.imshow(wrong, cmap=colours, norm=LogNorm(1, max(10, int(wrong.max()))))


def _name_classes(axes: "Axes", confusion: Integers, names: Sequence[str]) -> None:
    """Write classes on the left and below, their shares on the right and on top, lines between the cells."""
    scores = class_scores(confusion)
    ticks = name_ticks(axes, names, MOST_WRITTEN_CLASSES, LONGEST_CLASS)
    precision, recall = axes.secondary_xaxis("top"), axes.secondary_yaxis("right")
    crowded = 90 if len(names) > 12 else 0
    precision.set_xticks(ticks, _percent(scores.precision[ticks]), fontsize=8, rotation=crowded)
    recall.set_yticks(ticks, _percent(scores.recall[ticks]), fontsize=8)
    precision.set_xlabel("precision, %", color=GREY, fontsize=9)
    recall.set_ylabel("recall, %", color=GREY, fontsize=9)
    hide_lines(axes, precision, recall)


def name_ticks(axes: "Axes", names: Sequence[str], most: int, longest: int) -> list[int]:
    """Write at most `most` classes on the left and below, each cut to `longest` letters; return which."""
    ticks = list(range(0, len(names), -(-len(names) // most)))
    shown = [shorten(names[tick], longest) for tick in ticks]
    axes.set_xticks(ticks, shown, rotation=0 if max(map(len, shown)) <= 3 else 90)
    axes.set_yticks(ticks, shown)
    axes.set_xlabel("first answer")
    axes.set_ylabel("truth")
    return ticks


def _percent(shares: Floats) -> list[str]:
    return [f"{100 * share:.1f}" for share in shares]
