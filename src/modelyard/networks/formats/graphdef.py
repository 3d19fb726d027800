"""A frozen TensorFlow graph: read, checked, and rewritten for converters of today.

TensorFlow removed the op `BatchNormWithGlobalNormalization` at GraphDef version 9. A v1 Session still runs a
graph of an older version; SavedModel and LiteRT do not, so its batch norm is folded into the convolutions.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError

if TYPE_CHECKING:
    import tensorflow as tf
    from tensorflow.core.framework.graph_pb2 import GraphDef
    from tensorflow.core.framework.node_def_pb2 import NodeDef

BATCH_NORM = "BatchNormWithGlobalNormalization"
CHECK = "CheckNumerics"
# At this version of graphs TensorFlow lost the op.
_WITHOUT_BATCH_NORM = 9
# What classifiers are made of. None of them reads a file, runs code or leaves the graph.
ALLOWED_OPS = frozenset({BATCH_NORM, CHECK, "DecodeJpeg", "DecodePng", "ResizeBilinear"}) | {
    *(
        "Const",
        "Placeholder",
        "PlaceholderWithDefault",
        "Identity",
        "IdentityN",
        "NoOp",
        "StopGradient",
        "Cast",
    ),
    *("Conv2D", "DepthwiseConv2dNative", "MatMul", "BatchMatMul", "BatchMatMulV2", "BiasAdd", "Einsum"),
    *("_FusedConv2D", "_FusedMatMul", "_FusedBatchNormEx", "_FusedDepthwiseConv2dNative"),
    *("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "LRN", "Mean", "Sum", "Max", "Min", "Prod"),
    *("MaxPool", "MaxPoolV2", "AvgPool", "Pad", "PadV2", "MirrorPad", "SpaceToBatchND", "BatchToSpaceND"),
    *(
        "Relu",
        "Relu6",
        "LeakyRelu",
        "Elu",
        "Selu",
        "Sigmoid",
        "Tanh",
        "Softplus",
        "Softsign",
        "Erf",
        "Softmax",
    ),
    *(
        "LogSoftmax",
        "Add",
        "AddV2",
        "AddN",
        "Sub",
        "Mul",
        "Div",
        "RealDiv",
        "FloorDiv",
        "FloorMod",
        "Neg",
        "Abs",
    ),
    *("Maximum", "Minimum", "Sqrt", "Rsqrt", "Square", "SquaredDifference", "Pow", "Exp", "Log", "Log1p"),
    *("Concat", "ConcatV2", "Split", "SplitV", "Slice", "StridedSlice", "Pack", "Unpack", "Tile", "Fill"),
    *(
        "Reshape",
        "Squeeze",
        "ExpandDims",
        "Shape",
        "Rank",
        "Size",
        "Transpose",
        "ReverseV2",
        "Range",
        "ZerosLike",
    ),
    *(
        "OnesLike",
        "BroadcastTo",
        "Gather",
        "GatherV2",
        "Select",
        "SelectV2",
        "Greater",
        "GreaterEqual",
        "Less",
    ),
    *(
        "LessEqual",
        "Equal",
        "NotEqual",
        "LogicalAnd",
        "LogicalOr",
        "LogicalNot",
        "Floor",
        "Round",
        "DepthToSpace",
    ),
    *("SpaceToDepth", "ResizeNearestNeighbor", "Reciprocal", "Switch", "Merge", "EnsureShape"),
}


def parse_graph(content: bytes, origin: str) -> "GraphDef":
    """Read a frozen graph, and refuse what a classifier does not hold.

    Args:
        content: a serialised GraphDef.
        origin: the file it comes from, for messages.

    Raises:
        ModelyardError: it is no GraphDef, holds functions, or a node has an unknown op, a name that is
            there already or an input that is not there; node and op are named.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorflow.core.framework.graph_pb2 import GraphDef

    graph = GraphDef()
    try:
        graph.ParseFromString(content)
    except DecodeError as error:
        raise ModelyardError(
            f"{origin}: expected a frozen TensorFlow graph, it cannot be parsed ({error})"
        ) from None
    if not graph.node:
        raise ModelyardError(f"{origin}: expected a frozen TensorFlow graph, got one without nodes")
    _check_ops(graph, origin)
    _check_edges(graph, origin)
    if graph.versions.producer >= _WITHOUT_BATCH_NORM and any(node.op == BATCH_NORM for node in graph.node):
        # Written later than the op was removed, yet with it: only as an older graph does TensorFlow run it.
        graph.versions.producer = _WITHOUT_BATCH_NORM - 1
    return graph


def fold_batch_norm(graph: "GraphDef", origin: str) -> "GraphDef":
    """Return a graph of today's version that answers alike, without batch norm and numeric checks.

    Each batch norm `(x - mean) / sqrt(variance + variance_epsilon) * gamma + beta` (without gamma where
    `scale_after_normalization` is false) becomes a bias, and a factor on the filters of the convolution
    before it. `CheckNumerics` goes, with the control edges that waited for it.

    Args:
        graph: what `parse_graph` returned; it stays as it is.
        origin: the file it comes from, for messages.

    Raises:
        ModelyardError: a batch norm does not follow a convolution of its own, or reads no constants.
    """
    import tensorflow as tf
    from tensorflow.core.framework.graph_pb2 import GraphDef

    folded = GraphDef()
    folded.CopyFrom(graph)
    _drop_checks(folded)
    nodes = {node.name: node for node in folded.node}
    readers = Counter(_base(name) for node in folded.node for name in node.input)
    for norm in [node for node in folded.node if node.op == BATCH_NORM]:
        _fold(folded, norm, nodes, readers, origin)
    folded.versions.producer = tf.version.GRAPH_DEF_VERSION
    folded.versions.min_consumer = 0
    return folded


