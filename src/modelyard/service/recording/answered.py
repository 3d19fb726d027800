"""What a request leaves to be recorded."""

from dataclasses import dataclass, field

import numpy as np

from modelyard.inference.predictor import Seen
from modelyard.service.models.models import ServedVersion

# Of one request: 60 photos at a network's size; rows beyond are dropped, and counted.
MOST_BYTES = 64_000_000


@dataclass(slots=True)
class Answered:
    """The images of one request with their answers, kept by the predictor's calls.

    Attributes:
        time_us: when it was given, in microseconds since 1970.
        seen: the images, in the order of the request; those that cannot be read are left out.
        size: of all that is kept here, in bytes.
        dropped: images that were answered but not kept: too much for one request.
    """

    request_id: str = ""
    time_us: int = 0
    served: ServedVersion | None = None
    seen: list[Seen] = field(default_factory=list)
    size: int = 0
    dropped: int = 0

    def keep(self, seen: Seen | None) -> None:
        """Keep an image with its answer; None is one that cannot be read."""
        if seen is None:
            return
        size = measure_size(seen)
        if self.size + size > MOST_BYTES:
            self.dropped += 1
            return
        self.size += size
        self.seen.append(seen)


def measure_size(seen: Seen) -> int:
    """Return the bytes that an image takes, with its input and its scores."""
    image = seen.image
    own = image.nbytes if isinstance(image, np.ndarray) else len(image)
    return seen.ready.nbytes + seen.scores.nbytes + own
