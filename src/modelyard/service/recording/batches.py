"""What requests left, put together for the process that records."""

from collections.abc import Iterable, Iterator

import numpy as np

from modelyard.inference.predictor import Predictor, Seen
from modelyard.monitoring.tables.schema import ANSWER
from modelyard.service.models.models import ServedVersion
from modelyard.service.recording.answered import Answered, measure_size
from modelyard.service.recording.messages import Batch, Image, describe_version

# Of inputs and pictures in one batch, so that neither process needs much memory for large ones.
BATCH_BYTES = 2_000_000


def make_batches(requests: Iterable[Answered]) -> Iterator[Batch]:
    """Put the images of requests together, by their versions and up to BATCH_BYTES."""
    served: ServedVersion | None = None
    waiting: list[tuple[Answered, Seen]] = []
    size = 0
    for request in requests:
        for seen in request.seen:
            own = measure_size(seen)
            if served is not None and waiting and (size + own > BATCH_BYTES or request.served is not served):
                yield _make_batch(served, waiting)
                waiting, size = [], 0
            served = request.served
            waiting.append((request, seen))
            size += own
    if served is not None and waiting:
        yield _make_batch(served, waiting)


def _make_batch(served: ServedVersion, waiting: list[tuple[Answered, Seen]]) -> Batch:
    return Batch(
        describe_version(served.name, served.version, served.predictor),
        ANSWER,
        [_make_image(request, seen, served.predictor) for request, seen in waiting],
        np.stack([seen.ready for _, seen in waiting]),
        np.stack([seen.scores for _, seen in waiting]),
    )


def _make_image(request: Answered, seen: Seen, predictor: Predictor) -> Image:
    content = seen.image if isinstance(seen.image, bytes | str) else predictor.decode(seen.image)
    return Image(
        request.request_id, request.time_us, seen.place, content, seen.shape, seen.unlikeness, seen.seconds
    )
