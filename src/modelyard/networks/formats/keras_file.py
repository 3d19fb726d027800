"""A Keras file, a whole network or weights alone: opened, run, and cut after a layer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.networks.formats.graphdef import suggest
from modelyard.networks.formats.keras_safety import check_hdf5, check_keras_archive
from modelyard.networks.network import Floats, FunctionOriginal, Step, shorten

if TYPE_CHECKING:
    import keras


class KerasOriginal(FunctionOriginal):
    """A Keras network, as loaded."""

    def __init__(self, network: "keras.Model") -> None:
        """Keep a network; raises ModelyardError if it has several inputs or outputs."""
        super().__init__()
        import tensorflow as tf

        self._network = network
        # One graph: layer by layer, a picture would take several times as long.
        self._answer = tf.function(lambda inputs: network(inputs, training=False), autograph=False)
        counts = len(network.inputs), len(network.outputs)
        if counts != (1, 1):
            raise ModelyardError(f"expected one input and one output, got {counts[0]} and {counts[1]}")
        self.shape = network.inputs[0].shape

    def run(self, inputs: Floats) -> Floats:
        """See `Original.run`."""
        return np.asarray(self._answer(inputs))

    def function(self, cut: str | None) -> tuple[Step, Sequence[Any]]:
        """Return the network, or its part up to a layer."""
        import keras

        network = self._network
        if cut is not None:
            names = [layer.name for layer in network.layers]
            if cut not in names:
                raise ModelyardError(
                    f"expected a layer {cut!r}, the network has none{suggest(cut, names)}: "
                    "correct pretrained.features in conf/"
                )
            network = keras.Model(network.inputs, network.get_layer(cut).output)
        return lambda inputs: network(inputs, training=False), [one.value for one in network.variables]


def open_keras_file(path: Path, reading: dict[str, Any]) -> KerasOriginal:
    """Check and load a .keras or .h5; `reading` holds the values of conf/ as JSON.

    Raises ModelyardError if the file holds something that is not allowed (see `keras_safety`), Keras cannot
    load it, or the weights do not fit the architecture that conf/ names.
    """
    import keras

    architecture = reading["architecture"]
    if path.suffix == ".keras":
        check_keras_archive(path)
    else:
        check_hdf5(path, whole=architecture is None)
    try:
        if architecture is None:
            network = keras.models.load_model(path, compile=False, safe_mode=True)
        else:
            network = _build_application(architecture, reading)
            network.load_weights(path)
    except ModelyardError:
        raise
    except Exception as error:
        # Keras has no class of errors for an unknown argument of a layer, or a weight of another shape.
        raise ModelyardError(f"Keras cannot load it: {shorten(error)}") from error
    return KerasOriginal(network)


def _build_application(architecture: str, reading: dict[str, Any]) -> "keras.Model":
    import keras

    how, exit_ = reading["input"], reading["output"]
    known = [name for name in dir(keras.applications) if name[0].isupper()]
    if architecture not in known:
        raise ModelyardError(
            f"pretrained.architecture: expected a function of keras.applications, got {architecture!r}"
            f"{suggest(architecture, known)}"
        )
    return getattr(keras.applications, architecture)(
        weights=None,
        include_top=True,
        input_shape=(how["height"], how["width"], how["channels"]),
        classes=exit_["classes"],
        classifier_activation="softmax" if exit_["activation"] == "softmax" else None,
    )
