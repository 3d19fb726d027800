"""One picture: validation accuracy against seconds of fitting, and the test accuracy at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.training.goals import show_accuracy
from benchmarks.training.report import show_seconds
from benchmarks.training.runs import TEXTBOOK
from benchmarks.training.summary import Row
from modelyard.plots.charts import BLUE, GREY, INK, PALE_GREY, VERMILION, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours: told apart by any eye. The textbook's is grey.
COLOURS = (VERMILION, BLUE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
WIDTH_IN, HEIGHT_IN = 11.0, 6.6
TICKS = (0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.997, 0.998, 0.999)
SECONDS = (0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600)
# No accuracy is drawn above this, and no axis begins above that.
MOST, LEAST = 0.9995, 0.97
LABEL_GAP_PT = 13.0


def plot_rows(path: Path, rows: Sequence[Row]) -> None:
    """Draw every run's curve, thin, the medians over them, and the final network's test accuracy, large.

    Both axes are logarithmic: the vertical one in what is still wrong, or all would be squeezed at the top.

    Args:
        path: the PNG to write.
        rows: at least one.
    """
    with picture(path, WIDTH_IN, HEIGHT_IN) as figure:
        axes = figure.add_subplot()
        axes.set_title("Accuracy against seconds of fitting", pad=12)
        colours = _choose_colours(rows)
        for row in rows:
            _draw_row(axes, row, colours[row.name])
        _scale(axes, rows)
        figure.canvas.draw()
        _write_labels(axes, rows, colours)


def _choose_colours(rows: Sequence[Row]) -> dict[str, str]:
    presets = [row.name for row in rows if row.name != TEXTBOOK]
    chosen = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(presets)}
    return {TEXTBOOK: GREY, **chosen}


def _draw_row(axes: "Axes", row: Row, colour: str) -> None:
    for run in row.runs:
        seconds = [epoch.elapsed_s for epoch in run.epochs]
        errors = [_to_error(epoch.val_accuracy) for epoch in run.epochs]
        axes.plot(seconds, errors, color=colour, linewidth=0.7, alpha=0.35)
        end = _to_error(run.test_accuracy)
        axes.plot([run.fit_s], [end], "o", color=colour, markersize=4, alpha=0.35, markeredgewidth=0)
    end_s, end = row.fit_s.median, _to_error(row.test_accuracy.median)
    if row.curve:
        seconds = [epoch.elapsed_s for epoch in row.curve]
        errors = [_to_error(epoch.val_accuracy) for epoch in row.curve]
        axes.plot(seconds, errors, color=colour, linewidth=1.8, marker=".", markersize=6)
        axes.plot([seconds[-1], end_s], [errors[-1], end], ":", color=colour, linewidth=1.2)
    axes.plot([end_s], [end], "o", color=colour, markersize=9, markeredgecolor="white", zorder=3)


def _scale(axes: "Axes", rows: Sequence[Row]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    seconds = [epoch.elapsed_s for row in rows for run in row.runs for epoch in run.epochs]
    ends = [run.fit_s for row in rows for run in row.runs]
    # Room at the right for the labels.
    axes.set_xlim(min(seconds + ends) / 1.25, max(ends) * (max(ends) / min(seconds + ends)) ** 0.28 * 1.6)
    seen = [epoch.val_accuracy for row in rows for run in row.runs for epoch in run.epochs]
    seen += [run.test_accuracy for row in rows for run in row.runs]
    axes.set_ylim(_to_error(min(*seen, LEAST)) * 1.15, _to_error(max(seen)) / 1.3)
    axes.xaxis.set_major_locator(FixedLocator(SECONDS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_major_locator(FixedLocator([1 - accuracy for accuracy in TICKS]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 * (1 - error):.4g} %"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel("seconds of fitting (logarithmic); thin: every seed, thick: their median")
    axes.set_ylabel("line: validation accuracy after each epoch; dot: test accuracy at the end")
    axes.grid(color=PALE_GREY, linewidth=0.8)
    axes.set_axisbelow(True)


def _write_labels(axes: "Axes", rows: Sequence[Row], colours: dict[str, str]) -> None:
    """Write beside each end what it is, lower where another label stands already."""
    ends = {row.name: (row.fit_s.median, _to_error(row.test_accuracy.median)) for row in rows}
    to_points = 72 / axes.figure.dpi
    heights: list[float] = []
    for row in sorted(rows, key=lambda row: ends[row.name][1]):
        _, end_y = axes.transData.transform(ends[row.name]) * to_points
        height = min([end_y, *(other - LABEL_GAP_PT for other in heights)])
        heights.append(height)
        axes.annotate(
            f"{row.name}  {show_accuracy(row.test_accuracy.median)} in {show_seconds(row.fit_s.median)} s",
            ends[row.name],
            xytext=(9, height - end_y),
            textcoords="offset points",
            va="center",
            color=colours[row.name],
            fontweight="bold",
            fontsize=9.5,
        )


def _to_error(accuracy: float) -> float:
    return 1 - min(accuracy, MOST)
