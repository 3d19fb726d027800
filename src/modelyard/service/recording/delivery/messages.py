"""What the service and the process that records tell each other.

The service sends it with `packing`, which the process that records does not import: it needs no models.
"""

from collections import Counter
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelyard.inference.bundle import Preprocessing
from modelyard.inference.decoding.structure import Limits
from modelyard.monitoring.tables.schema import ANSWER
from modelyard.monitoring.tables.writing import Values

if TYPE_CHECKING:
    from modelyard.inference.predictor import Predictor

# Rows by their kind and by the reason why they are missing.
Drops = Counter[tuple[str, str]]


class Version(NamedTuple):
    """A version that answered, without its network: its outputs' names, and the limits of its images."""

    name: str
    number: int
    labels: tuple[str | None, ...]
    preprocessing: Preprocessing
    limits: Limits


class Image(NamedTuple):
    """An answered image.

    Attributes:
        request_id: of the answer.
        time_us: when it was given, in microseconds since 1970.
        place: in the request, from 0.
        content: a file, its base64 text, or pixels, uint8 (h, w) or (h, w, 3).
        shape: of its pixels, (h, w) or (h, w, 3).
        unlikeness: see `inference.runtime.interpreters.Given`.
        seconds: from the image to its scores.
    """

    request_id: str
    time_us: int
    place: int
    content: bytes | str | NDArray[np.uint8]
    shape: tuple[int, ...]
    unlikeness: float | None
    seconds: float


class Batch(NamedTuple):
    """Images that one version answered; `inputs` float32 (n, h, w, c), `scores` float32 (n, outputs)."""

    version: Version
    role: str
    images: list[Image]
    inputs: NDArray[np.float32]
    scores: NDArray[np.float32]

    @property
    def size(self) -> int:
        """The bytes that it takes."""
        contents = (image.content for image in self.images)
        own = sum(one.nbytes if isinstance(one, np.ndarray) else len(one) for one in contents)
        return self.inputs.nbytes + self.scores.nbytes + own


class Challenger(NamedTuple):
    """The version that answers beside a champion: the champion's number, its own, and its bundle."""

    champion: int
    number: int
    folder: Path


# By the names of models; None where nothing answers beside the champion.
Challengers = Mapping[str, Challenger | None]


class Message(NamedTuple):
    """What the service tells beside answers.

    Attributes:
        labels: rows of the table of labels, with the names of their models.
        dropped: rows that the service could not tell.
        challengers: all that are known, where these have changed.
    """

    labels: tuple[tuple[str, Values], ...] = ()
    dropped: Drops | None = None
    challengers: Challengers | None = None


# The last message of a service that ends in order.
END = Message()


def read(pipe: Connection) -> Message | Batch:
    """Read what came next: a pickled message, or answers in three parts: what is pickled, and two arrays.

    The arrays cannot be written to. Raises EOFError if there are no more, or the last one lacks parts, and
    OSError if the last one was cut off.
    """
    told = pipe.recv()
    if isinstance(told, Message):
        return told
    version, images, *shapes = told
    inputs, scores = (
        np.frombuffer(pipe.recv_bytes(), np.float32).reshape(len(images), *shape) for shape in shapes
    )
    return Batch(version, ANSWER, list(map(Image._make, images)), inputs, scores)


class Status(NamedTuple):
    """What the process that records tells.

    Attributes:
        problem: why nothing can be written, in words of our own; "" while all is well.
        is_full: whether there is no room for another row.
        settled: by their kinds, rows that were written, or dropped and counted.
    """

    problem: str = ""
    is_full: bool = False
    settled: Mapping[str, int] | None = None


def describe_version(name: str, number: int, predictor: "Predictor") -> Version:
    """Describe a version without its network."""
    bundle = predictor.bundle
    labels = tuple(label.name for label in bundle.labels)
    return Version(name, number, labels, bundle.preprocessing, predictor.limits)


def find_challenger(version: Version, challengers: Challengers) -> Challenger | None:
    """Return the version that answers the same images as another; beside a former champion, none does."""
    challenger = challengers.get(version.name)
    return challenger if challenger and challenger.champion == version.number else None
