"""Conversion of Keras networks and TensorFlow functions to LiteRT models.

Both go through a SavedModel: given a Keras 3 network itself, the converter raises no error, and the model
answers NaN.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.params import Precision
from modelyard.quiet import quiet_tensorflow

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def convert_network(network: "keras.Model", precision: Precision) -> bytes:
    """Convert a Keras network of one input to a LiteRT model of single images (1, ...).

    "int8" stores the weights as int8; the ranges of activations are found at run time. Raises ModelyardError
    if the converter refuses the network.
    """
    import tensorflow as tf

    image = tf.TensorSpec((1, *network.inputs[0].shape[1:]), tf.float32, name="image")
    with quiet_tensorflow(), tempfile.TemporaryDirectory(prefix="modelyard-") as saved:
        network.export(saved, verbose=False, input_signature=[image])
        return convert_saved(saved, precision)


def convert_function(
    answer: "Callable[[tf.Tensor], tf.Tensor]",
    shape: Sequence[int],
    precision: Precision,
) -> bytes:
    """Convert a function of TensorFlow operations, which reads no variables, to a LiteRT model.

    It maps float32 (1, *shape) to a tensor. Raises ModelyardError if the converter refuses it.
    """
    with tempfile.TemporaryDirectory(prefix="modelyard-") as saved:
        save_function(answer, shape, saved, ())
        return convert_saved(saved, precision)


def save_function(
    answer: "Callable[[tf.Tensor], tf.Tensor]",
    shape: Sequence[int],
    folder: str | Path,
    variables: "Sequence[tf.Variable]",
) -> None:
    """Write a function as a SavedModel, to convert it once or several times; see `convert_function`.

    `variables` are all that it reads: a SavedModel keeps only those that it is given.
    """
    import tensorflow as tf

    signature = [tf.TensorSpec((1, *shape), tf.float32, name="image")]
    signed = tf.function(lambda image: {"probabilities": answer(image)}, input_signature=signature)

    module = tf.Module()
    module.answer, module.read = signed, list(variables)
    with quiet_tensorflow():
        tf.saved_model.save(module, str(folder), signatures=signed)


def convert_saved(folder: str | Path, precision: Precision) -> bytes:
    """Convert a SavedModel to a LiteRT model; raises ModelyardError if the converter refuses it."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    if precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    try:
        with quiet_tensorflow():
            model: bytes = converter.convert()
    except Exception as error:
        # The converter's own error class is private to it.
        raise ModelyardError(f"LiteRT cannot convert the network: {error}") from error
    return model
