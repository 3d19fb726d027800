"""What lies between a fitted picture and a network, and between a network and probabilities.

Each function takes NumPy arrays, for the untouched original, and TensorFlow's tensors, for what is converted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.params.groups.pretrained import Entrance, Exit


def normalize(levels: Any, entrance: Entrance, channels_first: bool) -> Any:
    """Make a network's input of a fitted picture.

    Args:
        levels: float32 (1, height, width, channels), 0..255, in RGB.
        entrance: mean and scale by channel, and the channels' order.
        channels_first: the network takes (1, channels, height, width).

    Returns:
        float32, `(level - mean) * scale`.
    """
    if any(entrance.mean):
        levels = levels - np.array(entrance.mean, np.float32)
    if any(scale != 1 for scale in entrance.scale):
        levels = levels * np.array(entrance.scale, np.float32)
    if entrance.order == "bgr":
        levels = levels[..., ::-1]
    if channels_first:
        levels = _tools(levels).transpose(levels, (0, 3, 1, 2))
    return levels


def finish(scores: Any, exit_: Exit) -> Any:
    """Make probabilities, float32 (1, classes), of what a network gives for one picture."""
    row = _tools(scores).reshape(scores, (1, -1))
    if exit_.activation == "softmax":
        return row
    if isinstance(row, np.ndarray):
        powers = np.exp(row - row.max())
        return powers / powers.sum()
    return _tools(row).nn.softmax(row)


def pool(features: Any, channels_first: bool) -> Any:
    """Average features with places over these; return a row, float32 (1, n)."""
    tools = _tools(features)
    if len(features.shape) == 4:
        features = tools.reduce_mean(features, (2, 3) if channels_first else (1, 2))
    return tools.reshape(features, (1, -1))


def find_layout(shape: Sequence[int | None] | None, entrance: Entrance, origin: str) -> bool:
    """Tell whether a network's input has its channels first; None in a shape stands for any size.

    Raises:
        ModelyardError: the input has another size than conf/ says.
    """
    expected = (entrance.height, entrance.width, entrance.channels)
    if shape is None or _admits(shape, expected):
        return False
    if _admits(shape, (expected[2], *expected[:2])):
        return True
    height, width, channels = expected
    found = " x ".join("any" if size is None else str(size) for size in shape[1:]) or "one number"
    raise ModelyardError(
        f"{origin}: expected an input of {height} x {width} x {channels} (pretrained.input), the network "
        f"takes {found}: correct conf/"
    )


def _admits(shape: Sequence[int | None], sizes: Sequence[int]) -> bool:
    return (
        len(shape) == 4
        and shape[0] in (None, 1)
        and all(known in (None, size) for known, size in zip(shape[1:], sizes, strict=True))
    )


def _tools(values: Any) -> Any:
    """Return numpy, or tensorflow for a tensor."""
    if isinstance(values, np.ndarray):
        return np
    import tensorflow as tf

    return tf
