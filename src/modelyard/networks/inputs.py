"""From a fitted picture to what a network takes: its layout is checked, its levels are scaled.

The same code runs before the unchanged original, and becomes part of the converted model.
"""

from typing import Any

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.params.groups.pretrained import Entrance


def normalize(levels: Any, entrance: Entrance, channels_first: bool) -> Any:
    """Return `(level - mean) * scale` of a fitted RGB picture, float32 (1, height, width, channels), 0..255.

    The channels' order is the entrance's; with `channels_first` the result is (1, channels, height, width).
    """
    import tensorflow as tf

    if any(entrance.mean):
        levels = levels - np.array(entrance.mean, np.float32)
    if any(scale != 1 for scale in entrance.scale):
        levels = levels * np.array(entrance.scale, np.float32)
    if entrance.order == "bgr":
        levels = levels[..., ::-1]
    if channels_first:
        levels = tf.transpose(levels, (0, 3, 1, 2))
    return levels


def find_layout(shape: Any, entrance: Entrance) -> bool:
    """Return whether an input of this TensorFlow shape, or list of sizes, has its channels first.

    Raises ModelyardError if it has another size than conf/ says.
    """
    import tensorflow as tf

    height, width, channels = entrance.height, entrance.width, entrance.channels
    found = tf.TensorShape(shape)
    if found.is_compatible_with((1, height, width, channels)):
        return False
    if found.is_compatible_with((1, channels, height, width)):
        return True
    sizes = " x ".join("any" if size is None else str(size) for size in found[1:]) or "one number"
    raise ModelyardError(
        f"expected an input of {height} x {width} x {channels} (pretrained.input), the network "
        f"takes {sizes}: correct conf/"
    )
