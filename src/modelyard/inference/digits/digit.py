"""Turns a picture of one digit, drawn, photographed or printed, into a picture like MNIST's.

MNIST's digits were scaled into a box of 20x20 pixels without changing their proportions, then placed in 28x28
with their centre of mass in the middle (https://yann.lecun.com/exdb/mnist/). So the digit is first found on
its paper, which may have any shade, and lines, frames, dirt and noise beside it. Its place is computed with
integers, so that every machine gets the same result.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modelyard.inference.digits.paper import (
    Levels,
    drop_lines,
    find_share,
    peel_frame,
    read_ring,
    subtract_paper,
)
from modelyard.inference.digits.parts import keep_digit

Pixels = NDArray[np.uint8]
SIDE, BOX, MIDDLE = 28, 20, 14
# The digit is searched for in a copy with at most this side; more detail would not show in 20 pixels.
_WORK_SIDE = 160
# Of 255: MNIST's darkest pixels have 254 at least; what is paler than the other is no ink.
_DARKEST, _FAINTEST = 250, 6.0


def fit_digit(grey: Pixels, neighbours: bool = False, by_surface: bool = False) -> Pixels:
    """Fit a digit as MNIST's were; a picture that already lies like them is returned unchanged.

    From (h, w), 0..255, dark on light or light on dark, to (28, 28), 0 where there is no ink; all 0 if
    nothing stands out from the paper. With `neighbours`, another digit or letter beside the largest stays, so
    that two are not read as one; for `by_surface` see `subtract_paper`.
    """
    if _lies_as_mnists(grey):
        return grey
    ink = _find_ink(peel_frame(_reduce(grey)), neighbours, by_surface)
    return np.zeros((SIDE, SIDE), np.uint8) if ink is None else _centre(_shrink(ink))


def _lies_as_mnists(grey: Pixels) -> bool:
    """Return whether the longer side is 19 or 20, and the centre of mass within half a pixel of 14."""
    if grey.shape != (SIDE, SIDE) or grey.max() < _DARKEST:
        return False
    masses = (grey.sum(axis=axis, dtype=np.int64) for axis in (0, 1))
    if any(abs(_find_centre(mass) - MIDDLE) > 0.51 for mass in masses):
        return False
    rows, columns = np.nonzero(grey)
    return BOX - 1 <= int(max(np.ptp(rows), np.ptp(columns))) + 1 <= BOX


def _reduce(grey: Pixels) -> Levels:
    factor = -(-max(grey.shape) // _WORK_SIDE)
    return np.asarray(Image.fromarray(grey).reduce(factor) if factor > 1 else grey, np.float32)


def _find_ink(levels: Levels, neighbours: bool, by_surface: bool) -> Pixels | None:
    """Return the digit's ink, 0..255, cropped to the digit; None if there is none."""
    contrast = subtract_paper(levels, by_surface)
    border = read_ring(contrast, 0)
    # The standard deviation, estimated by the median so that ink at the border does not count.
    noise = 1.4826 * find_share(np.abs(border - find_share(border, 0.5)), 0.5)
    contrast = drop_lines(contrast, noise)
    mask = contrast > max(4 * noise, 0.35 * float(contrast.max()), _FAINTEST)
    if not mask.any():
        return None
    digit = keep_digit(mask, neighbours)
    full = find_share(contrast[digit & mask], 0.75)
    faint = 0.05 * full + 2.5 * noise
    share = np.clip((contrast - faint) / max(full - faint, 1.0), 0, 1)
    ink: Pixels = np.rint(np.where(digit, share, 0) * 255).astype(np.uint8)
    rows, columns = (np.flatnonzero(ink.max(axis=axis) > 25) for axis in (1, 0))
    if not rows.size:
        return None
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _shrink(ink: Pixels) -> Pixels:
    """Scale the longer side to 20 pixels, and most of the ink to full strength, which scaling takes away."""
    height, width = ink.shape
    scale = BOX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BILINEAR))
    inked = small[small > 25]
    full = find_share(inked, 0.75) if inked.size else 255.0
    return np.rint(np.minimum(small * (255 / full), 255)).astype(np.uint8)


def _centre(ink: Pixels) -> Pixels:
    """Place ink of at most 20x20 in 28x28, with its centre of mass as near to the middle as it fits."""
    field = np.zeros((SIDE, SIDE), np.uint8)
    places = [_find_centre(ink.sum(axis=axis, dtype=np.int64)) for axis in (1, 0)]
    top, left = (
        min(max(round(MIDDLE - place), 0), SIDE - size) for place, size in zip(places, ink.shape, strict=True)
    )
    field[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return field


def _find_centre(mass: NDArray[np.int64]) -> float:
    return int((mass * np.arange(mass.size)).sum()) / max(int(mass.sum()), 1)
