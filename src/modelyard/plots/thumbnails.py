"""Small copies of pictures, for pages that show many."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modelyard.images.pictures import Pictures, PixelPictures

SIDE = 128


def make_thumbnail(pictures: Pictures, place: int) -> NDArray[np.uint8]:
    """Return a picture, at most 128 pixels high and wide: uint8 (h, w, 3), or (h, w) in grey."""
    return shrink(pictures.pixels(place, grey=isinstance(pictures, PixelPictures)), SIDE)


def shrink(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return pixels (h, w) or (h, w, 3) with no side longer than `side`; smaller ones are unchanged."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side))
    return np.asarray(picture)


def embed_pixels(pixels: NDArray[np.uint8]) -> str:
    """Return a data URI: grey levels (h, w) as PNG, without loss; a photo as JPEG, a sixth of the size."""
    stream, kind = io.BytesIO(), "png" if pixels.ndim == 2 else "jpeg"
    Image.fromarray(pixels).save(stream, kind, optimize=True)
    return f"data:image/{kind};base64," + base64.b64encode(stream.getvalue()).decode()
