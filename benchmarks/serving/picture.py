"""One picture: requests per second and latency, a line for each server and number of connections."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.report import Frame, show
from benchmarks.serving.servers import OURS, TITLES
from benchmarks.serving.summary import sort_by_server
from modelyard.plots.charts import BLUE, GREY, INK, PALE_GREY, picture

# Between two servers, in lines.
GAP = 0.9
RATES = "requests per second (more is better)\ndot: the median round; line: slowest to fastest round"
LATENCIES = "milliseconds until the answer (less is better)\ndot: half are faster; line: up to 99 of 100"
WIDTH_IN, LINE_IN, REST_IN = 13.0, 0.2, 1.45


def plot_rows(path: Path, frame: Frame, titles: Mapping[str, str]) -> None:
    """Draw the rows of `summarise`, or of serving.csv: throughput and latency, both logarithmic."""
    shown = {title: sort_by_server(frame, model) for model, title in titles.items()}
    shown = {title: rows for title, rows in shown.items() if len(rows)}
    heights = [LINE_IN * (len(rows) + GAP * rows["server"].nunique()) + REST_IN for rows in shown.values()]
    with picture(path, WIDTH_IN, sum(heights)) as figure:
        grid = figure.subplots(len(shown), 2, squeeze=False, height_ratios=heights)
        for (left, right), (title, rows) in zip(grid, shown.items(), strict=True):
            left.set_title(title)
            texts = [show(row.requests_per_s) for row in rows.itertuples()]
            _draw(left, rows, ("requests_per_s_least", "requests_per_s", "requests_per_s_most"), texts)
            left.set_xlabel(RATES)
            texts = [f"{show(row.p50_ms)} to {show(row.p99_ms)}" for row in rows.itertuples()]
            _draw(right, rows, ("p50_ms", "p50_ms", "p99_ms"), texts)
            right.set_xlabel(LATENCIES)
            right.set_yticks([])
            _name_rows(left, rows)


def _place(rows: Frame) -> Frame:
    """Give each row its height, with a gap where another server begins."""
    return (1 + GAP * (rows["server"] != rows["server"].shift())).cumsum()


def _draw(axes: Any, rows: Frame, columns: tuple[str, str, str], texts: list[str]) -> None:
    """Draw a bar from the first column to the third, a dot at the second, and a text beside them."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    places, (least, middle, most) = _place(rows), (rows[column] for column in columns)
    colours = [BLUE if server in OURS else GREY for server in rows["server"]]
    axes.hlines(places, least, most, color=colours, linewidth=2, alpha=0.5)
    axes.scatter(middle, places, color=colours, s=25, zorder=3)
    for text, x, y in zip(texts, most, places, strict=True):
        axes.annotate(text, (x, y), (7, 0), textcoords="offset points", va="center", fontsize=8.5, color=INK)
    axes.set_xscale("log")
    # Room at the right for the texts.
    axes.set_xlim(least.min() / 1.3, 3 * most.max() * (most.max() / least.min()) ** 0.2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(places.max() + 0.9, places.min() - 0.9)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=PALE_GREY, linewidth=0.8)
    axes.set_axisbelow(True)


def _name_rows(axes: Any, rows: Frame) -> None:
    """Write the connections beside the axis, and each server's name before its first line."""
    firsts = ~rows["server"].duplicated()
    names = rows["server"].map(TITLES).where(firsts, "") + "   " + rows["connections"].astype(str)
    axes.set_yticks(_place(rows), names)
    axes.tick_params(axis="y", length=0, labelsize=9)
    for server, label in zip(rows["server"], axes.get_yticklabels(), strict=True):
        label.set(color=BLUE if server in OURS else INK, fontweight="bold" if server in OURS else "normal")
    axes.set_ylabel("server, and how many clients ask at once", color=GREY)
