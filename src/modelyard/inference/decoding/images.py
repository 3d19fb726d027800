"""Decodes PNG and JPEG files from outside. Limits are checked first, and errors give the image's index."""

import io
import math
import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.inference.decoding.encoded import read_file_bytes
from modelyard.inference.decoding.formats import find_format
from modelyard.inference.decoding.orientation import find_turn
from modelyard.inference.decoding.pixels import read_pixels
from modelyard.inference.decoding.structure import ImageError as ImageError
from modelyard.inference.decoding.structure import Limits as Limits

# Pillow would print a warning for each odd file, which only its sender can mend.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode(
    image: Any, limits: Limits, grey: bool = False, ends_at: float = math.inf, drawing: bool = False
) -> NDArray[np.uint8]:
    """Decode a PNG or JPEG, turned upright by its EXIF orientation.

    Transparent pixels are blended with white, 16-bit levels keep their upper 8 bits, and an animation gives
    its first picture. `image` is the file's bytes, or its base64 text (see `read_file_bytes`); for `grey` and
    `drawing` see `read_pixels`. Returns uint8 (h, w), or (h, w, 3) in RGB.

    Raises ImageError, with the index 0, for anything but a complete PNG or JPEG within the limits, and
    TimeoutError past `ends_at`, a `time.monotonic()` that is checked between pieces of the work.
    """
    if isinstance(image, bytearray | memoryview):
        image = bytes(image)
    if not isinstance(image, bytes | str):
        raise ImageError(f"expected bytes or base64 text, got {type(image).__name__}")
    data = read_file_bytes(image, limits.max_bytes)
    kind = find_format(data)
    assert kind is not None  # noqa: S101  # `read_file_bytes` lets nothing else through
    try:
        clean = kind.clean(data, limits)
        file = _Timed(clean.file, ends_at)
        with kind.open(file) as picture:
            picture.load()
            turn = find_turn(clean.exif)
            upright = picture if turn is None else picture.transpose(turn)
            return read_pixels(upright, grey, file.check_time, drawing)
    except (TimeoutError, ImageError):
        raise
    except Exception as error:
        # Pillow raises some ten types for a broken file, SyntaxError among them; all mean the same here.
        raise ImageError(f"a broken or truncated {kind.name}") from error


class _Timed(io.BytesIO):
    """A file that a decoder reads in pieces, until a deadline."""

    def __init__(self, content: bytes, ends_at: float) -> None:
        super().__init__(content)
        self._ends_at = ends_at

    def read(self, size: int | None = -1) -> bytes:
        self.check_time()
        return super().read(size)

    def check_time(self) -> None:
        if time.monotonic() > self._ends_at:
            raise TimeoutError
