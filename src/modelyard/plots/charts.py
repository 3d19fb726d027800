"""Charts of measures: what is confused with what, and how far a score can be believed.

Blue is right or measured, vermilion is wrong: two of Okabe and Ito's colours, which any eye can tell apart.
"""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelyard.evaluation.measures.classification import (
    Calibration,
    Floats,
    Integers,
    class_scores,
    wilson_interval,
)
from modelyard.files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axes._base import _AxesBase
    from matplotlib.figure import Figure

BLUE, PALE_BLUE = "#0072B2", "#DCEAF4"
VERMILION, PALE_VERMILION = "#D55E00", "#FDEBDD"
INK, GREY, PALE_GREY = "#222222", "#737373", "#E4E4E4"
MOST_WRITTEN_CLASSES, LONGEST_CLASS = 30, 28
LETTER_IN, TITLE_LETTER_IN = 0.075, 0.11
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


def plot_reliability(path: Path, curve: Calibration, subject: str) -> None:
    """Draw accuracy over score, a point for each bin with its 95 % interval, above the count of every bin.

    A point on the dashed line is as often right as it says; below it, the model is overconfident.
    """
    with picture(path, 6.4, 6.8) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        off = f"scores are off by {100 * curve.error:.2f} percentage points on average"
        above.set_title(f"{wrap(subject, 6)}\n{wrap(off, 6)}", pad=12)
        _draw_accuracy(above, curve)
        _draw_counts(below, curve)


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


def hide_lines(*axes: "_AxesBase") -> None:
    """Leave out frames and the marks of ticks."""
    for axis in axes:
        axis.tick_params(length=0, which="both")
        axis.spines[:].set_visible(False)


def _percent(shares: Floats) -> list[str]:
    return [f"{100 * share:.1f}" for share in shares]


def _draw_accuracy(axes: "Axes", curve: Calibration) -> None:
    filled = np.flatnonzero(curve.counts)
    confidence, accuracy = curve.confidence[filled], curve.accuracy[filled]
    bounds = [
        wilson_interval(round(float(curve.accuracy[place] * curve.counts[place])), int(curve.counts[place]))
        for place in filled
    ]
    reach = abs(np.array(bounds).T - accuracy)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=(0, (4, 3)), linewidth=1)
    told = "dashed: as often right as the score says\nbelow it: too sure of itself"
    axes.text(0.99, 0.02, told, color=GREY, fontsize=9, ha="right", va="bottom")
    axes.errorbar(
        confidence, accuracy, yerr=reach, fmt="o", color=BLUE, elinewidth=1.2, clip_on=False, zorder=3
    )
    axes.set_ylim(-0.02, 1.04)
    axes.set_ylabel("share that is right, with 95 % interval")
    axes.grid(color=PALE_GREY, linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_counts(axes: "Axes", curve: Calibration) -> None:
    """Draw bars on a logarithmic scale, or the last bin of a good model would hide the others."""
    from matplotlib.ticker import NullLocator

    width = curve.edges[1] - curve.edges[0]
    axes.bar(curve.edges[:-1] + width / 2, curve.counts, width * 0.9, color=BLUE, alpha=0.35, linewidth=0)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0.7, max(10, int(curve.counts.max())) * 4)
    for place in np.flatnonzero(curve.counts) if len(curve.counts) <= MOST_WRITTEN_CLASSES else ():
        centre, count = curve.edges[place] + width / 2, int(curve.counts[place])
        axes.text(centre, count * 1.2, f"{count:,}", ha="center", va="bottom", fontsize=8)
    axes.set_xlim(0, 1)
    axes.set_xlabel("score of the first answer")
    axes.set_ylabel("images")
