"""Floating-point operations of a network, counted from the shapes of its layers."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError

if TYPE_CHECKING:
    import keras

# Every place of such a layer's output takes each of its kernels once.
WITH_KERNELS = ("Conv2D", "Dense", "DepthwiseConv2D", "SeparableConv2D")
# Their weights take part in a few operations a channel: under a hundredth of a convolution's.
LEFT_OUT = ("BatchNormalization",)


def count_training_flops(network: "keras.Model") -> int:
    """Count the operations of one training step for one picture.

    A multiply-add is two. Forward once; backward as much again for the gradient of weights that are learned,
    and for that of inputs where something below them is learned. What zero padding multiplies counts, as
    usual; activations, pools, normalisation, loss and optimizer do not, and neither does augmentation.

    Raises:
        ModelyardError: a layer with weights is of a kind that is not known here.
    """
    return sum(_count_member(member) for member in _list_members(network))


def count_multiply_adds(layer: "keras.Layer") -> int:
    """Count the multiply-adds of one layer for one picture, forward; 0 for a layer without kernels.

    Raises:
        ModelyardError: it has weights, and is of a kind that is not known here.
    """
    kind = type(layer).__name__
    if kind not in WITH_KERNELS:
        if layer.trainable_weights and kind not in LEFT_OUT:
            raise ModelyardError(f"expected layers of {', '.join(WITH_KERNELS)} to count, got {kind}")
        return 0
    _, *places, _ = layer.output.shape
    kernels = [weight for weight in layer.weights if weight.name.endswith("kernel")]
    return int(math.prod(places) * sum(math.prod(kernel.shape) for kernel in kernels))


def _count_member(network: "keras.Model") -> int:
    operations, learns_below = 0, False
    for layer in network.layers:
        learns = bool(layer.trainable_weights)
        operations += 2 * count_multiply_adds(layer) * (1 + learns + learns_below)
        learns_below = learns_below or learns
    return operations


def _list_members(network: "keras.Model") -> Iterator["keras.Model"]:
    """The networks that an ensemble is joined of, or the network itself."""
    members = [layer for layer in network.layers if hasattr(layer, "layers")]
    return iter(members or [network])
