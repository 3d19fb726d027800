"""A frozen TensorFlow graph: read, checked, and cut at its tensors."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.networks.formats.allowed_ops import BATCH_NORM, COMPUTING
from modelyard.networks.formats.constants import check_constants

if TYPE_CHECKING:
    import tensorflow as tf
    from tensorflow.core.framework.graph_pb2 import GraphDef

# TensorFlow removed the op at this version of graphs.
_WITHOUT_BATCH_NORM = 9


def parse_graph(content: bytes) -> "GraphDef":
    """Read a frozen graph from a serialised GraphDef, and refuse what a classifier does not need.

    Raises ModelyardError, with node and op, if it is no GraphDef, has functions, or a node has an unknown op,
    a duplicate name, a missing input or a constant of another type than it is used as.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorflow.core.framework.graph_pb2 import GraphDef

    graph = GraphDef()
    try:
        graph.ParseFromString(content)
    except DecodeError as error:
        raise ModelyardError(
            f"expected a frozen TensorFlow graph, but it cannot be parsed ({error})"
        ) from None
    if not graph.node:
        raise ModelyardError("expected a frozen TensorFlow graph, got one without nodes")
    _check_ops(graph)
    _check_edges(graph)
    check_constants(graph.node)
    if graph.versions.producer >= _WITHOUT_BATCH_NORM and any(node.op == BATCH_NORM for node in graph.node):
        # A later graph with the removed op: TensorFlow runs it only as an older graph.
        graph.versions.producer = _WITHOUT_BATCH_NORM - 1
    return graph


def cut_graph(graph: "GraphDef", entrance: str, exit_: str) -> "Callable[[tf.Tensor], tf.Tensor]":
    """Return the part of a graph of today's version between two tensors, such as "Mul:0", as a function."""
    import tensorflow as tf

    check_tensors(graph, (entrance, exit_))
    # wrap_function and prune are the only way from a v1 graph to a TensorFlow 2 function.
    imported = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    cut: Callable[[tf.Tensor], tf.Tensor] = imported.prune(entrance, exit_)
    return cut


def check_tensors(graph: "GraphDef", tensors: Sequence[str]) -> None:
    """Raise a ModelyardError, with similar names, if the node of a tensor such as "Mul:0" is missing."""
    names = [node.name for node in graph.node]
    for tensor in tensors:
        node = node_of(tensor)
        if node not in names:
            raise ModelyardError(
                f"expected a tensor {tensor!r}, the graph has none{suggest(node, names)}: "
                "correct pretrained in conf/"
            )


def suggest(name: str, names: Iterable[str]) -> str:
    """Return the names that a wrong one may have meant, as the end of a sentence, or ""."""
    close = get_close_matches(name, names, cutoff=0.4)
    return f" (but {', '.join(repr(one) for one in close)})" if close else ""


def node_of(tensor: str) -> str:
    """Return the node of an input: "conv" for "conv", "conv:0" and the control edge "^conv"."""
    return tensor.removeprefix("^").partition(":")[0]


def _check_ops(graph: "GraphDef") -> None:
    if graph.library.function:
        name = graph.library.function[0].signature.name
        raise ModelyardError(f"expected a graph without functions, got the function {name!r}: refused")
    for node in graph.node:
        if node.op not in COMPUTING:
            raise ModelyardError(
                f"node {node.name!r} has the op {node.op!r}, which is not among the "
                f"{len(COMPUTING)} that classifiers are made of (networks/formats/allowed_ops.py): refused"
            )


def _check_edges(graph: "GraphDef") -> None:
    names = Counter(node.name for node in graph.node)
    [(name, count)] = names.most_common(1)
    if count > 1:
        raise ModelyardError(f"expected one node {name!r}, got {count}")
    for node in graph.node:
        for name in node.input:
            if node_of(name) not in names:
                raise ModelyardError(f"node {node.name!r} reads {name!r}, which is not in the graph")
