"""Turns a decoded picture into an array: grey or RGB, transparency over white, as (h, w) or (h, w, 3).

Such an array is turned into a file again where one is needed.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Pixels that are converted at once; the conversion takes up to 20 bytes a pixel.
_BAND_PIXELS = 1 << 19


def read_pixels(
    picture: Image.Image, grey: bool, check_time: Callable[[], None], drawing: bool = False
) -> NDArray[np.uint8]:
    """Read a picture, in bands of rows if it is large, since no pixel depends on another.

    The picture is loaded, in any mode of a PNG or JPEG. Returns uint8, with transparency over white and the
    upper 8 of 16 bits: (h, w, 3) in RGB, or (h, w) by ITU-R 601 luma if `grey`. With `drawing`, a grey
    picture that is blank over white gives its transparency instead, opaque as black; so white strokes on a
    transparent ground can be read. `check_time` is called between the bands, and may raise.
    """
    pixels = _read_bands(picture, grey, check_time)
    if drawing and grey and _is_transparent(picture) and pixels.min() == pixels.max():
        check_time()
        alpha = picture if picture.mode in ("LA", "RGBA") else picture.convert("RGBA")
        return np.asarray(255 - np.asarray(alpha.getchannel("A")))
    return pixels


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG of grey (h, w) or RGB (h, w, 3), which keeps every pixel."""
    file = io.BytesIO()
    # Level 1: the file is read once, so a smaller one would only cost time.
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _read_bands(picture: Image.Image, grey: bool, check_time: Callable[[], None]) -> NDArray[np.uint8]:
    width, height = picture.size
    rows = max(1, _BAND_PIXELS // width)
    if rows >= height:
        return np.asarray(_convert(picture, grey))
    pixels = np.empty((height, width) if grey else (height, width, 3), np.uint8)
    for top in range(0, height, rows):
        check_time()
        bottom = min(top + rows, height)
        pixels[top:bottom] = np.asarray(_convert(picture.crop((0, top, width, bottom)), grey))
    return pixels


def _convert(picture: Image.Image, grey: bool) -> Image.Image:
    mode = "L" if grey else "RGB"
    if picture.mode == mode and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith("I"):
        high = np.asarray(picture).astype(np.uint16) >> 8
        return Image.fromarray(high.astype(np.uint8)).convert(mode)
    if _is_transparent(picture):
        ink, paper = picture.convert("RGBA"), Image.new("RGB", picture.size, "white")
        paper.paste(ink, mask=ink)
        return paper.convert(mode)
    if picture.mode in ("P", "CMYK"):
        return picture.convert("RGB").convert(mode)
    return picture.convert(mode)


def _is_transparent(picture: Image.Image) -> bool:
    with_alpha = picture.mode in ("LA", "PA", "RGBA")
    return with_alpha or ("transparency" in picture.info and not picture.mode.startswith("I"))
