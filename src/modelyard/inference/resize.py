"""The bilinear resize of TensorFlow 1, which the networks of 2015 were trained with."""

import numpy as np
from numpy.typing import NDArray


def resize_bilinear(
    pixels: NDArray[np.uint8] | NDArray[np.float32], height: int, width: int, align_corners: bool
) -> NDArray[np.float32]:
    """Resize as `tf.compat.v1.image.resize_bilinear` does, with half_pixel_centers=False.

    No antialiasing: each output is made of four input pixels, however much smaller the output is.

    Args:
        pixels: (h, w, c).
        height: of the output, in pixels.
        width: of the output, in pixels.
        align_corners: the corners of input and output are the same points.

    Returns:
        float32 (height, width, c) in the range of the input, equal to TensorFlow's to float rounding.
    """
    above, below, down = _neighbours(pixels.shape[0], height, align_corners)
    left, right, across = _neighbours(pixels.shape[1], width, align_corners)
    channels = pixels.shape[2]
    # Flat rows (h, w*c): copying single numbers is faster here than copying groups of three.
    rows = pixels.reshape(pixels.shape[0], -1).take(np.concatenate([above, below]), axis=0)
    channel = np.arange(channels)
    start = rows.take((left[:, None] * channels + channel).ravel(), axis=1).astype(np.float32)
    wide = rows.take((right[:, None] * channels + channel).ravel(), axis=1).astype(np.float32)
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
    size: int, new_size: int, align_corners: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each output place: the places before and after it in the input, and the share of the one after.

    In float32 throughout, since TensorFlow rounds so.
    """
    if align_corners and new_size > 1:
        step = np.float32(size - 1) / np.float32(new_size - 1)
    else:
        step = np.float32(size) / np.float32(new_size)
    place = np.arange(new_size, dtype=np.float32) * step
    before = place.astype(np.intp)
    return np.minimum(before, size - 1), np.minimum(before + 1, size - 1), place - before.astype(np.float32)
