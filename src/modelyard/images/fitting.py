"""Pictures fitted for a network, one after the other, by the code that will serve it."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from modelyard.errors import ModelyardError
from modelyard.images.pictures import Pictures
from modelyard.inference.fits import fit_pixels
from modelyard.params import Input

# Below it nobody waits.
MANY = 2000


def fit_pictures(pictures: Pictures, how: Input, title: str) -> NDArray[Any]:
    """Return what a network sees of the pictures: (n, height, width, channels), 0..255, uint8 or float32.

    One picture is decoded at a time; only what the network sees is kept.

    Raises:
        ModelyardError: a picture cannot be read, or memory does not hold what the network sees of all.
    """
    shape = (len(pictures), how.height, how.width, how.channels)
    fitted: NDArray[Any] | None = None
    slow = len(pictures) > MANY and not hasattr(pictures, "levels")
    for place in tqdm(range(len(pictures)), title, unit="picture", file=sys.stderr, disable=not slow):
        one = fit_pixels(how.fit, pictures.pixels(place, how.channels == 1), how.height, how.width)
        if fitted is None:
            fitted = _make_room(shape, one.dtype)
        fitted[place] = one
    return np.zeros(shape, np.uint8) if fitted is None else fitted


def _make_room(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        return np.empty(shape, dtype)
    except MemoryError:
        size_gb = np.prod(shape, dtype=np.float64) * dtype.itemsize / 1e9
        raise ModelyardError(
            f"data.input: expected that memory holds {shape[0]:,} pictures of {shape[1]}x{shape[2]}x{shape[3]}, "
            f"which take {size_gb:.1f} GB: choose a smaller height and width"
        ) from None
