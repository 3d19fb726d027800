"""Whitening filters for the first layer: computed from the pictures' patches by PCA, and not trained.

The first layer of an image network learns such filters anyway (Page 2018, "How to train your ResNet 8: bag of
tricks"). Fixed filters need no gradient, and neither does the input of the second layer, which saves a third
of the work of a small network.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Enough for stable filters within hundredths of a second. A large picture gives 12 to 24 patches per side.
PICTURES, STRIDE, PATCHES = 400, 2, 12
# Added to each component's variance, for pixels from 0 to 1, so that noise is not amplified.
FLOOR = 0.01


def whiten_patches(pictures: NDArray[Any], side: int, filters: int) -> NDArray[np.float32]:
    """Compute filters whose outputs are uncorrelated and have equal variance.

    From pictures (n, height, width, channels) of 0..255, of which the first 400 are used, to filters for
    pixels of 0..1, float32 (side, side, channels, filters), those of most variance first. Their number is
    even, and at most twice the values in one filter: each component comes with its negative, because the relu
    that follows drops one sign.
    """
    patches = take_patches(pictures[:PICTURES], side)
    variances, components = np.linalg.eigh(np.cov(patches, rowvar=False, bias=True))
    strongest = np.argsort(variances)[::-1][: filters // 2]
    scaled = components[:, strongest] / np.sqrt(variances[strongest].clip(min=0) + FLOOR)
    both = np.concatenate([scaled, -scaled], axis=1)
    return both.reshape(side, side, pictures.shape[3], filters).astype(np.float32)


def take_patches(pictures: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return patches of all pictures, one per row, 0..1: float32 (m, side * side * channels).

    They start at every second pixel, and further apart in a large picture, so that memory stays bounded.
    """
    scaled = pictures.astype(np.float32) / np.float32(255)
    windows = np.lib.stride_tricks.sliding_window_view(scaled, (side, side), axis=(1, 2))
    down, across = (max(STRIDE, places // PATCHES) for places in windows.shape[1:3])
    # From (n, h, w, channels, side, side): channels go last, as in a filter.
    patches: NDArray[np.float32] = np.moveaxis(windows[:, ::down, ::across], 3, 5)
    return patches.reshape(-1, side * side * scaled.shape[3])
