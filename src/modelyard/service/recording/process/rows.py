"""Rows of the table of answers."""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelyard.inference.decoding.encoded import read_file_bytes
from modelyard.inference.decoding.formats import find_format
from modelyard.inference.input_figures import input_figures
from modelyard.inference.ranking import find_best, find_named
from modelyard.monitoring.tables.schema import NEXT_LABELS
from modelyard.service.recording.delivery.messages import Batch, Image

ARRAY = "array"
# Labels, best first, and their scores.
Rank = tuple[list[str | None], list[float]]


class Picture(NamedTuple):
    """What a row says of the picture itself; without a file, `suffix` is "" and `file` holds the pixels."""

    sha256: str
    mode: str
    suffix: str
    file: bytes


class Row(NamedTuple):
    """A row with its model and its picture; `values` are in the order of the table's columns."""

    model: str
    values: tuple[Any, ...]
    picture: Picture


def make_rows(batch: Batch) -> list[Row]:
    """Make a row for each image."""
    figures = input_figures(batch.version.preprocessing.levels(batch.inputs)).tolist()
    ranked = zip(batch.images, _rank(batch), figures, strict=True)
    return [_make_row(batch, image, rank, measured) for image, rank, measured in ranked]


def _make_row(batch: Batch, image: Image, rank: Rank, figures: list[float]) -> Row:
    labels, scores = rank
    picture = describe_picture(image.content, batch.version.limits.max_bytes)
    values = (
        image.time_us,
        image.request_id,
        image.place,
        str(batch.version.number),
        batch.role,
        labels[0],
        scores[0],
        labels[1:],
        scores[1:],
        image.seconds * 1000,
        picture.sha256,
        len(picture.file),
        picture.mode,
        image.shape[1],
        image.shape[0],
        *figures,
        image.unlikeness,
    )
    return Row(batch.version.name, values, picture)


def describe_picture(content: bytes | str | NDArray[np.uint8], max_bytes: int) -> Picture:
    """Describe an image that was answered: a file, its base64 text, or pixels."""
    if isinstance(content, np.ndarray):
        pixels = content.tobytes()
        return Picture(hashlib.sha256(pixels).hexdigest(), ARRAY, "", pixels)
    file = read_file_bytes(content, max_bytes)
    kind = find_format(file)
    assert kind is not None  # noqa: S101  # it was decoded
    return Picture(hashlib.sha256(file).hexdigest(), kind.find_mode(file), kind.suffix, file)


def _rank(batch: Batch) -> Iterator[Rank]:
    names = batch.version.labels
    best = find_best(batch.scores, find_named(names), 1 + NEXT_LABELS)
    scores = np.take_along_axis(batch.scores, best, axis=1)
    for outputs, found in zip(best.tolist(), scores.tolist(), strict=True):
        yield [names[output] for output in outputs], found
