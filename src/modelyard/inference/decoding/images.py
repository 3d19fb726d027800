"""Images from outside become pixels: PNG and JPEG only, limits first, whatever is wrong told by its place."""

import io
import math
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import JpegImagePlugin, PngImagePlugin

from modelyard.inference.decoding.encoded import PNG, EncodingError, read_file_bytes
from modelyard.inference.decoding.jpeg_structure import clean_jpeg
from modelyard.inference.decoding.orientation import find_turn
from modelyard.inference.decoding.pixels import read_pixels
from modelyard.inference.decoding.png_structure import clean_png, read_png_header
from modelyard.inference.decoding.structure import Clean, StructureError

# What is odd in a file is its sender's affair; Pillow would print it for each of them.
warnings.filterwarnings("ignore", module=r"PIL\.")
# RGB of 8 bits; a pixel of more bits, for transparency or of 16 bits, counts as more pixels.
_BITS_A_PIXEL = 24
# An encoder's ten scans go through some 14 samples a pixel, of CMYK 24. So the largest JPEG of CMYK with ten
# scans, like the largest PNG, is decoded within a second by one core of an EPYC without AVX512-VNNI.
_SAMPLES_A_PIXEL = 20


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


@dataclass(frozen=True)
class Limits:
    """What one image may cost.

    Attributes:
        max_bytes: of the file, after base64; checked first.
        max_pixels: width times height in the file's header; checked before anything is decoded. A PNG of
            more than 24 bits a pixel, or a JPEG of many scans, counts as a larger picture: it costs as much.
        max_side: width or height, in pixels. What resizes a picture needs memory for the product of one side
            of it with one of the result.
    """

    max_bytes: int = 10_000_000
    max_pixels: int = 25_000_000
    max_side: int = 32_768


def decode(image: Any, limits: Limits, grey: bool = False, ends_at: float = math.inf) -> NDArray[np.uint8]:
    """Decode a PNG or JPEG, turned upright by its EXIF orientation.

    Transparency is put over white; of 16 bits the upper 8 are kept; an animation gives its first picture.

    Args:
        image: the file's bytes, or its base64 text (see `read_file_bytes`).
        limits: checked before decoding.
        grey: one channel by ITU-R 601 luma, instead of RGB.
        ends_at: `time.monotonic()` at which to give up, looked at between pieces of the work.

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
    return _decode_file(data, limits, grey, ends_at)


def _decode_file(data: bytes, limits: Limits, grey: bool, ends_at: float) -> NDArray[np.uint8]:
    kind = "PNG" if data.startswith(PNG) else "JPEG"
    try:
        clean = _clean_png(data, limits) if kind == "PNG" else _clean_jpeg(data, limits)
        file = _Timed(clean.file, ends_at)
        # The plugins themselves: no other format is tried, and Pillow's own warning about size is not met.
        opened = PngImagePlugin.PngImageFile(file) if kind == "PNG" else JpegImagePlugin.JpegImageFile(file)
        with opened as picture:
            picture.load()
            turn = find_turn(clean.exif)
            return read_pixels(picture if turn is None else picture.transpose(turn), grey, file.check_time)
    except (ImageError, TimeoutError):
        raise
    except StructureError as error:
        raise ImageError(str(error)) from None
    except Exception as error:
        # Pillow raises some ten types for a broken file, SyntaxError among them; all mean the same here.
        raise ImageError(f"a broken or truncated {kind}") from error


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


def _clean_png(data: bytes, limits: Limits) -> Clean:
    header = read_png_header(data)
    _check_size(header.width, header.height, limits)
    if header.width * header.height * header.bits > limits.max_pixels * _BITS_A_PIXEL:
        most = limits.max_pixels * _BITS_A_PIXEL // header.bits
        raise ImageError(
            f"{header.width} x {header.height} pixels of {header.bits} bits, at most {most} are allowed"
        )
    return clean_png(data, header)


def _clean_jpeg(data: bytes, limits: Limits) -> Clean:
    frame, samples, clean = clean_jpeg(data)
    _check_size(frame.width, frame.height, limits)
    if samples > limits.max_pixels * _SAMPLES_A_PIXEL:
        most = limits.max_pixels * _SAMPLES_A_PIXEL
        raise ImageError(f"{samples} samples in all its scans, at most {most} are allowed")
    return clean


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise ImageError(f"{width} x {height} pixels, at most {limits.max_pixels} are allowed")
    if max(width, height) > limits.max_side:
        raise ImageError(f"{width} x {height} pixels, at most {limits.max_side} a side are allowed")