def cut_graph(graph: "GraphDef", entrance: str, exit_: str) -> "Callable[[tf.Tensor], tf.Tensor]":
    """Return the part of a graph of today's version between two tensors, such as "Mul:0", as a function.

    Raises:
        ModelyardError: the graph has no node of that name.
    """
    import tensorflow as tf

    check_tensors(graph, (entrance, exit_), "the graph")
    # wrap_function and prune are the only way from a v1 graph to a function of today.
    imported = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    cut: Callable[[tf.Tensor], tf.Tensor] = imported.prune(entrance, exit_)
    return cut


def check_tensors(graph: "GraphDef", tensors: Sequence[str], origin: str) -> None:
    """Refuse tensors, such as "Mul:0", whose node is not in the graph.

    Raises:
        ModelyardError: the message names what the graph has of a similar name.
    """
    names = [node.name for node in graph.node]
    for tensor in tensors:
        if _base(tensor) not in names:
            raise ModelyardError(
                f"{origin}: expected a tensor {tensor!r}, the graph has none{suggest(_base(tensor), names)}: "
                "correct pretrained in conf/"
            )


def suggest(name: str, names: Iterable[str]) -> str:
    """Return the names that a wrong one may have meant, as the end of a sentence; "" where there are none."""
    close = get_close_matches(name, names, cutoff=0.4)
    return f" (but {', '.join(repr(one) for one in close)})" if close else ""


def _check_ops(graph: "GraphDef", origin: str) -> None:
    if graph.library.function:
        name = graph.library.function[0].signature.name
        raise ModelyardError(
            f"{origin}: expected a graph without functions, got the function {name!r}: refused"
        )
    for node in graph.node:
        if node.op not in ALLOWED_OPS:
            raise ModelyardError(
                f"{origin}: node {node.name!r} has the op {node.op!r}, which is not among the "
                f"{len(ALLOWED_OPS)} that classifiers are made of (networks/formats/graphdef.py): refused"
            )


def _check_edges(graph: "GraphDef", origin: str) -> None:
    names = Counter(node.name for node in graph.node)
    for name, count in names.items():
        if count > 1:
            raise ModelyardError(f"{origin}: expected one node {name!r}, got {count}")
    for node in graph.node:
        for name in node.input:
            if _base(name) not in names:
                raise ModelyardError(
                    f"{origin}: node {node.name!r} reads {name!r}, which is not in the graph"
                )


def _base(tensor: str) -> str:
    """Return the node of an input: "conv" for "conv", "conv:0" and the control edge "^conv"."""
    return tensor.removeprefix("^").partition(":")[0]


def _drop_checks(graph: "GraphDef") -> None:
    """Remove every CheckNumerics: what read it reads its input, what waited for it waits no more."""
    checked = {node.name: node.input[0] for node in graph.node if node.op == CHECK}
    kept = [node for node in graph.node if node.name not in checked]
    for node in kept:
        edges = [name for name in node.input if not (name.startswith("^") and _base(name) in checked)]
        del node.input[:]
        node.input.extend(_past_checks(name, checked) for name in edges)
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)


def _past_checks(tensor: str, checked: dict[str, str]) -> str:
    while _base(tensor) in checked:
        tensor = checked[_base(tensor)]
    return tensor


def _fold(
    graph: "GraphDef", norm: "NodeDef", nodes: dict[str, "NodeDef"], readers: "Counter[str]", origin: str
) -> None:
    """Turn one batch norm into a BiasAdd, with new filters for the convolution that it reads."""
    convolution = nodes[_base(norm.input[0])]
    if convolution.op != "Conv2D" or readers[convolution.name] != 1:
        raise ModelyardError(
            f"{origin}: node {norm.name!r}: expected a batch norm after a convolution that nothing else "
            f"reads, got {convolution.op} {convolution.name!r} with {readers[convolution.name]} readers"
        )
    if convolution.attr["data_format"].s not in (b"", b"NHWC"):
        raise ModelyardError(f"{origin}: node {convolution.name!r}: expected data_format NHWC")
    mean, variance, beta, gamma = (_constant(name, norm, nodes, origin) for name in norm.input[1:5])
    factor = 1 / np.sqrt(variance + np.float64(norm.attr["variance_epsilon"].f))
    if norm.attr["scale_after_normalization"].b:
        factor = factor * gamma
    filters = _constant(convolution.input[1], convolution, nodes, origin) * factor
    convolution.input[1] = _add_constant(graph, f"{norm.name}/folded_filters", filters)
    bias = _add_constant(graph, f"{norm.name}/folded_bias", beta - mean * factor)
    norm.op = "BiasAdd"
    norm.input[1:5] = [bias]
    for attribute in ("variance_epsilon", "scale_after_normalization"):
        norm.attr.pop(attribute)


def _constant(
    tensor: str, reader: "NodeDef", nodes: dict[str, "NodeDef"], origin: str
) -> NDArray[np.float64]:
    """Return a constant's value, also from behind an Identity."""
    import tensorflow as tf

    node = nodes[_base(tensor)]
    while node.op == "Identity":
        node = nodes[_base(node.input[0])]
    if node.op != "Const":
        raise ModelyardError(
            f"{origin}: node {reader.name!r}: expected a constant {tensor!r}, got the op {node.op}"
        )
    value: NDArray[Any] = tf.make_ndarray(node.attr["value"].tensor)
    return value.astype(np.float64)


def _add_constant(graph: "GraphDef", name: str, value: NDArray[np.float64]) -> str:
    import tensorflow as tf

    node = graph.node.add(name=name, op="Const")
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.astype(np.float32)))
    return name
