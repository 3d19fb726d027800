"""One picture of several models' answers: every sample image with its answer below, right or wrong."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.plots.charts import BLUE, GREY, INK, VERMILION, picture, shorten
from modelyard.plots.gallery import AnsweredPicture
from modelyard.plots.thumbnails import shrink

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 5
CELL_IN, PICTURE_IN, MARGIN_IN = 2.0, 1.8, 0.15
TITLE_IN, CAPTION_IN, GAP_IN = 0.45, 0.62, 0.12
LONGEST_LABEL = 22
SIDE = 320
# The least score of a second answer that is shown, and the highest that is written in full.
LEAST_SHARE, MOST_SHARE = 0.001, 0.9999


def plot_contact_sheet(path: Path, sections: Sequence[tuple[str, Sequence[AnsweredPicture]]]) -> None:
    """Draw each section's images in rows of five under its title, one section for each model."""
    sheets = [(title, list(_lay_out(pictures))) for title, pictures in sections]
    height_in = sum(TITLE_IN + sum(height for height, _ in lines) for _, lines in sheets) + MARGIN_IN
    width_in = COLUMNS * CELL_IN + 2 * MARGIN_IN
    with picture(path, width_in, height_in, arranged=False) as figure:
        below = height_in
        for title, lines in sheets:
            below -= TITLE_IN
            figure.text(MARGIN_IN / width_in, (below + 0.12) / height_in, title, fontsize=12, weight="bold")
            for line_in, pictures in lines:
                for column, one in enumerate(pictures):
                    _draw(figure, one, MARGIN_IN + column * CELL_IN, below, line_in)
                below -= line_in


def _lay_out(pictures: Sequence[AnsweredPicture]) -> Iterator[tuple[float, Sequence[AnsweredPicture]]]:
    """Yield each row with its height in inches, that of its tallest picture."""
    for start in range(0, len(pictures), COLUMNS):
        line = pictures[start : start + COLUMNS]
        yield max(_measure(one)[1] for one in line) + CAPTION_IN + GAP_IN, line


def _measure(one: AnsweredPicture) -> tuple[float, float]:
    """Return width and height in inches."""
    height, width = one.pixels.shape[:2]
    return PICTURE_IN * width / max(height, width), PICTURE_IN * height / max(height, width)


def _draw(figure: "Figure", one: AnsweredPicture, left_in: float, top_in: float, line_in: float) -> None:
    (width_in, height_in), (whole_in, high_in) = _measure(one), figure.get_size_inches()
    bottom_in = top_in - (line_in - CAPTION_IN - GAP_IN)
    place = (left_in + (PICTURE_IN - width_in) / 2, bottom_in, width_in, height_in)
    axes = figure.add_axes((place[0] / whole_in, place[1] / high_in, place[2] / whole_in, place[3] / high_in))
    axes.imshow(shrink(one.pixels, SIDE), cmap="gray", vmin=0, vmax=255, aspect="auto")
    axes.set_axis_off()
    best, *others = one.answers
    mark, colour = "", INK
    if one.label is not None:
        mark, colour = (" ✓", BLUE) if best["label"] == one.label else (f" ✗ not {one.label}", VERMILION)
    middle = (left_in + PICTURE_IN / 2) / whole_in
    lines = [
        (0.07, f"{shorten(best['label'], LONGEST_LABEL)}{mark}", 12, colour, "bold"),
        (0.29, show_share(best["score"]), 8.5, INK, "normal"),
    ]
    if others and others[0]["score"] >= LEAST_SHARE:
        second = f"then {shorten(others[0]['label'], LONGEST_LABEL)}, {show_share(others[0]['score'])}"
        lines.append((0.45, second, 7.5, GREY, "normal"))
    for below_in, text, size, ink, weight in lines:
        above = (bottom_in - below_in) / high_in
        figure.text(middle, above, text, ha="center", va="top", fontsize=size, color=ink, weight=weight)


def show_share(score: float) -> str:
    """Write a score in per cent, but never 100 %."""
    return f"> {MOST_SHARE:.2%}" if score > MOST_SHARE else f"{score:.2%}"
