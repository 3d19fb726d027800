"""Filters that are computed in place of learned: the main components of the pictures' patches.

The first layer of a network for pictures learns such filters anyway (Page 2018, "How to train your ResNet 8:
bag of tricks"). Set from the start and left alone, it needs no gradient, and neither does the input of the
second: a third of the work of a small network.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Enough for a stable outcome, in hundredths of a second: of each picture at most some 16 x 16 patches.
PICTURES, EVERY, PLACES = 400, 2, 12
# Added to each component's variance, of pixels from 0 to 1: the weakest are noise, and stay small.
FLOOR = 0.01


def whiten_patches(pictures: NDArray[Any], side: int, filters: int) -> NDArray[np.float32]:
    """Compute filters whose answers to the pictures are uncorrelated and of the same variance.

    Args:
        pictures: (n, height, width, channels), 0..255; the first 400 are looked at.
        side: of the filters, in pixels.
        filters: an even number, at most twice the pixels of one: each component comes with its negative,
            since a relu that follows has but one side.

    Returns:
        The filters, float32 (side, side, channels, filters), for pixels 0..1, strongest components first.
    """
    patches = take_patches(pictures[:PICTURES], side)
    variances, components = np.linalg.eigh(np.cov(patches, rowvar=False, bias=True))
    strongest = np.argsort(variances)[::-1][: filters // 2]
    scaled = components[:, strongest] / np.sqrt(variances[strongest].clip(min=0) + FLOOR)
    both = np.concatenate([scaled, -scaled], axis=1)
    return both.reshape(side, side, pictures.shape[3], filters).astype(np.float32)


def take_patches(pictures: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return patches of all pictures, a row each, 0..1: float32 (m, side * side * channels).

    They begin at every second pixel, of a large picture at fewer, so that memory stays bounded.
    """
    seen = pictures.astype(np.float32) / np.float32(255)
    windows = np.lib.stride_tricks.sliding_window_view(seen, (side, side), axis=(1, 2))
    down, along = (max(EVERY, places // PLACES) for places in windows.shape[1:3])
    # (n, h, w, channels, side, side): channels go last, as in a filter.
    patches: NDArray[np.float32] = np.moveaxis(windows[:, ::down, ::along], 3, 5)
    return patches.reshape(-1, side * side * seen.shape[3])
