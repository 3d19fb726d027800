"""A bundle asked as a server asks it: encoded images in, through the same predictor."""

import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures import Floats
from modelyard.inference.bundle import BundleError, read_bundle
from modelyard.inference.images import ImageError
from modelyard.inference.interpreters import ModelError
from modelyard.inference.predictor import Predictor

Pixels: TypeAlias = npt.NDArray[np.uint8]


def load_predictor(folder: Path, image: bytes) -> tuple[Predictor, float]:
    """Load a bundle, and measure the milliseconds from reading its files to its first answer, to `image`.

    The time is measured in this process, the predictor's modules being imported already; call it before
    anything else has run a model, as in a server that has just started.

    Raises:
        ModelyardError: the bundle is not whole, or cannot answer the image.
    """
    start_ns = time.perf_counter_ns()
    try:
        predictor = Predictor(read_bundle(folder))
        predictor.predict([image], top_k=1)
    except (BundleError, ImageError, ModelError) as error:
        raise ModelyardError(f"the bundle {folder} cannot answer: {error}: package it again") from error
    return predictor, (time.perf_counter_ns() - start_ns) / 1e6


def answer_images(predictor: Predictor, images: Sequence[bytes], names: Sequence[str]) -> Floats:
    """Give the probabilities (n, outputs), float32, that `Predictor.predict` ranks.

    Args:
        predictor: of the bundle to measure.
        images: n PNG or JPEG files, at least one.
        names: what to call each of them in an error.

    Raises:
        ModelyardError: an image cannot be read, or the model gave what is no answer.
    """
    inputs = []
    for image, name in zip(images, names, strict=True):
        try:
            inputs.append(predictor.preprocess(image))
        except ImageError as error:
            raise ModelyardError(f"{name}: expected a PNG or JPEG, got {error.reason}") from error
    try:
        return predictor.probabilities(np.stack(inputs))
    except ModelError as error:
        raise ModelyardError(f"{predictor.bundle.folder}: {error}: package it again") from error


def encode_pngs(images: Pixels) -> list[bytes]:
    """Encode grey images, uint8 (n, h, w), as PNG files; the format keeps every pixel.

    Raises:
        ModelyardError: there are none.
    """
    if not len(images):
        raise ModelyardError("expected images to measure a model with, got none")
    return [_encode_png(image) for image in images]


def read_images(folder: Path, names: Sequence[str]) -> list[bytes]:
    """Read the files `names` of a folder, in this order.

    Raises:
        ModelyardError: one is missing.
    """
    try:
        return [(folder / name).read_bytes() for name in names]
    except FileNotFoundError as error:
        raise ModelyardError(
            f"{error.filename} is missing, which the source has answered: package the bundle again"
        ) from None


def _encode_png(image: Pixels) -> bytes:
    file = io.BytesIO()
    # Level 1: the test images are read once, at once; a smaller file would only cost time.
    Image.fromarray(image).save(file, format="PNG", compress_level=1)
    return file.getvalue()
