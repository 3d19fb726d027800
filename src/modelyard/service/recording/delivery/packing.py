"""What requests left, packed for the process that records: one version's images together."""

import pickle
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelyard.inference.predictor import Seen
from modelyard.service.models.models import ServedVersion
from modelyard.service.recording.answered import Answered, measure_size
from modelyard.service.recording.delivery.messages import Message, Version, describe_version

# Of images that are packed together, so that neither process needs much memory for large ones.
PACKED_BYTES = 2_000_000


class Packed(NamedTuple):
    """Images that one version answered, as they go through the pipe; for the parts see `messages.read`."""

    version: Version
    rows: int
    parts: tuple[bytes | memoryview, ...]


def pack_requests(requests: Iterable[Answered]) -> Iterator[Packed]:
    """Pack the images of requests, by their versions and up to PACKED_BYTES."""
    served: ServedVersion | None = None
    waiting: list[tuple[Answered, Seen]] = []
    size = 0
    for request in requests:
        for seen in request.seen:
            own = measure_size(seen)
            if served is not None and waiting and (size + own > PACKED_BYTES or request.served is not served):
                yield _pack(served, waiting)
                waiting, size = [], 0
            served = request.served
            waiting.append((request, seen))
            size += own
    if served is not None and waiting:
        yield _pack(served, waiting)


def send(pipe: Connection, message: Message | Packed) -> None:
    """Send what `messages.read` reads, as soon as there is room for it; raises OSError if nobody reads it."""
    if isinstance(message, Message):
        pipe.send(message)
        return
    for part in message.parts:
        pipe.send_bytes(part)


def _pack(served: ServedVersion, waiting: list[tuple[Answered, Seen]]) -> Packed:
    version = describe_version(served.name, served.version, served.predictor)
    # The fields of an `Image` each; named tuples take five times as long.
    images = [
        (request.request_id, request.time_us, place, image, shape, unlikeness, seconds)
        for request, (place, image, shape, _, _, unlikeness, seconds) in waiting
    ]
    inputs, scores = [seen.ready for _, seen in waiting], [seen.scores for _, seen in waiting]
    head = pickle.dumps((version, images, inputs[0].shape, scores[0].shape), pickle.HIGHEST_PROTOCOL)
    return Packed(version, len(images), (head, _join(inputs), _join(scores)))


def _join(arrays: list[NDArray[np.float32]]) -> bytes | memoryview:
    """Put arrays together; a single one may be large, and is not copied."""
    return arrays[0].data if len(arrays) == 1 else b"".join([array.data for array in arrays])
