"""Fits: how decoded pixels are brought to the size that a network takes.

A fit's name is a promise: what it makes of a picture never changes, because versions that were measured with
it are served for years. An improvement gets a new name. A test pins what each of them makes.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modelyard.inference.digits import digit, mnist
from modelyard.inference.resize import resize_bilinear

Pixels: TypeAlias = NDArray[np.uint8]
# Levels 0..255, whole (uint8) or with fractions (float32); (height, width, channels).
Fitted: TypeAlias = NDArray[np.uint8] | NDArray[np.float32]
Fit: TypeAlias = Callable[[Pixels, int, int], Fitted]
LARGEST_SIDE = 4096


def fit_pixels(fit: str, pixels: Pixels, height: int, width: int) -> Fitted:
    """Bring a picture, grey (h, w) or RGB (h, w, 3), to `height` x `width` by one of FITS.

    The result is (height, width, 1) for a grey picture, else (height, width, 3); levels 0..255.
    """
    return FITS[fit](pixels if pixels.ndim == 3 else pixels[:, :, None], height, width)


def check_fit(fit: str, height: int, width: int, channels: int) -> str | None:
    """Say what is wrong with a fit for an input of this size, None where nothing is."""
    if fit not in FITS:
        return f"fit: expected one of {', '.join(FITS)}, got {fit!r}"
    if channels not in (1, 3):
        return f"channels: expected 1 (grey) or 3 (RGB), got {channels}"
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
        return f"height and width: expected 1 to {LARGEST_SIDE}, got {height} and {width}"
    if fit in _OF_DIGITS and (height, width, channels) != (digit.SIDE, digit.SIDE, 1):
        return f"fit {fit} makes {digit.SIDE} x {digit.SIDE} x 1, got {height} x {width} x {channels}"
    return None


def _of_one_channel(fit: Callable[[Pixels], Pixels]) -> Fit:
    return lambda pixels, _height, _width: fit(pixels[:, :, 0])[:, :, None]


def _smooth(pixels: Pixels, height: int, width: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    resized = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
    return resized.reshape(height, width, pixels.shape[2])


def _crop(pixels: Pixels, height: int, width: int) -> Pixels:
    tall, wide = pixels.shape[:2]
    # In whole numbers, so that no machine rounds otherwise.
    high, broad = min(tall, max(1, wide * height // width)), min(wide, max(1, tall * width // height))
    top, left = (tall - high) // 2, (wide - broad) // 2
    return _smooth(np.ascontiguousarray(pixels[top : top + high, left : left + broad]), height, width)


def _pad(pixels: Pixels, height: int, width: int) -> Pixels:
    tall, wide = pixels.shape[:2]
    high, broad = min(height, max(1, tall * width // wide)), min(width, max(1, wide * height // tall))
    top, left = (height - high) // 2, (width - broad) // 2
    field = np.zeros((height, width, pixels.shape[2]), np.uint8)
    field[top : top + high, left : left + broad] = _smooth(pixels, high, broad)
    return field


_OF_DIGITS: dict[str, Callable[[Pixels], Pixels]] = {
    # A digit on clean paper, as MNIST's own were; 28x28 light on dark as it is.
    "mnist": mnist.fit_digit,
    # The same for a digit that has to be found: drawn, photographed or printed.
    "digit": digit.fit_digit,
    # Keeps what stands beside a digit, and reads drawings on a transparent ground.
    "digit_2": lambda pixels: digit.fit_digit(pixels, neighbours=True),
    # Tells dark ink from light ink on paper that is partly in the dark, too.
    "digit_3": lambda pixels: digit.fit_digit(pixels, neighbours=True, by_surface=True),
}
# These take a millisecond or more for a small picture, too.
SLOW = frozenset({"digit", "digit_2", "digit_3"})
# These read the transparency of a picture that over white is blank (see `decoding.pixels.read_pixels`).
OF_DRAWINGS = frozenset({"digit_2", "digit_3"})
FITS: dict[str, Fit] = {
    **{name: _of_one_channel(fit) for name, fit in _OF_DIGITS.items()},
    # The whole picture, proportions lost: antialiased, as Pillow's bilinear filter does it.
    "smooth": _smooth,
    # The largest centred part with the proportions of the result, antialiased.
    "crop": _crop,
    # The whole picture in the middle of black, proportions kept, antialiased.
    "pad": _pad,
    # The whole picture as TensorFlow 1 resized: four pixels make one, however much smaller the result is.
    "stretch": lambda pixels, height, width: resize_bilinear(pixels, height, width, "origin"),
    # The same with the corners of both pictures on the same points (align_corners).
    "stretch_corners": lambda pixels, height, width: resize_bilinear(pixels, height, width, "corners"),
    # The same between the centres of pixels: what TensorFlow 2's tf.image.resize does.
    "stretch_centres": lambda pixels, height, width: resize_bilinear(pixels, height, width, "centres"),
}
