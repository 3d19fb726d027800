"""Small copies of pictures, for pages that show many."""

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
