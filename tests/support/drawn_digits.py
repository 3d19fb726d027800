"""Digits as a hand draws them, and a network that recognises them: it compares a picture with one of each."""

import functools

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import tflite_models
from modelyard.inference.digits.mnist import fit_digit

SIDE, PEN = 280, 20
Stroke = list[tuple[int, int]]
# The pen's way over a square of 280 pixels.
STROKES: tuple[Stroke, ...] = (
    [(140, 50), (80, 110), (80, 180), (140, 230), (200, 180), (200, 110), (140, 50)],
    [(140, 50), (140, 230)],
    [(80, 90), (140, 50), (200, 100), (80, 230), (200, 230)],
    [(80, 50), (200, 50), (130, 120), (200, 180), (140, 230), (80, 200)],
    [(110, 50), (80, 150), (210, 150), (170, 80), (170, 230)],
    [(200, 50), (90, 50), (90, 130), (190, 140), (190, 210), (80, 230)],
    [(180, 50), (90, 130), (90, 210), (180, 230), (190, 160), (90, 150)],
    [(70, 60), (210, 60), (120, 230)],
    [(140, 140), (80, 90), (140, 50), (200, 90), (80, 190), (140, 230), (200, 190), (140, 140)],
    [(190, 110), (100, 140), (90, 70), (190, 60), (190, 110), (160, 230)],
)


def draw_digit(digit: int) -> NDArray[np.uint8]:
    """Return 280x280, black on white."""
    picture = Image.new("L", (SIDE, SIDE), 255)
    draw = ImageDraw.Draw(picture)
    draw.line(STROKES[digit], fill=0, width=PEN, joint="curve")
    for x, y in STROKES[digit]:
        draw.ellipse([x - PEN // 2, y - PEN // 2, x + PEN // 2, y + PEN // 2], fill=0)
    return np.asarray(picture)


@functools.cache
def nearest_model() -> bytes:
    """Answers the digit whose drawing is nearest, pixel by pixel."""
    drawn = [fit_digit(draw_digit(digit)).reshape(784) for digit in range(10)]
    known = np.stack(drawn).astype(np.float32) / 255
    return tflite_models.build((28, 28, 1), known.T, tuple(-0.5 * (known**2).sum(axis=1)))
