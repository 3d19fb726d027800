"""Tiny LiteRT models whose answers are plain to see, made with Keras once a session, and bundles of them."""

import functools
import io
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modelyard.inference.bundle import Bundle, Label, Preprocessing, write_bundle

DIGIT = Preprocessing("mnist", 28, 28, 1, mean=0.0, scale=1 / 255)
# Not square, so that a mix-up of height and width shows.
PHOTO = Preprocessing("stretch", 32, 48, 3, mean=128.0, scale=1 / 128)
DIGIT_LABELS = tuple(Label(str(digit)) for digit in range(10))
# Two labels share their words, as two synsets of ImageNet do; the first output has no label.
PHOTO_LABELS = (Label(None), Label("red", "n1"), Label("crane", "n2"), Label("crane", "n3"))

# As a weight this is 3e38: forty white pixels make infinity, and the softmax of that is NaN.
NAN_GAIN = 56 * 3e38


@functools.cache
def digit_model(gain: float = 20.0) -> bytes:
    """Answers n where rows 2n+4 and 2n+5 of 28 are the lightest; NAN_GAIN makes it overflow."""
    weights = np.zeros((28, 28, 10), np.float32)
    for digit in range(10):
        weights[2 * digit + 4 : 2 * digit + 6, :, digit] = gain / 56
    return convert((28, 28, 1), weights.reshape(784, 10))


@functools.cache
def undecided_model(outputs: int) -> bytes:
    """Gives each output n one of three scores, the higher the larger n % 3."""
    bias = tuple(float(number % 3) for number in range(outputs))
    return convert((28, 28, 1), np.zeros((784, outputs), np.float32), bias)


@functools.cache
def photo_model() -> bytes:
    """Answers output 1, 2 or 3 by the mean of red, green and blue; output 0 is always the largest."""
    weights = np.zeros((32 * 48, 3, 4), np.float32)
    weights[:, np.arange(3), np.arange(1, 4)] = 4 / (32 * 48)
    return convert((32, 48, 3), weights.reshape(-1, 4), bias=(9.0, 0.0, 0.0, 0.0))


def digit_bundle(folder: Path, model: bytes | None = None, fit: str = "mnist") -> Bundle:
    return write_bundle(
        folder,
        model=model or digit_model(),
        name="mnist",
        precision="float32",
        labels=DIGIT_LABELS,
        preprocessing=replace(DIGIT, fit=fit),
        provenance={"licence": "none"},
    )


def photo_bundle(folder: Path) -> Bundle:
    return write_bundle(
        folder,
        model=photo_model(),
        name="colours",
        precision="float32",
        labels=PHOTO_LABELS,
        preprocessing=PHOTO,
        provenance={},
    )


def draw_band(digit: int) -> NDArray[np.uint8]:
    """28x28, light on dark, which `digit_model` takes for `digit`."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[2 * digit + 4 : 2 * digit + 6, 4:24] = 255
    return pixels


def encode(pixels: NDArray[np.uint8], kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def convert(
    shape: tuple[int, int, int], weights: NDArray[np.float32], bias: tuple[float, ...] | None = None
) -> bytes:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    import keras
    import tensorflow as tf

    outputs = keras.layers.Dense(weights.shape[1], activation="softmax")
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), outputs])
    outputs.set_weights([weights, np.array(bias or np.zeros(weights.shape[1]), np.float32)])
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        return bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
