"""From what a network gives to probabilities, or to pooled features; what conf/ does not expect is refused.

The same code runs behind the unchanged original, and becomes part of the converted model.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.params.groups.pretrained import Exit

# How far a sum of probabilities may be from 1: float16 inside a network leaves 1e-3.
_SUM_TOLERANCE = 5e-3


def read_outputs(scores: NDArray[np.float32], exit_: Exit) -> NDArray[np.float32]:
    """Return the probabilities of one picture, (1, classes), from the original's output in any shape.

    Raises a ModelyardError if number or activation of the outputs are not what conf/ says.
    """
    if scores.size != exit_.classes:
        raise ModelyardError(
            f"expected {exit_.classes} classes (pretrained.output.classes), got {scores.size} "
            f"outputs in the shape {scores.shape}: correct conf/"
        )
    if not np.isfinite(scores).all():
        raise ModelyardError("expected numbers, the network gave NaN or infinity")
    activation, total = exit_.activation, float(scores.sum())
    probable = bool((scores >= 0).all()) and abs(total - 1) < _SUM_TOLERANCE
    if probable != (activation == "softmax"):
        raise ModelyardError(
            f"pretrained.output.activation is {activation}, but the outputs lie between "
            f"{scores.min():.4g} and {scores.max():.4g} with the sum {total:.4g}: expected "
            + ("probabilities with the sum 1" if activation == "softmax" else "no probabilities")
        )
    return np.asarray(finish(scores, exit_))


def finish(scores: Any, exit_: Exit) -> Any:
    """Return probabilities, float32 (1, classes), of a network's output for one picture."""
    import tensorflow as tf

    row = tf.reshape(scores, (1, -1))
    return row if exit_.activation == "softmax" else tf.nn.softmax(row)


def pool(features: Any, channels_first: bool) -> Any:
    """Average features (1, h, w, n) over height and width; return a row, float32 (1, n)."""
    import tensorflow as tf

    if len(features.shape) == 4:
        features = tf.reduce_mean(features, (2, 3) if channels_first else (1, 2))
    return tf.reshape(features, (1, -1))
