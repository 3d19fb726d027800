"""One picture: requests a second and latency, a line for each server and number of connections."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.serving.measurements import Row
from benchmarks.serving.report import show
from benchmarks.serving.servers import DOOR_1, DOOR_2, TITLES
from modelyard.plots.charts import BLUE, GREY, INK, PALE_GREY, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP = 0.9
WIDTH_IN, LINE_IN, REST_IN = 13.0, 0.2, 1.3


def plot_rows(path: Path, rows: Sequence[Row], titles: dict[str, str]) -> None:
    """Draw the rows of each model: throughput at the left, p50 to p99 at the right, logarithmic.

    Args:
        path: the PNG to write.
        rows: of all models.
        titles: of the models, by their keys; those without rows are left out.
    """
    shown = {model: [row for row in rows if row.model == model] for model in titles}
    shown = {model: _sort(own) for model, own in shown.items() if own}
    height_in = sum(
        LINE_IN * (len(own) + GAP * len({row.server for row in own})) + REST_IN for own in shown.values()
    )
    with picture(path, WIDTH_IN, height_in) as figure:
        grid = figure.subplots(len(shown), 2, squeeze=False, width_ratios=[1, 1])
        for (left, right), (model, own) in zip(grid, shown.items(), strict=True):
            places = _place(own)
            left.set_title(titles[model])
            _name_servers(left, own, places)
            _draw_rates(left, own, places)
            _draw_latencies(right, own, places)
            for axes in (left, right):
                _tidy(axes, places)


def _sort(rows: Sequence[Row]) -> list[Row]:
    order = list(TITLES)
    return sorted(rows, key=lambda row: (order.index(row.server), row.connections))


def _place(rows: Sequence[Row]) -> list[float]:
    """Give each row its height, with a gap where another server begins."""
    places = [0.0]
    for before, row in itertools.pairwise(rows):
        places.append(places[-1] + 1 + (GAP if row.server != before.server else 0))
    return places


def _name_servers(axes: "Axes", rows: Sequence[Row], places: Sequence[float]) -> None:
    """Write connections beside the axis, and each server's name before its lines."""
    axes.set_yticks(places, [str(row.connections) for row in rows])
    for server in dict.fromkeys(row.server for row in rows):
        own = [place for row, place in zip(rows, places, strict=True) if row.server == server]
        axes.annotate(
            TITLES[server].replace(": ", ":\n").replace(", ", ",\n"),
            (0, sum(own) / len(own)),
            xycoords=("axes fraction", "data"),
            xytext=(-30, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=_colour(server),
            fontweight="bold" if server in (DOOR_1, DOOR_2) else "normal",
        )


def _draw_rates(axes: "Axes", rows: Sequence[Row], places: Sequence[float]) -> None:
    for row, place in zip(rows, places, strict=True):
        rate, colour = row.requests_per_s, _colour(row.server)
        axes.plot([rate.least, rate.most], [place, place], color=colour, linewidth=2, alpha=0.5)
        axes.plot([rate.median], [place], "o", color=colour, markersize=5)
        _write(axes, rate.most, place, show(rate.median))
    axes.set_xlabel("requests a second with 1, 8 and 32 connections; the line is the spread of the rounds")


def _draw_latencies(axes: "Axes", rows: Sequence[Row], places: Sequence[float]) -> None:
    for row, place in zip(rows, places, strict=True):
        p50_ms, p99_ms, colour = row.p50_ms.median, row.p99_ms.median, _colour(row.server)
        axes.plot([p50_ms, p99_ms], [place, place], color=colour, linewidth=1)
        axes.plot([p50_ms], [place], "o", color=colour, markersize=5)
        axes.plot([p99_ms], [place], "|", color=colour, markersize=8, markeredgewidth=1.5)
        _write(axes, p99_ms, place, f"{show(p50_ms)} / {show(p99_ms)}")
    axes.set_yticks([])
    axes.set_xlabel("milliseconds to the answer: p50 (dot) to p99 (stroke)")


def _write(axes: "Axes", x: float, y: float, text: str) -> None:
    axes.annotate(
        text, (x, y), xytext=(7, 0), textcoords="offset points", va="center", fontsize=8.5, color=INK
    )


def _tidy(axes: "Axes", places: Sequence[float]) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    axes.set_xscale("log")
    least, most = axes.get_xlim()
    axes.set_xlim(least / 1.3, most * 3)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(max(places) + 0.9, -0.9)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0, labelsize=8.5, labelcolor=GREY)
    axes.grid(axis="x", color=PALE_GREY, linewidth=0.8)
    axes.set_axisbelow(True)


def _colour(server: str) -> str:
    return BLUE if server in (DOOR_1, DOOR_2) else GREY
