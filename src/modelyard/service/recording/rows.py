"""Rows of the table of answers, made from what requests left."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelyard.inference.decoding.encoded import read_file_bytes
from modelyard.inference.decoding.formats import find_format
from modelyard.inference.decoding.modes import find_mode
from modelyard.inference.input_figures import input_figures
from modelyard.inference.predictor import Predictor, Seen
from modelyard.monitoring.tables.schema import NEXT_LABELS
from modelyard.service.models.models import ServedVersion
from modelyard.service.recording.answered import Answered

ARRAY = "array"
# Of inputs that are measured together, so that little memory is needed for large ones.
PIECE_BYTES = 2_000_000
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


def make_rows(requests: Iterable[Answered]) -> Iterator[Row]:
    """Make a row for each answered image; the figures of a version's images are measured together."""
    for _, group in groupby(requests, lambda request: id(request.served)):
        answered = list(group)
        served = answered[0].served
        assert served is not None  # noqa: S101  # only requests with an answer come here
        images = [(request, seen) for request in answered for seen in request.seen]
        if not images:
            continue
        figures = _measure(served.predictor, [seen.ready for _, seen in images]).tolist()
        ranks = _rank(served.predictor, [seen.scores for _, seen in images])
        for (request, seen), rank, measured in zip(images, ranks, figures, strict=True):
            yield _make_row(request, served, seen, rank, measured)


def _make_row(request: Answered, served: ServedVersion, seen: Seen, rank: Rank, figures: list[float]) -> Row:
    labels, scores = rank
    picture = describe_picture(served.predictor, seen.image)
    values = (
        request.time_us,
        request.request_id,
        seen.place,
        str(served.version),
        request.role,
        labels[0],
        scores[0],
        labels[1:],
        scores[1:],
        seen.seconds * 1000,
        picture.sha256,
        len(picture.file),
        picture.mode,
        seen.shape[1],
        seen.shape[0],
        *figures,
        seen.unlikeness,
    )
    return Row(served.name, values, picture)


def describe_picture(predictor: Predictor, image: Any) -> Picture:
    """Describe an image that was answered: a file, its base64 text, or numbers."""
    if not isinstance(image, bytes | str):
        pixels = predictor.decode(image).tobytes()
        return Picture(hashlib.sha256(pixels).hexdigest(), ARRAY, "", pixels)
    file = read_file_bytes(image, predictor.limits.max_bytes)
    kind = find_format(file)
    assert kind is not None  # noqa: S101  # it was decoded
    return Picture(hashlib.sha256(file).hexdigest(), find_mode(file), kind.suffix, file)


def _rank(predictor: Predictor, scores: list[NDArray[np.float32]]) -> Iterator[Rank]:
    together = np.stack(scores)
    best = predictor.find_best(together, 1 + NEXT_LABELS)
    names = [label.name for label in predictor.bundle.labels]
    for outputs, found in zip(
        best.tolist(), np.take_along_axis(together, best, axis=1).tolist(), strict=True
    ):
        yield [names[output] for output in outputs], found


def _measure(predictor: Predictor, inputs: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    size = max(1, PIECE_BYTES // inputs[0].nbytes)
    pieces = [np.stack(inputs[start : start + size]) for start in range(0, len(inputs), size)]
    return np.concatenate([input_figures(predictor.levels(piece)) for piece in pieces])
