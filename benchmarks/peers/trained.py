"""The trained network as every server here loads it, from the folder that the variable NETWORK names."""

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

FOLDER = Path(os.environ["NETWORK"])
ABOUT = json.loads((FOLDER / "network.json").read_text())
HEIGHT, WIDTH, CHANNELS = ABOUT["shape"]


class Trained:
    """The network as a tf.function that is traced once, for batches of any size."""

    def __init__(self) -> None:
        self._network = keras.models.load_model(FOLDER / "network.keras", compile=False)
        signature = [tf.TensorSpec((None, HEIGHT, WIDTH, CHANNELS), tf.uint8)]
        self._best = tf.function(self._find_best, input_signature=signature)
        self.label([np.zeros((HEIGHT, WIDTH, CHANNELS), np.uint8)])

    def label(self, images: Sequence[NDArray[np.uint8]]) -> list[str]:
        """Give the best label of each image, which `decode` made."""
        return [ABOUT["labels"][index] for index in self._best(tf.constant(np.stack(images))).numpy()]

    def _find_best(self, pixels: tf.Tensor) -> tf.Tensor:
        inputs = (tf.cast(pixels, tf.float32) - ABOUT["mean"]) * ABOUT["scale"]
        return tf.argmax(self._network(inputs, training=False), axis=1)


def decode(content: bytes) -> NDArray[np.uint8]:
    """Decode a PNG or JPEG to the network's size: (h, w, c)."""
    image = Image.open(io.BytesIO(content)).convert("L" if CHANNELS == 1 else "RGB")
    if image.size != (WIDTH, HEIGHT):
        image = image.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(HEIGHT, WIDTH, CHANNELS)
