"""The stand-in's network: Inception v3 with the head and the weights of the npm package nsfwjs."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.networks.formats.keras_file import KerasOriginal
from modelyard.networks.formats.quantized_weights import read_weights
from modelyard.networks.network import shorten

if TYPE_CHECKING:
    import keras

Weights = dict[str, NDArray[np.float32]]

# As the package's own code prepares a picture: RGB / 255, bilinear with aligned corners.
INPUT = {
    "height": 299,
    "width": 299,
    "channels": 3,
    "fit": "stretch_corners",
    "order": "rgb",
    "mean": 0.0,
    "scale": 1 / 255,
}
FEATURES = "pooled"
_CONVOLUTIONS = 94
_HEAD = {"dense_1": (256, "relu"), "dense_2": (128, "relu")}
_LAST = "dense_3"
_NORM = ("beta", "moving_mean", "moving_variance")


def check_weights(names: set[str], outputs: int, labels: int, origin: str) -> None:
    """Raise a ModelyardError unless these are this network's weights, with one label for each output."""
    numbers = range(1, _CONVOLUTIONS + 1)
    expected = {f"conv2d_{number}/kernel" for number in numbers}
    expected |= {f"batch_normalization_{number}/{part}" for number in numbers for part in _NORM}
    expected |= {f"{layer}/{part}" for layer in (*_HEAD, _LAST) for part in ("kernel", "bias")}
    if names != expected:
        raise ModelyardError(
            f"{origin}: expected the {len(expected)} weights of Inception v3, missing "
            f"{sorted(expected - names)[:3]}, not known {sorted(names - expected)[:3]}"
        )
    if outputs != labels:
        raise ModelyardError(
            f"pretrained.fallback.labels: expected {outputs} labels for {origin}, got {labels}"
        )


def build_network(weights: Weights) -> "keras.Model":
    """Build the network: float32 (n, 299, 299, 3), 0..1, to probabilities, float32 (n, labels)."""
    import keras
    from keras import layers

    trunk = keras.applications.InceptionV3(weights=None, include_top=False, input_shape=(299, 299, 3))
    answer = layers.GlobalAveragePooling2D(name=FEATURES)(trunk.output)
    for name, (units, activation) in _HEAD.items():
        answer = layers.Dense(units, activation=activation, name=name)(answer)
    outputs = len(weights[f"{_LAST}/bias"])
    answer = layers.Dense(outputs, activation="softmax", name=_LAST)(answer)
    network = keras.Model(trunk.input, answer)
    try:
        _assign(network, weights)
    except ValueError as error:
        raise ModelyardError(f"the stand-in's weights do not fit Inception v3: {shorten(error)}") from error
    return network


def open_stand_in(path: Path) -> KerasOriginal:
    """Build the network from the weights in an .npz; see `read_weights` and `build_network` for errors."""
    return KerasOriginal(build_network(read_weights(path)))


def _assign(network: "keras.Model", weights: Weights) -> None:
    """Set every layer's weights; convolutions and batch norms are numbered in the order of their making."""
    from keras import layers

    for number, layer in enumerate(_in_order(network, layers.Conv2D), 1):
        layer.kernel.assign(weights[f"conv2d_{number}/kernel"])
    for number, layer in enumerate(_in_order(network, layers.BatchNormalization), 1):
        for part in _NORM:
            getattr(layer, part).assign(weights[f"batch_normalization_{number}/{part}"])
    for name in (*_HEAD, _LAST):
        layer = network.get_layer(name)
        layer.kernel.assign(weights[f"{name}/kernel"])
        layer.bias.assign(weights[f"{name}/bias"])


def _in_order(network: "keras.Model", kind: Any) -> list[Any]:
    """Return the layers of a kind by the number in their names; the first one of a process has none."""
    found = [layer for layer in network.layers if isinstance(layer, kind)]
    return sorted(found, key=lambda layer: int((re.findall(r"_(\d+)$", layer.name) or ["0"])[0]))
