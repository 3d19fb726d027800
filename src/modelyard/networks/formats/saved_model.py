"""A SavedModel of TensorFlow 2: checked before it is loaded, and run through its signature."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.networks.formats.allowed_ops import STORING, WITH_VARIABLES
from modelyard.networks.formats.constants import check_constants
from modelyard.networks.formats.frozen_graph import name_tensor
from modelyard.networks.formats.graphdef import cut_graph
from modelyard.networks.network import Floats, FunctionOriginal, Step, shorten

if TYPE_CHECKING:
    from tensorflow.core.framework.node_def_pb2 import NodeDef
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef, SignatureDef

SIGNATURE = "serving_default"
# Tables and files that loading would read.
_REFUSED_KINDS = ("asset", "resource")


class SavedModelOriginal(FunctionOriginal):
    """A loaded SavedModel."""

    def __init__(self, path: Path) -> None:
        """Check and load the SavedModel in the folder `path`.

        Raises ModelyardError if it holds something that is not allowed, or lacks a signature serving_default
        from one float32 image to one output.
        """
        import tensorflow as tf

        super().__init__()
        signature = check_saved_model((path / "saved_model.pb").read_bytes())
        [(self._input, tensor)] = signature.inputs.items()
        self.shape = tensor.tensor_shape
        try:
            self._loaded = tf.saved_model.load(str(path))
        except Exception as error:
            # TensorFlow has many classes of errors for a damaged checkpoint or a missing file.
            raise ModelyardError(f"TensorFlow cannot load it: {shorten(error)}") from error
        # The loaded object holds the variables, so it must live as long as the signature.
        self._signature = self._loaded.signatures[SIGNATURE]

    def run(self, inputs: Floats) -> Floats:
        """See `Original.run`."""
        import tensorflow as tf

        [answer] = self._signature(**{self._input: tf.constant(inputs)}).values()
        return np.asarray(answer)

    def function(self, cut: str | None) -> tuple[Step, Sequence[Any]]:
        """Freeze the signature, and cut it as a frozen graph."""
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

        frozen = convert_variables_to_constants_v2(self._signature, lower_control_flow=False)
        exit_ = frozen.outputs[0].name if cut is None else name_tensor(cut)
        return cut_graph(frozen.graph.as_graph_def(), frozen.inputs[0].name, exit_), ()


def check_saved_model(content: bytes) -> "SignatureDef":
    """Refuse a saved_model.pb that could do more than compute, without loading it; return its signature."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    try:
        graphs = SavedModel.FromString(content).meta_graphs
    except DecodeError as error:
        raise ModelyardError(f"expected a saved_model.pb, but it cannot be parsed ({error})") from None
    if len(graphs) != 1 or not graphs[0].HasField("object_graph_def"):
        raise ModelyardError(
            "expected a SavedModel of TensorFlow 2 with one graph, got one of TensorFlow 1 or "
            f"with {len(graphs)} graphs: freeze it, and import the .pb as format frozen_graph"
        )
    _check_nodes(graphs[0])
    for nodes in (graphs[0].graph_def.node, *(one.node_def for one in graphs[0].graph_def.library.function)):
        check_constants(nodes)
    _check_objects(graphs[0])
    return _find_signature(graphs[0])


def _check_nodes(graph: "MetaGraphDef") -> None:
    storing = _find_storing(graph)
    saver = {graph.saver_def.save_tensor_name.partition(":")[0], graph.saver_def.restore_op_name}
    for where, node in _walk_nodes(graph):
        if node.op not in WITH_VARIABLES and not (where in storing and node.op in STORING):
            raise ModelyardError(
                f"node {node.name!r} has the op {node.op!r}, which is not among those that "
                "classifiers are made of (networks/formats/allowed_ops.py): refused"
            )
        called = storing & set(_called(node))
        read = saver & {name.removeprefix("^").partition(":")[0] for name in node.input}
        if (called and (where or node.name not in saver)) or (read and not where):
            raise ModelyardError(f"node {node.name!r} reads or writes checkpoints by itself: refused")


def _check_objects(graph: "MetaGraphDef") -> None:
    objects = graph.object_graph_def
    kinds = {node.WhichOneof("kind") for node in objects.nodes}
    if found := sorted(kinds.intersection(_REFUSED_KINDS)):
        raise ModelyardError(f"expected layers alone, got an object of the kind {found[0]}: refused")
    if found := sorted(_find_storing(graph).intersection(objects.concrete_functions)):
        raise ModelyardError(f"the function {found[0]!r} reads or writes checkpoints: refused")


def _find_storing(graph: "MetaGraphDef") -> set[str]:
    functions = graph.graph_def.library.function
    return {one.signature.name for one in functions if any(node.op in STORING for node in one.node_def)}


def _walk_nodes(graph: "MetaGraphDef") -> "Iterator[tuple[str, NodeDef]]":
    """Yield every node with the name of its function, "" for the graph itself."""
    for node in graph.graph_def.node:
        yield "", node
    for function in graph.graph_def.library.function:
        for node in function.node_def:
            yield function.signature.name, node


def _called(node: "NodeDef") -> Iterator[str]:
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)


def _find_signature(graph: "MetaGraphDef") -> "SignatureDef":
    from tensorflow.core.framework.types_pb2 import DataType

    kinds = {number: name.removeprefix("DT_").lower() for name, number in DataType.items()}
    names = [name for name in graph.signature_def if not name.startswith("__")]
    if SIGNATURE not in names:
        raise ModelyardError(f"expected the signature {SIGNATURE}, got {names or 'none'}")
    signature = graph.signature_def[SIGNATURE]
    sides = [
        [f"{kinds.get(tensor.dtype, 'unknown')} {name!r}" for name, tensor in sorted(side.items())]
        for side in (signature.inputs, signature.outputs)
    ]
    if [len(side) for side in sides] != [1, 1] or not all(side[0].startswith("float ") for side in sides):
        raise ModelyardError(
            f"{SIGNATURE}: expected one float32 image and one float32 output, got "
            f"{', '.join(sides[0]) or 'nothing'} to {', '.join(sides[1]) or 'nothing'}"
        )
    return signature
