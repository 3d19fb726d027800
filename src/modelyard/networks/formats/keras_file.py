"""A Keras network: opened, asked, and cut after a layer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.networks.formats.graphdef import suggest
from modelyard.networks.network import Floats, FunctionOriginal, Step
from modelyard.networks.scaling import find_layout
from modelyard.params.pretrained import Entrance, Exit

if TYPE_CHECKING:
    import keras


class KerasOriginal(FunctionOriginal):
    """A Keras network as it was loaded."""

    def __init__(self, network: "keras.Model", reading: dict[str, Any], origin: str) -> None:
        """Check the network's input.

        Args:
            network: with one input and one output.
            reading: the values of conf/ as JSON.
            origin: the file it comes from, for messages.

        Raises:
            ModelyardError: it has several inputs or outputs, or its input another size than conf/ says.
        """
        entrance = Entrance.model_validate(reading["input"])
        super().__init__(entrance, Exit.model_validate(reading["output"]), origin)
        self._network = network
        counts = len(network.inputs), len(network.outputs)
        if counts != (1, 1):
            raise ModelyardError(
                f"{origin}: expected one input and one output, got {counts[0]} and {counts[1]}"
            )
        self.channels_first = find_layout(network.inputs[0].shape, entrance, origin)

    def run(self, inputs: Floats) -> Floats:
        """See `Original.run`."""
        return np.asarray(self._network(inputs, training=False))

    def function(self, cut: str | None) -> tuple[Step, Sequence[Any]]:
        """Return the network, or its part up to a layer."""
        import keras

        network = self._network
        if cut is not None:
            names = [layer.name for layer in network.layers]
            if cut not in names:
                raise ModelyardError(
                    f"{self.origin}: expected a layer {cut!r}, the network has none{suggest(cut, names)}: "
                    "correct pretrained.features in conf/"
                )
            network = keras.Model(network.inputs, network.get_layer(cut).output)
        return lambda inputs: network(inputs, training=False), [one.value for one in network.variables]
