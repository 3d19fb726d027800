"""Which requests are answered on the event loop, and which in a thread.

A small network answers a small image in 0.1 ms, less than handing it to a thread and back takes. Anything
that might take longer must not delay other requests.
"""

import binascii
import math
from typing import Any

import numpy as np

from modelyard.inference.decoding.formats import PNG
from modelyard.inference.fits import SLOW
from modelyard.inference.predictor import Predictor
from modelyard.inference.runtime.processors import SMALL_BYTES

# Also bounds what a PNG may hold beside its pixels: some thousand empty chunks.
_MOST_BODY_BYTES = 16_384
_MOST_IMAGES = 4
# Of all images together: as many as are decoded and resized in a millisecond.
_MOST_PIXELS = 16_384
# A slow fit takes a millisecond for one image of a digit's size.
_MOST_SLOW_IMAGES, _MOST_SLOW_PIXELS = 1, 1_024
# Each row costs as much as some hundred pixels.
_MOST_SIDE = 512
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def is_quick(predictor: Predictor, images: list[Any], body_bytes: int) -> bool:
    """Return whether a request is sure to be answered within about a millisecond."""
    slow = predictor.bundle.preprocessing.fit in SLOW
    most_images, most_pixels = (
        (_MOST_SLOW_IMAGES, _MOST_SLOW_PIXELS) if slow else (_MOST_IMAGES, _MOST_PIXELS)
    )
    return (
        predictor.bundle.size_bytes < SMALL_BYTES
        and body_bytes <= _MOST_BODY_BYTES
        and len(images) <= most_images
        and sum(map(_count_pixels, images)) <= most_pixels
    )


def _count_pixels(image: Any) -> float:
    """Return an image's number of pixels, or infinity unless it is sure to be small.

    A PNG has its size in its first 24 bytes; a JPEG would have to be searched, so it goes to a thread.
    """
    if isinstance(image, str):
        head = image[:32].encode("ascii", "replace")
    elif isinstance(image, bytes):
        head = image[:32]
    elif isinstance(image, np.ndarray):
        return image.size
    else:
        # The numbers of a whole body are read in a millisecond.
        return 0 if isinstance(image, list | int | float | None) else math.inf
    if not head.startswith(PNG.magic):
        try:
            head = binascii.a2b_base64(head.translate(_URL_SAFE))
        except binascii.Error:
            return math.inf
    if len(head) < 24 or not head.startswith(PNG.magic):
        return math.inf
    width, height = int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
    return width * height if max(width, height) <= _MOST_SIDE else math.inf
