"""A picture of what corruptions do: how often a network stays right, and what they look like."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from modelyard.evaluation.corruptions import KINDS, STRENGTHS, Pixels, corrupt, reduce_photo
from modelyard.evaluation.robustness import Robustness
from modelyard.images.pictures import Pictures, PixelPictures
from modelyard.plots.charts import BLUE, GREY, INK, PALE_GREY, VERMILION, picture, wrap
from modelyard.plots.thumbnails import shrink

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# In inches. From left to right: the kinds' names, their accuracies, what they look like.
WIDTH, ROW, TITLE, FOOT = 9.4, 0.62, 0.75, 0.5
NAMES, CHART = 2.35, 4.6
# In pixels, of a sample with the gap beside it.
CELL, GAP = 120, 8
COLOURS = ("#8FC1E3", BLUE, "#003B5C")


def plot_robustness(path: Path, robustness: Robustness, pictures: Pictures, subject: str) -> None:
    """Draw a row for each kind, the worst first: its accuracy in each strength, beside a sample in each.

    `pictures` are those that it was measured on; `subject` is model and data, for the title.
    """
    order = [robustness.kinds[place] for place in np.argsort(robustness.accuracies, kind="stable")]
    height = TITLE + ROW * len(order) + FOOT
    found = robustness.metrics()
    with picture(path, WIDTH, height, arranged=False) as figure:
        title = (
            f"{wrap(subject, WIDTH)}\n{found['mean_accuracy']:.1%} right on corrupted copies of "
            f"{len(robustness.places):,} of them, {robustness.unchanged.mean():.1%} on these unchanged"
        )
        figure.text(0.02, 1 - 0.16 / height, title, fontsize=12, weight="bold", va="top", linespacing=1.3)
        bottom, high = FOOT / height, ROW * len(order) / height
        chart = figure.add_axes((NAMES / WIDTH, bottom, CHART / WIDTH, high))
        _draw_accuracies(chart, robustness, order)
        samples = figure.add_axes(((NAMES + CHART + 0.3) / WIDTH, bottom, ROW * STRENGTHS / WIDTH, high))
        samples.imshow(_join_samples(robustness, pictures, order), interpolation="antialiased")
        samples.set_axis_off()


def _draw_accuracies(axes: "Axes", robustness: Robustness, order: list[str]) -> None:
    unchanged = float(robustness.unchanged.mean())
    axes.axvline(unchanged, color=GREY, linestyle=(0, (4, 3)), linewidth=1)
    lowest = unchanged
    for row, kind in enumerate(order):
        counts = [robustness.count(kind, strength) for strength in range(1, STRENGTHS + 1)]
        shares = [right / asked for right, asked in counts if asked]
        lowest = min(lowest, *shares)
        colours = [colour for (_, asked), colour in zip(counts, COLOURS, strict=True) if asked]
        axes.plot([min(shares), max(shares)], [row, row], color=PALE_GREY, linewidth=3, zorder=1)
        axes.scatter(
            shares, [row] * len(shares), s=52, c=colours, edgecolors="white", zorder=3, clip_on=False
        )
    names = [
        f"{KINDS[kind].title}\n{robustness.accuracies[robustness.kinds.index(kind)]:.1%}" for kind in order
    ]
    axes.set_yticks(range(len(order)), names)
    axes.get_yticklabels()[0].set_color(VERMILION)
    axes.set_ylim(len(order) - 0.5, -0.5)
    # Whole tenths, with room on the left.
    axes.set_xlim(max(0.0, np.floor(10 * lowest - 0.5) / 10), 1)
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    axes.grid(axis="x", color=PALE_GREY, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        "share that is right: pale for weak, dark for strong; dashed: unchanged", color=INK, fontsize=9
    )


def _join_samples(robustness: Robustness, pictures: Pictures, order: list[str]) -> Pixels:
    """Put one picture, the first that was asked, in every kind and strength, on one sheet: (h, w, 3)."""
    place = int(robustness.places[0])
    pixels = reduce_photo(pictures.pixels(place, grey=isinstance(pictures, PixelPictures)))
    sheet = Image.new("RGB", (CELL * STRENGTHS, CELL * len(order)), "white")
    for row, kind in enumerate(order):
        for column in range(STRENGTHS):
            changed = shrink(corrupt(pixels, kind, column + 1, (robustness.seed, place)), CELL - GAP)
            sample = Image.fromarray(changed)
            # Small ones grow by a whole factor, so that every pixel stays square.
            factor = (CELL - GAP) // max(sample.size)
            sample = sample.resize((sample.width * factor, sample.height * factor), Image.Resampling.NEAREST)
            left, top = column * CELL + (CELL - sample.width) // 2, row * CELL + (CELL - sample.height) // 2
            sheet.paste(sample, (left, top))
    return np.asarray(sheet)
