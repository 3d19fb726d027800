"""Rows of the table of answers, as the service would record what a small network says to digits."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from drawn_digits import PEN, STROKES
from modelyard.evaluation.reference import Reference, make_reference
from modelyard.inference.input_figures import input_figures
from modelyard.monitoring.tables.places import Place
from modelyard.monitoring.tables.schema import ANSWERS, LABELS, make_schema
from modelyard.monitoring.tables.writing import write_rows

CLASSES = tuple(map(str, range(10)))
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Answered:
    """What the network says to levels (n, 28, 28) with these labels (n,)."""

    levels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    @functools.cached_property
    def probabilities(self) -> NDArray[np.float32]:
        return answer(self.levels)

    @functools.cached_property
    def figures(self) -> NDArray[np.float32]:
        return input_figures(self.levels[..., None])

    @functools.cached_property
    def unlikeness(self) -> NDArray[np.float32]:
        """The distance to the nearest class, as a share of what is far."""
        return np.float32(1 - np.exp(-measure_distances(self.levels).min(axis=1) / 40))

    def take(self, places: NDArray[Any]) -> "Answered":
        taken = Answered(self.levels[places], self.labels[places])
        # The network need not be asked again.
        for name in ("probabilities", "figures", "unlikeness"):
            vars(taken)[name] = getattr(self, name)[places]
        return taken

    def reference(self) -> Reference:
        return make_reference(self.probabilities, self.figures, CLASSES, self.unlikeness)


@functools.cache
def home_writers(count: int = 4000) -> Answered:
    """Digits of the hand that the network knows: light on dark, a little turned and shifted."""
    random = np.random.default_rng(7)
    labels = np.arange(count) % 10
    return Answered(np.stack([_draw(int(label), random) for label in labels]), labels)


@functools.cache
def other_writers() -> Answered:
    """The 1,797 digits of scikit-learn, by people the network has never seen."""
    from sklearn.datasets import load_digits

    scanned = load_digits()
    grey = [Image.fromarray((image * 255 / 16).astype(np.uint8)) for image in scanned.images]
    resized = [np.asarray(each.resize((20, 20), Image.Resampling.BILINEAR)) for each in grey]
    return Answered(np.stack([np.pad(each, 4) for each in resized]), scanned.target.astype(np.int64))


def blur(answered: Answered) -> Answered:
    pictures = [
        np.asarray(Image.fromarray(each).filter(ImageFilter.GaussianBlur(1.5))) for each in answered.levels
    ]
    return Answered(np.stack(pictures), answered.labels)


def invert(answered: Answered, share: float) -> Answered:
    inverted = np.arange(len(answered.labels)) < share * len(answered.labels)
    levels = np.where(inverted[:, None, None], 255 - answered.levels, answered.levels)
    return Answered(levels.astype(np.uint8), answered.labels)


def answer(levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Answer as a network that compares a picture with the mean of each class."""
    distances = measure_distances(levels)
    powers = np.exp(-(distances - distances.min(axis=1, keepdims=True)) / 8)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def measure_distances(levels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the squared distance to the mean of each class, (n, 10)."""
    flat, known = levels.reshape(len(levels), -1) / 255, class_means()
    distances: NDArray[np.float64] = ((flat[:, None] - known) ** 2).sum(axis=2)
    return distances


@functools.cache
def class_means() -> NDArray[np.float64]:
    random = np.random.default_rng(1)
    drawn = [[_draw(digit, random) for _ in range(40)] for digit in range(10)]
    means: NDArray[np.float64] = np.array(drawn).reshape(10, 40, -1).mean(axis=1) / 255
    return means


def _draw(digit: int, random: np.random.Generator) -> NDArray[np.uint8]:
    picture = Image.new("L", (280, 280))
    pen = ImageDraw.Draw(picture)
    pen.line(STROKES[digit], fill=255, width=PEN + int(random.integers(-6, 7)), joint="curve")
    small = picture.reduce(5)
    turned = small.rotate(random.normal(0, 7), translate=tuple(random.integers(-3, 4, 2).tolist()))
    return np.asarray(turned.reduce(2))


def make_rows(
    answered: Answered,
    version: str = "1",
    role: str = "answer",
    start: datetime = NOON,
    prefix: str = "request",
) -> list[tuple[Any, ...]]:
    """Return a row of the table for each answer, a second apart; a request's id is `prefix` and its place."""
    ranked = np.argsort(-answered.probabilities, axis=1, kind="stable")[:, :5]
    rows = []
    for place, order in enumerate(ranked):
        names, scores = [CLASSES[one] for one in order], answered.probabilities[place, order].tolist()
        rows.append(
            (
                (start + timedelta(seconds=place) - _EPOCH) // timedelta(microseconds=1),
                f"{prefix}-{place}",
                *(0, version, role, names[0], scores[0], names[1:], scores[1:]),
                *(0.1, f"{place:064x}", 300, "L", 28, 28),
                *answered.figures[place].tolist(),
                float(answered.unlikeness[place]),
            )
        )
    return rows


def make_table(rows: Sequence[tuple[Any, ...]]) -> Any:
    """Return rows of answers as a pyarrow table."""
    import pyarrow

    schema = make_schema(ANSWERS)
    columns = [
        pyarrow.array(column, kind.type) for column, kind in zip(zip(*rows, strict=True), schema, strict=True)
    ]
    return pyarrow.Table.from_arrays(columns, schema=schema)


def record(place: Place, rows: Sequence[tuple[Any, ...]], model: str = "mnist") -> list[str]:
    """Write rows of answers as the service does; return the parts."""
    return write_rows(place, ANSWERS, model, rows)


def label(
    place: Place, labels: Sequence[str], at: datetime = NOON, prefix: str = "request", model: str = "mnist"
) -> None:
    """Give a label to each of the first answers."""
    time = (at - _EPOCH) // timedelta(microseconds=1)
    rows = [(time, f"{prefix}-{place}", 0, "", "", one, "feedback") for place, one in enumerate(labels)]
    write_rows(place, LABELS, model, rows)
