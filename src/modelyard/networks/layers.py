"""The layers of the Keras networks that are trained here, and of their ensembles."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelyard.params import Model

if TYPE_CHECKING:
    import keras

# Of the running mean and variance; with Keras' 0.99, their start still counts after an epoch of 215 steps.
BATCH_NORM_MOMENTUM = 0.95


def build_network(
    model: Model, shape: tuple[int, ...], classes: int, precision: str = "float32", fused: bool = False
) -> "keras.Model":
    """Make one network with fresh weights, from float32 (n, *shape) to probabilities, float32 (n, classes).

    The input is pixels (h, w, c) of 0..255, normalised inside so that clients send plain pixels, or features
    (w,). `precision` is what the layers compute in, as Keras names it; weights and output are always float32.
    With `fused`, a single fast operation normalises the channels: the weights are the same, but the file
    needs this package. `model.members` is ignored.
    """
    import keras
    from keras import layers

    network = [keras.Input(shape, name="image")]
    if model.input == "pixels":
        network.append(layers.Rescaling(1 / 255, dtype=precision))
        if model.crop:
            network.append(layers.Cropping2D(model.crop, dtype=precision))
    elif model.batch_norm:
        # Fixed before the training, to mean and variance of all features: a folder may be a batch or two.
        network.append(layers.BatchNormalization(scale=False, center=False, trainable=False, dtype=precision))
    for number in range(len(model.convolutions)):
        network += _convolve(model, number, precision, fused)
    if model.head == "average":
        network.append(layers.GlobalAveragePooling2D(dtype=precision))
    elif model.input == "pixels":
        network.append(layers.Flatten(dtype=precision))
    for units in model.dense:
        network += _drop(model.dropout, precision)
        network.append(layers.Dense(units, activation="relu", dtype=precision))
    network += _drop(model.dropout, precision)
    network.append(layers.Dense(classes, activation="softmax", name="probabilities", dtype="float32"))
    return keras.Sequential(network, name=model.name)


def join_members(model: Model, members: Sequence["keras.Model"]) -> "keras.Model":
    """Make one network of several: its output is the average of theirs."""
    import keras

    if len(members) == 1:
        return members[0]
    image = keras.Input(members[0].input_shape[1:], name="image")
    for number, member in enumerate(members):
        member.name = f"member_{number}"
    answers = [member(image) for member in members]
    return keras.Model(image, keras.layers.Average(name="average")(answers), name=model.name)


def _normalise(fused: bool, **settings: Any) -> "keras.Layer":
    import keras

    if not fused:
        return keras.layers.BatchNormalization(**settings)
    from modelyard.networks.normalization import FusedBatchNormalization

    return FusedBatchNormalization(**settings)


def _convolve(model: Model, number: int, precision: str, fused: bool) -> list["keras.Layer"]:
    from keras import layers

    shape = model.convolutions[number]
    learns = number > 0 or model.first_filters == "learned"

    made = [
        layers.Conv2D(
            shape.filters,
            shape.kernel,
            strides=shape.stride,
            padding=shape.padding,
            # The normalisation would remove a bias.
            use_bias=not model.batch_norm,
            trainable=learns,
            dtype=precision,
        )
    ]
    # Pooling first leaves a quarter of the work, and gives the same after relu.
    if shape.pool > 1:
        made.append(layers.MaxPooling2D(shape.pool, dtype=precision))
    if model.batch_norm:
        # A scale would send a gradient to a layer that learns nothing.
        affine = {"scale": learns, "center": learns}
        made.append(_normalise(fused, momentum=BATCH_NORM_MOMENTUM, dtype=precision, **affine))
    return [*made, layers.ReLU(dtype=precision)]


def _drop(share: float, precision: str) -> list["keras.Layer"]:
    from keras import layers

    return [layers.Dropout(share, dtype=precision)] if share else []
