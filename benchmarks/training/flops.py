"""Floating-point operations of a network, counted from the shapes of its layers."""

import math
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError

if TYPE_CHECKING:
    import keras

# Every position in the output of the first uses each of their kernels once. The weights of the others take
# part in a few operations a channel: less than a hundredth of a convolution's.
WITH_KERNELS = ("Conv2D", "Dense", "DepthwiseConv2D", "SeparableConv2D")
LEFT_OUT = ("BatchNormalization",)


def count_training_flops(network: "keras.Model") -> int:
    """Count the operations of one training step for one picture, in all members of an ensemble.

    A multiply-add is two. A layer computes once forward; backward as much again for the gradient of weights
    that are learned, and for that of its inputs if something below is learned. Products with zero padding
    count; activations, pools, normalisation, loss, optimizer and augmentation do not.
    """
    members = [layer for layer in network.layers if hasattr(layer, "layers")]
    return sum(_count_member(member) for member in members or [network])


def _count_member(network: "keras.Model") -> int:
    operations, learns_below = 0, False
    for layer in network.layers:
        learns = bool(layer.trainable_weights)
        operations += 2 * _count_multiply_adds(layer) * (1 + learns + learns_below)
        learns_below = learns_below or learns
    return operations


def _count_multiply_adds(layer: "keras.Layer") -> int:
    kind = type(layer).__name__
    if kind not in WITH_KERNELS:
        if layer.trainable_weights and kind not in LEFT_OUT:
            raise ModelyardError(f"expected layers of {', '.join(WITH_KERNELS)} to count, got {kind}")
        return 0
    _, *positions, _ = layer.output.shape
    kernels = [weight for weight in layer.weights if weight.name.endswith("kernel")]
    return int(math.prod(positions) * sum(math.prod(kernel.shape) for kernel in kernels))
