"""One picture: validation accuracy against seconds of fitting, and the test accuracy at the end."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.training.goals import show_accuracy
from benchmarks.training.report import show_seconds
from benchmarks.training.runs import TEXTBOOK
from benchmarks.training.summary import Row
from modelyard.plots.charts import BLUE, GREY, INK, PALE_GREY, VERMILION, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

# Okabe and Ito's colours: told apart by any eye. The textbook's is grey.
COLOURS = (VERMILION, BLUE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
WIDTH_IN, HEIGHT_IN = 11.0, 6.6
TICKS = (0.5, 0.8, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.997, 0.998, 0.999)
SECONDS = (0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600)
# No accuracy is drawn above the first. The axis begins between the others, lower only for a test accuracy:
# averages of weights know nothing in their first epochs, and would squeeze all that follows.
MOST, HIGHEST_BEGIN, LOWEST_BEGIN = 0.9995, 0.97, 0.93
# Of a label from its dot: at the right of it, then above and below, then at the left.
PLACES_PT = (
    (9, 0),
    (8, 13),
    (8, -13),
    (0, 20),
    (0, -20),
    (1, 20),
    (1, -20),
    (-1, 20),
    (-1, -20),
    (-8, 13),
    (-8, -13),
    (-9, 0),
    (1, 32),
    (1, -32),
)
POINTS_A_LINE = 30
# A large dot counts for much, all around it.
POINTS_A_DOT, DOT_PT = 60, 9
EXPLAINED = (
    "dots: the final network on the test images (faint: each seed, large: their median); "
    "lines: validation images, after each epoch"
)


def plot_rows(path: Path, rows: Sequence[Row]) -> None:
    """Draw every run's curve, thin, the medians over them, and the final network's test accuracy, large.

    Both axes are logarithmic: the vertical one in what is still wrong, or all would be squeezed at the top.

    Args:
        path: the PNG to write.
        rows: at least one.
    """
    with picture(path, WIDTH_IN, HEIGHT_IN) as figure:
        axes = figure.add_subplot()
        axes.set_title("Accuracy against seconds of fitting", pad=30)
        axes.text(0, 1.02, EXPLAINED, transform=axes.transAxes, color=GREY, va="bottom", fontsize=9.5)
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
    axes.plot([end_s], [end], "o", color=colour, markersize=DOT_PT, markeredgecolor="white", zorder=3)


def _scale(axes: "Axes", rows: Sequence[Row]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    seconds = [epoch.elapsed_s for row in rows for run in row.runs for epoch in run.epochs]
    ends = [run.fit_s for row in rows for run in row.runs]
    # Room at the right for the labels.
    axes.set_xlim(min(seconds + ends) / 1.25, max(ends) * (max(ends) / min(seconds + ends)) ** 0.1 * 1.6)
    seen = [epoch.val_accuracy for row in rows for run in row.runs for epoch in run.epochs]
    tested = [run.test_accuracy for row in rows for run in row.runs]
    begin = min(*tested, HIGHEST_BEGIN, max(LOWEST_BEGIN, min(seen)))
    axes.set_ylim(_to_error(begin) * 1.15, _to_error(max(seen + tested)) / 1.3)
    axes.xaxis.set_major_locator(FixedLocator(SECONDS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_major_locator(FixedLocator([1 - accuracy for accuracy in TICKS]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 * (1 - error):.4g} %"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel("seconds of fitting")
    axes.set_ylabel("accuracy")
    axes.grid(color=PALE_GREY, linewidth=0.8)
    axes.set_axisbelow(True)


def _write_labels(axes: "Axes", rows: Sequence[Row], colours: dict[str, str]) -> None:
    """Write beside each end what it is, at the nearest place where nothing else is drawn."""
    taken = _list_points(axes, rows)
    labels: list[Bbox] = []
    for row in sorted(rows, key=lambda row: row.fit_s.median, reverse=True):
        label = axes.annotate(
            f"{row.name}\n{show_accuracy(row.test_accuracy.median)} in {show_seconds(row.fit_s.median)} s",
            (row.fit_s.median, _to_error(row.test_accuracy.median)),
            xytext=PLACES_PT[0],
            textcoords="offset points",
            va="center",
            color=colours[row.name],
            fontweight="bold",
            fontsize=9.5,
            linespacing=1.1,
        )
        # The axes shall not make room for it.
        label.set_in_layout(False)

        def count_crossed(place: tuple[int, int], label: "Annotation" = label) -> int:
            box = _move(label, place)
            outside = axes.bbox.count_contains(box.corners()) < len(box.corners())
            worse = sum(box.overlaps(other) for other in labels) + outside
            return len(taken) * worse + box.count_contains(taken)

        labels.append(_move(label, min(PLACES_PT, key=count_crossed)))


def _move(label: "Annotation", place_pt: tuple[int, int]) -> "Bbox":
    """Put a label so far from its dot, and return the box it fills, in pixels of the figure."""
    label.set_position(place_pt)
    label.set_horizontalalignment("left" if place_pt[0] > 0 else "right" if place_pt[0] < 0 else "center")
    return label.get_window_extent()


def _list_points(axes: "Axes", rows: Sequence[Row]) -> NDArray[np.float64]:
    """Return points (n, 2) along the medians' lines and dots, and at each run's end, in pixels."""
    points = []
    angles = np.linspace(0, 2 * np.pi, POINTS_A_DOT, endpoint=False)
    dot = np.stack([np.cos(angles), np.sin(angles)], axis=1) * DOT_PT / 2 * axes.figure.dpi / 72
    for row in rows:
        ends = [(epoch.elapsed_s, _to_error(epoch.val_accuracy)) for epoch in row.curve]
        ends.append((row.fit_s.median, _to_error(row.test_accuracy.median)))
        corners = axes.transData.transform(ends)
        points.append(
            axes.transData.transform([(run.fit_s, _to_error(run.test_accuracy)) for run in row.runs])
        )
        points.append(corners[-1] + dot)
        points += [np.linspace(one, other, POINTS_A_LINE) for one, other in itertools.pairwise(corners)]
    return np.concatenate(points)


def _to_error(accuracy: float) -> float:
    return 1 - min(accuracy, MOST)
