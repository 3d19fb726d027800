"""Pictures fitted for a network, by the code that serves it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.images.crops import Samples
from modelyard.images.pictures import Pictures
from modelyard.images.threads import work_through
from modelyard.inference.bundle import Preprocessing
from modelyard.inference.fits import OF_DRAWINGS, Fitted, fit_pixels
from modelyard.params import Input


def fit_picture(pictures: Pictures | Samples, place: int, how: Input | Preprocessing) -> Fitted:
    """Return what a network sees of one picture: (height, width, channels), 0..255, uint8 or float32."""
    pixels = pictures.pixels(place, how.channels == 1, how.fit in OF_DRAWINGS)
    return fit_pixels(how.fit, pixels, how.height, how.width)


def fit_pictures(pictures: Pictures, how: Input, title: str) -> NDArray[Any]:
    """Return the pictures as a network sees them: (n, height, width, channels), 0..255, uint8 or float32.

    Each processor decodes one picture at a time, and only the fitted ones are kept. Raises ModelyardError if
    a picture cannot be read, or all do not fit in memory.
    """
    shape = (len(pictures), how.height, how.width, how.channels)

    def put(place: int) -> None:
        fitted[place] = fit_picture(pictures, place, how)

    if not len(pictures):
        return np.zeros(shape, np.uint8)
    fitted = _make_room(shape, fit_picture(pictures, 0, how).dtype)
    if pictures.slow:
        work_through(put, range(len(pictures)), title)
    else:
        for place in range(len(pictures)):
            put(place)
    return fitted


def _make_room(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        return np.empty(shape, dtype)
    except MemoryError:
        size_gb = np.prod(shape, dtype=np.float64) * dtype.itemsize / 1e9
        raise ModelyardError(
            f"data.input: expected memory for {shape[0]:,} pictures of {'x'.join(map(str, shape[1:]))}, "
            f"that is {size_gb:.1f} GB: choose a smaller height and width"
        ) from None
