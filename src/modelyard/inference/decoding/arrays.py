"""A picture given as numbers instead of a file."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from modelyard.inference.decoding.structure import ImageError

Shape: TypeAlias = tuple[int, ...]


def read_array(array: Any, height: int, width: int, channels: int = 1) -> NDArray[np.uint8]:
    """Read a picture of the model's input size given as numbers; the dtype says their range.

    `array` is (height, width, channels), or for a grey picture (height, width) or (height * width,), as an
    array or nested lists; whole numbers are 0..255, floats are 0..1 (and rounded to 256 levels). The result
    is (height, width) if it is grey, else (height, width, 3). Raises ImageError, with the index 0, for
    another shape, type or range.
    """
    shapes: tuple[Shape, ...] = ((height, width, channels),)
    if channels == 1:
        shapes = ((height, width), (height * width,), *shapes)
    values = array if isinstance(array, np.ndarray) else _read_lists(array, shapes)
    if values.shape not in shapes:
        expected = " or ".join(map(str, shapes[:2]))
        raise ImageError(f"an array of shape {values.shape}, expected {expected}")
    whole = values.dtype.kind in "ui"
    if not whole and values.dtype.kind != "f":
        raise ImageError(f"an array of {values.dtype.name}, expected whole numbers 0..255 or floats 0..1")
    most = 255 if whole else 1
    # Written this way, so that NaN is refused too.
    if not (values.min() >= 0 and values.max() <= most):
        raise ImageError(f"an array of {values.dtype.name} with numbers outside 0..{most}")
    levels = values if whole else np.rint(values.astype(np.float64) * 255)
    return levels.reshape(shapes[0]).astype(np.uint8)


def _read_lists(lists: Any, shapes: tuple[Shape, ...]) -> NDArray[Any]:
    """Make an array of nested lists, at a low cost whatever they hold.

    NumPy alone would give every cell as much memory as the longest text among them.
    """
    try:
        cells = np.array(lists, dtype=object, ndmax=3)
    except ValueError:
        raise ImageError("an array with rows of different lengths") from None
    if cells.shape not in shapes:
        if any(isinstance(cell, list | tuple) for cell in cells.ravel().tolist()):
            raise ImageError("an array with rows of different lengths")
        return cells
    kinds = set(map(type, cells.ravel().tolist()))
    if others := [kind.__name__ for kind in kinds if not issubclass(kind, int | float | np.number)]:
        raise ImageError(f"an array of {min(others)}, expected whole numbers 0..255 or floats 0..1")
    return np.array(cells.tolist())
