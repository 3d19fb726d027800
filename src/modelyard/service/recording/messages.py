"""What the service and the process that records tell each other; all of it can be pickled."""

import pickle
from collections import Counter
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelyard.inference.bundle import Preprocessing
from modelyard.inference.decoding.structure import Limits
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
    """What the service tells.

    Attributes:
        batch: answers to record.
        labels: rows of the table of labels, with the names of their models.
        dropped: rows that the service could not tell.
        challengers: all that are known, where these have changed.
    """

    batch: Batch | None = None
    labels: tuple[tuple[str, Values], ...] = ()
    dropped: Drops | None = None
    challengers: Challengers | None = None


def send_message(pipe: Connection, message: Message) -> None:
    """Send a message as soon as there is room; its arrays follow it, so that large ones are not copied.

    Raises:
        OSError: nobody reads it.
    """
    arrays: list[pickle.PickleBuffer] = []
    # Named tuples take five times as long as plain ones.
    images = [tuple(image) for image in message.batch.images] if message.batch else []
    plain = message._replace(batch=message.batch and message.batch._replace(images=[]))
    pickled = pickle.dumps((plain, images), pickle.HIGHEST_PROTOCOL, buffer_callback=arrays.append)
    pipe.send((pickled, len(arrays)))
    for array in arrays:
        pipe.send_bytes(array.raw())


def read_message(pipe: Connection) -> Message:
    """Read what `send_message` sent; the arrays cannot be written to.

    Raises:
        EOFError: there are no more, or the last one lacks arrays.
        OSError: the last one was cut off.
    """
    pickled, arrays = pipe.recv()
    message: Message
    message, images = pickle.loads(pickled, buffers=[pipe.recv_bytes() for _ in range(arrays)])  # noqa: S301
    if message.batch is not None:
        message.batch.images.extend(map(Image._make, images))
    return message


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


def find_challenger(batch: Batch, challengers: Challengers) -> Challenger | None:
    """Return the version that answers the same images; beside a former champion, none does."""
    challenger = challengers.get(batch.version.name)
    return challenger if challenger and challenger.champion == batch.version.number else None
