"""Images from outside become pixels: PNG and JPEG only, limits first, whatever is wrong told by its place."""

import io
import math
import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.inference.decoding.encoded import EncodingError, read_file_bytes
from modelyard.inference.decoding.formats import find_format
from modelyard.inference.decoding.orientation import find_turn
from modelyard.inference.decoding.pixels import read_pixels
from modelyard.inference.decoding.structure import Limits as Limits
from modelyard.inference.decoding.structure import StructureError

# What is odd in a file is its sender's affair; Pillow would print it for each of them.
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageError(ValueError):
    """An image cannot be read.

    Attributes:
        index: its place in the batch, from 0.
        reason: one line, without anything of the image in it.
    """

    def __init__(self, reason: str, index: int = 0) -> None:
        super().__init__(f"image {index}: {reason}")
        self.index = index
        self.reason = reason

    def at(self, index: int) -> "ImageError":
        """Return the same error for another place."""
        return ImageError(self.reason, index)


def decode(
    image: Any, limits: Limits, grey: bool = False, ends_at: float = math.inf, drawing: bool = False
) -> NDArray[np.uint8]:
    """Decode a PNG or JPEG, turned upright by its EXIF orientation.

    Transparency is put over white; of 16 bits the upper 8 are kept; an animation gives its first picture.

    Args:
        image: the file's bytes, or its base64 text (see `read_file_bytes`).
        limits: checked before decoding.
        grey: one channel by ITU-R 601 luma, instead of RGB.
        ends_at: `time.monotonic()` at which to give up, looked at between pieces of the work.
        drawing: of a grey picture that is blank over white, the transparency (see `pixels.read_pixels`).

    Returns:
        uint8 (h, w), or (h, w, 3) in RGB.

    Raises:
        ImageError: anything else than a whole PNG or JPEG within the limits; its index is 0.
        TimeoutError: it is past `ends_at`.
    """
    if isinstance(image, bytearray | memoryview):
        image = bytes(image)
    if not isinstance(image, bytes | str):
        raise ImageError(f"expected bytes or base64 text, got {type(image).__name__}")
    try:
        data = read_file_bytes(image, limits.max_bytes)
    except EncodingError as error:
        raise ImageError(str(error)) from None
    return _decode_file(data, limits, grey, ends_at, drawing)


def _decode_file(data: bytes, limits: Limits, grey: bool, ends_at: float, drawing: bool) -> NDArray[np.uint8]:
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
    except TimeoutError:
        raise
    except StructureError as error:
        raise ImageError(str(error)) from None
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
