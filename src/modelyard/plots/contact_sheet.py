"""One picture of models' answers: every sample image with its answer below, right or wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from modelyard.plots.charts import BLUE, DPI, GREY, INK, VERMILION, picture, shorten
from modelyard.plots.thumbnails import shrink

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_COLUMNS = 5
WIDTH_IN, TALLEST_IN, MARGIN_IN = 10.0, 3.2, 0.15
TITLE_IN, GAP_IN = 0.45, 0.2
# Below an image: its answer, its score, and each runner-up.
ANSWER_IN, SCORE_IN, LINE_IN = 0.08, 0.36, 0.17
LARGEST, LEAST_LARGE, TITLE, SMALL, SMALLEST = 16.0, 10.0, 12.0, 9.0, 8.0  # points
LETTER_IN = 0.0088  # for each point
SIDE = 512
# The least score of a runner-up that is shown, and the highest score that is written in full.
LEAST_SHARE, MOST_SHARE = 0.001, 0.9999


@dataclass(frozen=True)
class AnsweredPicture:
    """A picture with its answers."""

    name: str
    pixels: npt.NDArray[np.uint8]  # (h, w), grey, or (h, w, 3)
    # As `Predictor.predict` ranks them: each with `label` and `score`, best first.
    answers: Sequence[dict[str, Any]]
    label: str | None = None  # the right answer, or None if it is unknown


Section: TypeAlias = tuple[str, Sequence[AnsweredPicture]]


@dataclass(frozen=True)
class _Row:
    title: str  # above it, or none
    pictures: Sequence[AnsweredPicture]
    cell_in: float  # the width of each
    runners_up: int

    @property
    def pictures_in(self) -> float:
        """The height of the tallest picture."""
        return max(self.measure(one)[1] for one in self.pictures)

    @property
    def height_in(self) -> float:
        """The height of it all."""
        others = max(len(self.others(one)) for one in self.pictures)
        caption_in = SCORE_IN + LINE_IN * (1 + others)
        return TITLE_IN * bool(self.title) + self.pictures_in + caption_in + GAP_IN

    def measure(self, one: AnsweredPicture) -> tuple[float, float]:
        """Return width and height of a picture."""
        height, width = one.pixels.shape[:2]
        scale = min((self.cell_in - GAP_IN) / width, TALLEST_IN / height)
        return width * scale, height * scale

    def others(self, one: AnsweredPicture) -> Sequence[dict[str, Any]]:
        """Return the runners-up that are worth a line."""
        return [other for other in one.answers[1 : 1 + self.runners_up] if other["score"] >= LEAST_SHARE]


def plot_contact_sheet(
    path: Path,
    sections: Sequence[Section],
    runners_up: int = 1,
    width_in: float = WIDTH_IN,
    columns: int = MOST_COLUMNS,
    dpi: int = DPI,
) -> None:
    """Draw each section's images under its title, each with its answer and at most `runners_up` others.

    A few images are drawn large, many in rows of at most `columns`. A runner-up with a score below 0.1 % is
    left out.
    """
    rows = [row for section in sections for row in _lay_out(*section, runners_up, width_in, columns)]
    height_in = sum(row.height_in for row in rows) + MARGIN_IN
    with picture(path, width_in + 2 * MARGIN_IN - GAP_IN, height_in, arranged=False, dpi=dpi) as figure:
        top_in = height_in
        for row in rows:
            _draw_row(figure, row, top_in)
            top_in -= row.height_in


def count_right(pictures: Sequence[AnsweredPicture]) -> str:
    """Say in the end of a title how many answers are right: `: 10 of 10 right`; nothing without labels."""
    known = [one for one in pictures if one.label is not None]
    right = sum(one.answers[0]["label"] == one.label for one in known)
    return f": {right} of {len(known)} right" if known else ""


def show_share(score: float) -> str:
    """Write a score in per cent, but never 100 %."""
    return f"> {100 * MOST_SHARE:.2f} %" if score > MOST_SHARE else f"{100 * score:.2f} %"


def _lay_out(
    title: str, pictures: Sequence[AnsweredPicture], runners_up: int, width_in: float, most: int
) -> Iterator[_Row]:
    """Yield as few rows as possible, and as even."""
    rows = -(-len(pictures) // most)
    columns = -(-len(pictures) // max(1, rows))
    for start in range(0, len(pictures), max(1, columns)):
        line = pictures[start : start + columns]
        yield _Row("" if start else title, line, width_in / columns, runners_up)


def _draw_row(figure: "Figure", row: _Row, top_in: float) -> None:
    whole_in, high_in = figure.get_size_inches()
    if row.title:
        above = (top_in - 0.15) / high_in
        figure.text(MARGIN_IN / whole_in, above, row.title, fontsize=TITLE, weight="bold", va="top")
        top_in -= TITLE_IN
    bottom_in = top_in - row.pictures_in
    for place, one in enumerate(row.pictures):
        width_in, height_in = row.measure(one)
        middle_in = MARGIN_IN + place * row.cell_in + (row.cell_in - GAP_IN) / 2
        left = (middle_in - width_in / 2) / whole_in
        axes = figure.add_axes((left, bottom_in / high_in, width_in / whole_in, height_in / high_in))
        axes.imshow(shrink(one.pixels, SIDE), cmap="gray", vmin=0, vmax=255, aspect="auto")
        axes.set_axis_off()
        for below_in, text, size, ink, weight in _caption(one, row.others(one), row.cell_in - GAP_IN):
            place_in = middle_in / whole_in, (bottom_in - below_in) / high_in
            figure.text(*place_in, text, ha="center", va="top", fontsize=size, color=ink, weight=weight)


def _caption(
    one: AnsweredPicture, others: Sequence[dict[str, Any]], width_in: float
) -> Iterator[tuple[float, str, float, str, str]]:
    """Yield each line: how far below the picture, its text, its size in points, its colour and weight."""
    best, mark, colour, score = one.answers[0], "", INK, show_share(one.answers[0]["score"])
    if one.label is not None:
        right = best["label"] == one.label
        mark, colour = (" ✓", BLUE) if right else (" ✗", VERMILION)
        score += "" if right else f", not {one.label}"
    large = min(LARGEST, max(LEAST_LARGE, width_in / LETTER_IN / len(best["label"] + mark)))
    most = int(width_in / LETTER_IN / large) - len(mark)
    yield ANSWER_IN, shorten(best["label"], most) + mark, large, colour, "bold"
    yield SCORE_IN, shorten(score, int(width_in / LETTER_IN / SMALL)), SMALL, INK, "normal"
    for line, other in enumerate(others, 1):
        before, after = "then ", f", {show_share(other['score'])}"
        most = int(width_in / LETTER_IN / SMALLEST) - len(before + after)
        text = before + shorten(other["label"], most) + after
        yield SCORE_IN + LINE_IN * line, text, SMALLEST, GREY, "normal"
