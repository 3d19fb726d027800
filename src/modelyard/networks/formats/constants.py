"""Constants that TensorFlow computes shapes from: of a wrong type they abort the process without an error."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError

if TYPE_CHECKING:
    from tensorflow.core.framework.node_def_pb2 import NodeDef

# The inputs of each op that must be whole numbers: axes, sizes, shapes. Checked with TensorFlow 2.21.
_WHOLE = {
    **dict.fromkeys(("Concat", "Split", "Fill"), (0,)),
    **dict.fromkeys(("Mean", "Sum", "Max", "Min", "Prod", "Pad", "PadV2", "MirrorPad"), (1,)),
    **dict.fromkeys(("Reshape", "ExpandDims", "Transpose", "Tile", "BroadcastTo", "ReverseV2"), (1,)),
    **dict.fromkeys(("ResizeBilinear", "ResizeNearestNeighbor"), (1,)),
    **dict.fromkeys(("Slice", "SplitV", "SpaceToBatchND", "BatchToSpaceND"), (1, 2)),
    "ConcatV2": (-1,),
    "GatherV2": (2,),
    "StridedSlice": (1, 2, 3),
}


def check_constants(nodes: Iterable["NodeDef"]) -> None:
    """Raise a ModelyardError if a constant among the nodes of a graph or function has a wrong type."""
    from tensorflow.core.framework.types_pb2 import DT_INT32, DT_INT64

    nodes = list(nodes)
    types = {}
    for node in nodes:
        if node.op == "Const":
            declared, held = node.attr["dtype"].type, node.attr["value"].tensor.dtype
            if declared != held:
                names = [_name(one) for one in (declared, held)]
                raise ModelyardError(f"node {node.name!r} declares {names[0]} and holds {names[1]}: refused")
            types[node.name] = held
    for node in nodes:
        inputs = [name.partition(":")[0] for name in node.input if not name.startswith("^")]
        for place in _WHOLE.get(node.op, ()):
            found = types.get(inputs[place]) if -len(inputs) <= place < len(inputs) else None
            if found is not None and found not in (DT_INT32, DT_INT64):
                raise ModelyardError(
                    f"node {node.name!r} ({node.op}) expected whole numbers from {inputs[place]!r}, "
                    f"got {_name(found)}: refused"
                )


def _name(number: int) -> str:
    """Name a type; a broken file may have a number without one."""
    from tensorflow.core.framework.types_pb2 import DataType

    return str(DataType.Name(number)) if number in DataType.values() else f"type {number}"
