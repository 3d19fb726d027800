"""One picture: validation accuracy against seconds of training, and the test accuracy at the end."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import Frame, show
from benchmarks.training.runs import TEXTBOOK, read_epochs
from benchmarks.training.summary import show_accuracy
from modelyard.plots.charts import BLUE, GREY, INK, PALE_GREY, VERMILION, picture

# Okabe and Ito's colours, which any eye can tell apart. The textbook's is grey.
COLOURS = (VERMILION, BLUE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
ACCURACIES = (0.5, 0.8, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.997, 0.998, 0.999)
SECONDS = (0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600)
# No accuracy is drawn above the first, nor below the second, unless it is a final network's: averaged
# weights are poor in their first epochs, which would squeeze all that follows.
MOST, LEAST = 0.9995, 0.93
DOTS = "large dot: the finished network on test images, the median of its runs (pale dots)"
LINES = "line: on validation images, after each pass over the training images"


def plot_runs(path: Path, frame: Frame) -> None:
    """Draw the medians of validation curves, and test accuracies, from `make_frame` or from training.csv.

    Both axes are logarithmic, the vertical one in the errors, or all would be squeezed at the top.
    """
    with picture(path, 12.0, 6.4) as figure:
        axes = figure.add_subplot()
        axes.set_title("Accuracy and time of training")
        colours = iter(COLOURS * len(frame))
        for name, runs in frame.groupby("network", sort=False):
            _draw_network(axes, name, runs, GREY if name == TEXTBOOK else next(colours))
        _scale(axes)
        # An inverted axis: errors shrink upwards.
        least, most = axes.get_ylim()
        shown = _to_error(min(frame["test_accuracy"].min(), LEAST)) * 1.15
        axes.set_ylim(min(most, shown), least)
        axes.legend(loc=(1.02, 0.35), frameon=False, labelspacing=1.2, labelcolor="mfc")


def _draw_network(axes: Any, name: str, runs: Frame, colour: str) -> None:
    ends = _to_error(runs["test_accuracy"])
    axes.plot(runs["fit_s"], ends, "o", color=colour, markersize=4, alpha=0.35, markeredgewidth=0)
    end_s, accuracy = runs["fit_s"].median(), runs["test_accuracy"].median()
    end, label = _to_error(accuracy), f"{name}\n{show_accuracy(accuracy)} in {show(end_s)} s"
    axes.plot(end_s, end, "o", color=colour, markersize=9, markeredgecolor="white", zorder=3, label=label)
    curves = [read_epochs(text) for text in runs["seconds_and_val_accuracy_of_epochs"].fillna("")]
    # As long as all runs lasted.
    seconds, accuracies = np.median([curve[: min(map(len, curves))] for curve in curves], axis=0).T
    if len(seconds):
        errors = _to_error(accuracies)
        axes.plot(seconds, errors, ".-", color=colour, linewidth=1.8, markersize=6)
        axes.plot([seconds[-1], end_s], [errors[-1], end], ":", color=colour, linewidth=1.2)


def _scale(axes: Any) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(SECONDS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_major_locator(FixedLocator([1 - accuracy for accuracy in ACCURACIES]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 * (1 - error):.4g} %"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"seconds of training (less is better)\n\n{DOTS}\n{LINES}")
    axes.set_ylabel("accuracy (more is better)")
    axes.grid(color=PALE_GREY, linewidth=0.8)
    axes.set_axisbelow(True)


def _to_error(accuracy: Any) -> Any:
    return 1 - np.minimum(accuracy, MOST)
