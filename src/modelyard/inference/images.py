"""Images from outside become pixels: PNG and JPEG only, limits first, whatever is wrong told by its place."""

import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin

from modelyard.inference.encoded import PNG, EncodingError, read_file_bytes
from modelyard.inference.structure import StructureError, check_jpeg, check_png, read_png_size

# What is odd in a file is its sender's affair; Pillow would print it for each of them.
warnings.filterwarnings("ignore", module=r"PIL\.")
ORIENTATION = 0x0112
# EXIF's eight orientations, and what turns each upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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
        max_pixels: width times height in the file's header; checked before anything is decoded.
    """

    max_bytes: int = 10_000_000
    max_pixels: int = 25_000_000


def decode(image: Any, limits: Limits, grey: bool = False) -> NDArray[np.uint8]:
    """Decode a PNG or JPEG, turned upright by its EXIF orientation.

    Transparency is put over white; of 16 bits the upper 8 are kept; an animation gives its first picture.

    Args:
        image: the file's bytes, or its base64 text (see `read_file_bytes`).
        limits: checked before decoding.
        grey: one channel by ITU-R 601 luma, instead of RGB.

    Returns:
        uint8 (h, w), or (h, w, 3) in RGB.

    Raises:
        ImageError: anything else than a whole PNG or JPEG within the limits; its index is 0.
    """
    if isinstance(image, bytearray | memoryview):
        image = bytes(image)
    if not isinstance(image, bytes | str):
        raise ImageError(f"expected bytes or base64 text, got {type(image).__name__}")
    try:
        data = read_file_bytes(image, limits.max_bytes)
    except EncodingError as error:
        raise ImageError(str(error)) from None
    return _decode_file(data, limits.max_pixels, grey)


def _decode_file(data: bytes, max_pixels: int, grey: bool) -> NDArray[np.uint8]:
    kind = "PNG" if data.startswith(PNG) else "JPEG"
    try:
        picture = _open_png(data, max_pixels) if kind == "PNG" else _open_jpeg(data, max_pixels)
        with picture:
            picture.load()
            return np.asarray(_turn_upright(_convert(picture, grey), picture))
    except ImageError:
        raise
    except StructureError as error:
        raise ImageError(str(error)) from None
    except Exception as error:
        # Pillow raises some ten types for a broken file, SyntaxError among them; all mean the same here.
        raise ImageError(f"a broken or truncated {kind}") from error


# The two plugins themselves: no other format is tried, and Pillow's own warning about size is not met.


def _open_png(data: bytes, max_pixels: int) -> Image.Image:
    _check_pixels(read_png_size(data), max_pixels)
    check_png(data)
    return PngImagePlugin.PngImageFile(io.BytesIO(data))


def _open_jpeg(data: bytes, max_pixels: int) -> Image.Image:
    # Its segments come before its size, and may be made to take an hour.
    check_jpeg(data)
    picture = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    _check_pixels(picture.size, max_pixels)
    return picture


def _check_pixels(size: tuple[int, int], most: int) -> None:
    width, height = size
    if width * height > most:
        raise ImageError(f"{width} x {height} pixels, at most {most} are allowed")


def _convert(picture: Image.Image, grey: bool) -> Image.Image:
    mode = "L" if grey else "RGB"
    if picture.mode.startswith("I"):
        high = np.asarray(picture).astype(np.uint16) >> 8
        return Image.fromarray(high.astype(np.uint8)).convert(mode)
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        opaque = picture.convert("RGBA")
        paper = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(paper, opaque).convert(mode)
    if picture.mode in ("P", "CMYK"):
        return picture.convert("RGB").convert(mode)
    return picture.convert(mode)


def _turn_upright(converted: Image.Image, picture: Image.Image) -> Image.Image:
    if "exif" not in picture.info:
        return converted
    turn = UPRIGHT.get(_read_orientation(picture))
    return converted if turn is None else converted.transpose(turn)


def _read_orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except Exception:
        # Cameras write broken EXIF; the pixels are whole, so the picture is taken as upright.
        return 1
