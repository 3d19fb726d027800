"""Which requests are answered on the event loop at once, and which in a thread.

A small network answers a small image in 0.1 ms, which is less than the way to a thread and back. Whatever
might take longer must not hold up the others.
"""

import binascii
from typing import Any

from modelyard.inference.encoded import PNG
from modelyard.inference.predictor import SMALL_BYTES, Predictor

# Also of what a PNG may hold beside its pixels, packed.
_MOST_BODY_BYTES = 16_384
_MOST_IMAGES = 4
_MOST_PIXELS = 262_144
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def is_quick(predictor: Predictor, images: list[Any], body_bytes: int) -> bool:
    """Say whether a request is sure to be answered within about a millisecond."""
    return (
        predictor.bundle.size_bytes < SMALL_BYTES
        and body_bytes <= _MOST_BODY_BYTES
        and len(images) <= _MOST_IMAGES
        and all(_is_small(image) for image in images)
    )


def _is_small(image: Any) -> bool:
    """A PNG says its pixels in its first 24 bytes; a JPEG would have to be searched, and goes to a thread."""
    if isinstance(image, str):
        head = image[:32].encode("ascii", "replace")
    elif isinstance(image, bytes):
        head = image[:32]
    else:
        return isinstance(image, list | int | float | None)
    if not head.startswith(PNG):
        try:
            head = binascii.a2b_base64(head.translate(_URL_SAFE))
        except binascii.Error:
            return False
    if len(head) < 24 or not head.startswith(PNG):
        return False
    pixels = int.from_bytes(head[16:20]) * int.from_bytes(head[20:24])
    return pixels <= _MOST_PIXELS
