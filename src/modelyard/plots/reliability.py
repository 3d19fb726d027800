"""The reliability chart: how far a score can be believed."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelyard.evaluation.measures.classification import Calibration
from modelyard.evaluation.measures.shares import wilson_interval
from modelyard.plots.charts import BLUE, GREY, PALE_GREY, picture, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_WRITTEN_BINS = 30


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
    for place in np.flatnonzero(curve.counts) if len(curve.counts) <= MOST_WRITTEN_BINS else ():
        centre, count = curve.edges[place] + width / 2, int(curve.counts[place])
        axes.text(centre, count * 1.2, f"{count:,}", ha="center", va="bottom", fontsize=8)
    axes.set_xlim(0, 1)
    axes.set_xlabel("score of the first answer")
    axes.set_ylabel("images")
