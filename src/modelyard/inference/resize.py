"""TensorFlow's bilinear resize, in the three variants that networks were trained with."""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

# Which points of both pictures coincide: their upper left pixels (TensorFlow 1), their four corner pixels
# (align_corners), or the corners of the pictures themselves (TensorFlow 2).
Aligned: TypeAlias = Literal["origin", "corners", "centres"]


def resize_bilinear(
    pixels: NDArray[np.uint8] | NDArray[np.float32], height: int, width: int, aligned: Aligned
) -> NDArray[np.float32]:
    """Resize as TensorFlow's op ResizeBilinear does.

    Without antialiasing: each output pixel depends on four input pixels, however much smaller the output is.
    From (h, w, c) to float32 (height, width, c) in the same range, equal to TensorFlow's to float rounding.
    `aligned` is "corners" for the op's align_corners, "centres" for its half_pixel_centers.
    """
    above, below, down = _neighbours(pixels.shape[0], height, aligned)
    left, right, across = _neighbours(pixels.shape[1], width, aligned)
    channels = pixels.shape[2]
    rows = np.concatenate([above, below])
    channel = np.arange(channels)
    starts, ends = ((places[:, None] * channels + channel).ravel() for places in (left, right))
    # Flat rows (h, w*c): copying single numbers is faster here than copying groups of three.
    flat = pixels.reshape(pixels.shape[0], -1)
    # Rows first if that leaves fewer of them, so that no copy is larger than both picture and result.
    if len(rows) < len(flat):
        flat = flat.take(rows, axis=0)
        start, wide = (flat.take(places, axis=1).astype(np.float32) for places in (starts, ends))
    else:
        start, wide = (
            flat.take(places, axis=1).take(rows, axis=0).astype(np.float32) for places in (starts, ends)
        )
    # In place, and across before down as TensorFlow does: start + (end - start) * share.
    wide -= start
    wide *= np.repeat(across, channels)
    wide += start
    top, tall = wide[:height], wide[height:]
    tall -= top
    tall *= down[:, None]
    tall += top
    resized: NDArray[np.float32] = tall.reshape(height, width, channels)
    return resized


def _neighbours(
    size: int, new_size: int, aligned: Aligned
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return for each output place the input places before and after it, and the weight of the one after.

    All in float32, because TensorFlow rounds that way.
    """
    corners = aligned == "corners" and new_size > 1
    step = np.float32(size - corners) / np.float32(new_size - corners)
    half = np.float32(0.5 if aligned == "centres" else 0)
    place = (np.arange(new_size, dtype=np.float32) + half) * step - half
    before = np.floor(place)
    first, last = before.astype(np.intp), size - 1
    return first.clip(0, last), (first + 1).clip(0, last), place - before
