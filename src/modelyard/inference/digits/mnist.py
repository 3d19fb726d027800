"""Turns a picture of one handwritten digit into one like MNIST's: 28x28, light on dark, centred by mass.

Source: https://yann.lecun.com/exdb/mnist/ : "The original black and white (bilevel) images from NIST were
size normalized to fit in a 20x20 pixel box while preserving their aspect ratio. [...] the images were
centered in a 28x28 image by computing the center of mass of the pixels, and translating the image so as to
position this point at the center of the 28x28 field."
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 28
BOX = 20
# Pixels paler than this share of the darkest stroke are paper, not ink.
FAINTEST = 0.2


def fit_digit(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fit a digit as MNIST's were; a 28x28 image that is light on dark is returned unchanged.

    From (h, w), 0..255, dark on light or light on dark, to (28, 28), 0 where there is no ink; all 0 if the
    image has one colour.
    """
    dark_on_light = _is_light(grey)
    if grey.shape == (SIDE, SIDE) and not dark_on_light:
        return grey
    ink = _find_ink(255 - grey if dark_on_light else grey)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not rows.size:
        return np.zeros((SIDE, SIDE), np.uint8)
    return _centre(_shrink(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]))


def _is_light(grey: NDArray[np.uint8]) -> bool:
    """Return whether most of the border is in the lighter half of the image's range."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    if not border.any():
        # As MNIST's own are: half of nothing is not lighter than anything.
        return False
    lowest, highest = int(grey.min()), int(grey.max())
    middle = (lowest + highest) / 2 if lowest < highest else 127.5
    return bool(np.count_nonzero(border > middle) * 2 > border.size)


def _find_ink(light_on_dark: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stretch to 0..255 with the border's own grey as 0, and drop what is too faint."""
    border = [light_on_dark[0], light_on_dark[-1], light_on_dark[:, 0], light_on_dark[:, -1]]
    paper = float(np.median(np.concatenate(border)))
    darkest = float(light_on_dark.max()) - paper
    share = light_on_dark - np.float32(paper)
    # In place, because a large picture leaves memory for one such copy, not for four.
    share /= np.float32(max(darkest, 1.0))
    share[share < FAINTEST] = 0
    share *= 255
    return share.astype(np.uint8)


def _shrink(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale the longer side to 20 pixels with antialiasing, and the darkest stroke back to 255.

    Otherwise thin strokes of a large picture would be pale, and MNIST's are not.
    """
    height, width = ink.shape
    scale = BOX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BILINEAR), np.float32)
    stretched: NDArray[np.uint8] = np.rint(small * (255 / max(float(small.max()), 1.0))).astype(np.uint8)
    return stretched


def _centre(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Place ink of at most 20x20 in 28x28, with its centre of mass as near to the middle as it fits."""
    field = np.zeros((SIDE, SIDE), np.uint8)
    top = _offset(ink.sum(axis=1, dtype=np.float64))
    left = _offset(ink.sum(axis=0, dtype=np.float64))
    field[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return field


def _offset(mass: NDArray[np.float64]) -> int:
    centre = float((mass * np.arange(mass.size)).sum() / max(float(mass.sum()), 1.0))
    return min(max(round((SIDE - 1) / 2 - centre), 0), SIDE - mass.size)
