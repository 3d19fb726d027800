"""The batch norm of 2015, folded into the convolutions before it.

TensorFlow removed `BatchNormWithGlobalNormalization` at GraphDef version 9. A v1 Session still runs older
graphs; SavedModel and LiteRT do not.
"""

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.networks.formats.allowed_ops import BATCH_NORM, CHECK
from modelyard.networks.formats.graphdef import node_of

if TYPE_CHECKING:
    from tensorflow.core.framework.graph_pb2 import GraphDef
    from tensorflow.core.framework.node_def_pb2 import NodeDef


def fold_batch_norm(graph: "GraphDef") -> "GraphDef":
    """Return an equivalent graph of today's version, without batch norms and numeric checks.

    Each batch norm `(x - mean) / sqrt(variance + variance_epsilon) * gamma + beta` (without gamma where
    `scale_after_normalization` is false) becomes a bias, and a factor on the filters of the convolution
    before it. `CheckNumerics` goes, with its control edges. Raises ModelyardError if a batch norm does not
    follow a convolution of its own, or reads no constants.
    """
    import tensorflow as tf
    from tensorflow.core.framework.graph_pb2 import GraphDef

    folded = GraphDef()
    folded.CopyFrom(graph)
    _drop_checks(folded)
    nodes = {node.name: node for node in folded.node}
    readers = Counter(node_of(name) for node in folded.node for name in node.input)
    for norm in [node for node in folded.node if node.op == BATCH_NORM]:
        _fold(folded, norm, nodes, readers)
    folded.versions.producer = tf.version.GRAPH_DEF_VERSION
    folded.versions.min_consumer = 0
    return folded


def _drop_checks(graph: "GraphDef") -> None:
    """Remove every CheckNumerics: its readers read its input instead, and its control edges go."""
    checked = {node.name: node.input[0] for node in graph.node if node.op == CHECK}
    kept = [node for node in graph.node if node.name not in checked]
    for node in kept:
        edges = [name for name in node.input if not (name.startswith("^") and node_of(name) in checked)]
        del node.input[:]
        node.input.extend(_past_checks(name, checked) for name in edges)
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)


def _past_checks(tensor: str, checked: dict[str, str]) -> str:
    while node_of(tensor) in checked:
        tensor = checked[node_of(tensor)]
    return tensor


def _fold(graph: "GraphDef", norm: "NodeDef", nodes: dict[str, "NodeDef"], readers: "Counter[str]") -> None:
    """Turn one batch norm into a BiasAdd, with new filters for the convolution that it reads."""
    convolution = nodes[node_of(norm.input[0])]
    if convolution.op != "Conv2D" or readers[convolution.name] != 1:
        raise ModelyardError(
            f"node {norm.name!r}: expected a batch norm after a convolution that nothing else "
            f"reads, got {convolution.op} {convolution.name!r} with {readers[convolution.name]} readers"
        )
    if convolution.attr["data_format"].s not in (b"", b"NHWC"):
        raise ModelyardError(f"node {convolution.name!r}: expected data_format NHWC")
    mean, variance, beta, gamma = (_constant(name, norm, nodes) for name in norm.input[1:5])
    factor = 1 / np.sqrt(variance + np.float64(norm.attr["variance_epsilon"].f))
    if norm.attr["scale_after_normalization"].b:
        factor = factor * gamma
    filters = _constant(convolution.input[1], convolution, nodes) * factor
    convolution.input[1] = _add_constant(graph, f"{norm.name}/folded_filters", filters)
    bias = _add_constant(graph, f"{norm.name}/folded_bias", beta - mean * factor)
    norm.op = "BiasAdd"
    norm.input[1:5] = [bias]
    for attribute in ("variance_epsilon", "scale_after_normalization"):
        norm.attr.pop(attribute)


def _constant(tensor: str, reader: "NodeDef", nodes: dict[str, "NodeDef"]) -> NDArray[np.float64]:
    """Return a constant's value, also from behind an Identity."""
    import tensorflow as tf

    node = nodes[node_of(tensor)]
    while node.op == "Identity":
        node = nodes[node_of(node.input[0])]
    if node.op != "Const":
        raise ModelyardError(f"node {reader.name!r}: expected a constant {tensor!r}, got the op {node.op}")
    try:
        value: NDArray[Any] = tf.make_ndarray(node.attr["value"].tensor)
    except (ValueError, TypeError) as error:
        raise ModelyardError(f"node {node.name!r}: expected a whole constant ({error})") from None
    return value.astype(np.float64)


def _add_constant(graph: "GraphDef", name: str, value: NDArray[np.float64]) -> str:
    import tensorflow as tf

    node = graph.node.add(name=name, op="Const")
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.astype(np.float32)))
    return name
