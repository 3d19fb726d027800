"""The paper under a digit: tells its shade, frames and lines from ink.

Fits are promises (see `inference.fits`): what a named fit makes of a picture must not change here either.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Levels: TypeAlias = NDArray[np.float32]
# Paper's brightness changes slowly: it is estimated on a copy of this side, in windows wider than a stroke.
_PAPER_SIDE, _PAPER_WINDOW = 40, 15
# A frame is at most this far from the edge.
_FRAME_SHARE = 0.12


def peel_frame(levels: Levels) -> Levels:
    """Remove a frame: rings around the picture that have one level, which is not the paper's."""
    deepest = max(1, int(min(levels.shape) * _FRAME_SHARE))
    if min(levels.shape) < 4 * deepest or deepest < 2:
        return levels
    rings = [np.sort(read_ring(levels, depth)) for depth in range(deepest + 2)]
    medians = np.array([ring[ring.size // 2] for ring in rings])
    contrast = 0.15 * np.ptp(levels)
    # All but a twentieth at either end.
    even = [ring[ring.size * 19 // 20] - ring[ring.size // 20] < 2 * contrast for ring in rings]
    framed = np.flatnonzero(even & (np.abs(medians - medians[-2:].mean()) > contrast))
    # The paper's shade changes gradually from ring to ring; a frame starts and ends abruptly.
    steps = np.abs(np.diff(medians)) > contrast / 2
    if not framed.size or not steps.any():
        return levels
    peel = int(framed[-1]) + 1
    return levels[peel:-peel, peel:-peel]


def subtract_paper(levels: Levels, by_surface: bool = False) -> Levels:
    """Return how much each pixel of (h, w), 0..255, differs from the paper, 0..255, for dark or light ink.

    `by_surface` tells dark ink from light ink by a surface through the border, where that is uneven. Else,
    paper that is partly in the dark may be taken for dark paper with light ink.
    """
    border, lowest, highest = read_ring(levels, 0), float(levels.min()), float(levels.max())
    shade: Levels = np.full_like(levels, find_share(border, 0.5))
    is_uneven = _is_uneven(border, highest - lowest)
    is_dark = shade[0, 0] <= (lowest + highest) / 2
    if by_surface and is_uneven:
        is_dark = _has_light_ink(levels)
    if is_dark:
        paper = 255 - _estimate_paper(255 - levels) if by_surface and is_uneven else shade
        contrast = levels - paper
    else:
        paper = _estimate_paper(levels) if is_uneven else shade
        contrast = 255 - levels * (255 / np.maximum(paper, 1))
    clipped: Levels = np.clip(contrast, 0, 255)
    return clipped


def drop_lines(contrast: Levels, noise: float) -> Levels:
    """Remove thin horizontal and vertical lines that run from edge to edge; strokes that cross them stay.

    `contrast` is (h, w) from `subtract_paper`, `noise` the standard deviation of the paper.
    """
    for _ in range(2):
        contrast = _drop_rows(contrast, noise).T
    return contrast


def read_ring(levels: Levels, depth: int) -> Levels:
    """Return the pixels at a distance of `depth` from the nearest edge."""
    inner = levels[depth : levels.shape[0] - depth, depth : levels.shape[1] - depth]
    return np.concatenate([inner[0], inner[-1], inner[1:-1, 0], inner[1:-1, -1]])


def find_share(values: Levels | NDArray[np.uint8], share: float) -> float:
    """Return the level below which a share of the values lies; ten times as fast as NumPy's percentile."""
    return float(np.sort(values, axis=None)[int((values.size - 1) * share)])


def _is_uneven(border: Levels, contrast: float) -> bool:
    # A picture this small is not a photo of paper.
    if border.size < 4 * _PAPER_SIDE:
        return False
    return find_share(border, 0.9) - find_share(border, 0.1) > 0.1 * contrast


def _has_light_ink(levels: Levels) -> bool:
    """Compare a small copy with a curved surface through its border, as light falls on paper."""
    small = np.asarray(_reduce(levels), np.float32)
    down, across = np.indices(small.shape, np.float32) / max(small.shape)
    terms = np.stack([np.ones_like(down), down, across, down * across, down**2, across**2])
    border = np.stack([read_ring(term, 0) for term in terms], axis=1)
    factors = np.linalg.lstsq(border, read_ring(small, 0), rcond=None)[0]
    difference = small - np.tensordot(factors, terms, axes=1)
    return bool(difference.max() > -difference.min())


def _estimate_paper(levels: Levels) -> Levels:
    """Close the grey levels: strokes are thinner than the window and vanish, the shade of the paper stays."""
    size = levels.shape[1], levels.shape[0]
    small = _reduce(levels)
    closed = small.filter(ImageFilter.MaxFilter(_PAPER_WINDOW)).filter(ImageFilter.MinFilter(_PAPER_WINDOW))
    smooth = closed.filter(ImageFilter.BoxBlur(2))
    return np.asarray(smooth.resize(size, Image.Resampling.BILINEAR), np.float32)


def _reduce(levels: Levels) -> Image.Image:
    factor = max(1, max(levels.shape) // _PAPER_SIDE)
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).reduce(factor)


def _drop_rows(contrast: Levels, noise: float) -> Levels:
    reach = contrast.shape[0] // 40 + 1
    if reach == 1:
        return contrast
    # In the row of a line most pixels belong to the line, and few to ink.
    rows = np.sort(contrast, axis=1)[:, contrast.shape[1] * 3 // 10]
    padded = np.pad(rows, reach, mode="edge")
    lines = rows - np.maximum(padded[: -2 * reach], padded[2 * reach :])
    lines[lines < max(noise, 4.0)] = 0
    return np.maximum(contrast - lines[:, None], 0) if lines.any() else contrast
