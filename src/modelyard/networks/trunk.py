"""The trunk: the imported network up to its last pooling, taking digits as they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Preprocessing
from modelyard.networks.graphdef import cut_graph, fold_batch_norm, parse_graph
from modelyard.networks.imported import GRAPH, WEIGHTS, Imported
from modelyard.networks.quantized_weights import read_weights
from modelyard.networks.stand_in import build_network
from modelyard.quiet import quiet_tensorflow

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


@dataclass(frozen=True)
class Trunk:
    """What is made of a digit, as TensorFlow operations, so that whatever is converted has all of it inside.

    Attributes:
        features: float32 (1, height, width, 3), normalised, to the pooled features (1, ..., n).
        preprocessing: how the imported network wants a photo; a digit is prepared in the same way.
        variables: all that `features` reads.
    """

    features: "Callable[[tf.Tensor], tf.Tensor]"
    preprocessing: Preprocessing
    variables: "Sequence[tf.Variable]" = ()

    def __call__(self, image: "tf.Tensor") -> "tf.Tensor":
        """Return the features, float32 (1, n), of one digit, float32 (1, h, w, 1), 0..255."""
        import tensorflow as tf

        how = self.preprocessing
        size = (how.height, how.width)
        # As inference/resize.py does it.
        large = tf.raw_ops.ResizeBilinear(images=image, size=size, align_corners=how.align_corners)
        normal = (large - how.mean) * how.scale
        return tf.reshape(self.features(tf.concat([normal] * how.channels, axis=3)), (1, -1))


def load_trunk(imported: Imported, tensor: str) -> Trunk:
    """Make the trunk of an imported network, in silence.

    Args:
        imported: the official graph, or the stand-in for it.
        tensor: of the official graph, where the features are; the stand-in knows its own.

    Raises:
        ModelyardError: a file is missing or wrong, or the graph has no such tensor.
    """
    with quiet_tensorflow():
        if imported.format == "keras-weights":
            network = build_network(read_weights(imported.folder / WEIGHTS))
            return cut_network(network, imported.preprocessing)
        origin = str(imported.folder / GRAPH)
        graph = fold_batch_norm(parse_graph((imported.folder / GRAPH).read_bytes(), origin), origin)
        features = cut_graph(graph, imported.provenance["tensors"]["input"], tensor)
        return Trunk(features, imported.preprocessing)


def cut_network(network: "keras.Model", preprocessing: Preprocessing) -> Trunk:
    """Cut a Keras network after the one layer that averages over all places.

    Raises:
        ModelyardError: there is not one such layer.
    """
    import keras

    pooled = [layer for layer in network.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D)]
    if len(pooled) != 1:
        raise ModelyardError(f"{network.name}: expected one layer that averages, got {len(pooled)}")
    cut = keras.Model(network.inputs[0], pooled[0].output)
    variables = [variable.value for variable in cut.variables]
    return Trunk(lambda image: cut(image, training=False), preprocessing, variables)
