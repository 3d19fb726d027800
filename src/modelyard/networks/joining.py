"""LiteRT models joined, the output of one into the input of the next, or cut at a tensor.

Nothing is converted again: the weights and operations of both stay the same, even if one has int8 weights and
the other float32, which a converter decides for a whole model.
"""

import struct
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.inference.runtime.interpreters import LoadedModel

_IDENTIFIER = b"TFL3"
# The format's: the processor reads weights in place, as vectors.
_ALIGNMENT_BYTES = 16


def join_models(first: bytes, second: bytes) -> bytes:
    """Join two models of one input each; raises ModelyardError if they do not fit.

    The first has one output, which becomes the input of the second.
    """
    whole, added = read_model(first), read_model(second, most_outputs=2)
    graph, more = whole.subgraphs[0], added.subgraphs[0]
    _check_seam(graph, more)
    codes, buffers, tensors = len(whole.operatorCodes), len(whole.buffers), len(graph.tensors)
    places = {place: place + tensors for place in range(len(more.tensors))}
    places[more.inputs[0]] = graph.outputs[0]
    # A missing optional input.
    places[-1] = -1
    for tensor in more.tensors:
        tensor.buffer += buffers
        # Names appear only in error messages, which should tell them apart.
        tensor.name = b"joined/" + tensor.name
    for operator in more.operators:
        operator.opcodeIndex += codes
        for name in ("inputs", "outputs", "intermediates"):
            listed = getattr(operator, name)
            setattr(operator, name, listed if listed is None else [places[place] for place in listed])
    whole.operatorCodes += added.operatorCodes
    whole.buffers += added.buffers
    graph.tensors += more.tensors
    graph.operators += more.operators
    graph.outputs = [places[place] for place in more.outputs]
    # They name the first model's output.
    whole.signatureDefs = []
    return _write(whole)


def cut_model(model: bytes, tensor: int, pooled: bool = False) -> bytes:
    """Return the part of a model that computes a tensor, given by its number, which becomes the output.

    With `pooled`, the output of a tensor (1, h, w, n) is its mean over height and width, (1, n).
    """
    whole = read_model(model)
    graph = whole.subgraphs[0]
    wanted, kept = {tensor}, []
    # Operators are in the order they run.
    for operator in reversed(graph.operators):
        if wanted.intersection(operator.outputs):
            wanted.update(operator.inputs)
            kept.append(operator)
    graph.operators, graph.outputs = kept[::-1], [tensor]
    if pooled and len(graph.tensors[tensor].shape) == 4:
        wanted.add(_add_mean(whole, tensor))
    used = {graph.tensors[place].buffer for place in wanted if place >= 0}
    for number, buffer in enumerate(whole.buffers):
        if number not in used:
            buffer.data = None
    whole.signatureDefs = []
    return _write(whole)


def find_tensor(
    model: bytes, levels: NDArray[np.float32], row: NDArray[np.float32], tolerance: float
) -> int | None:
    """Return the number of the last tensor that, pooled, is the row (1, n) for the input `levels`, or None.

    The length of the difference may be `tolerance` times the row's length.
    """
    graph = read_model(model).subgraphs[0]
    tensor: int
    for tensor in (int(place) for operator in reversed(graph.operators) for place in operator.outputs):
        shape = graph.tensors[tensor].shape
        if len(shape) in (2, 4) and shape[-1] == row.size:
            found = LoadedModel(cut_model(model, tensor, pooled=True), threads=1).run(levels).scores
            if np.linalg.norm(found - row) <= tolerance * np.linalg.norm(row):
                return tensor
    return None


def _add_mean(whole: Any, tensor: int) -> int:
    """Append the mean over height and width of a tensor; return the tensor that holds these axes."""
    from ai_edge_litert import schema_py_generated as schema

    graph, axes, mean = whole.subgraphs[0], schema.TensorT(), schema.TensorT()
    axes.name, axes.type, axes.shape = b"places", schema.TensorType.INT32, [2]
    axes.buffer = len(whole.buffers)
    mean.name, mean.type = b"mean", schema.TensorType.FLOAT32
    mean.shape = [1, graph.tensors[tensor].shape[-1]]
    values, code, operator = schema.BufferT(), schema.OperatorCodeT(), schema.OperatorT()
    values.data = np.frombuffer(np.array([1, 2], np.int32).tobytes(), np.uint8)
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.MEAN
    operator.opcodeIndex, first = len(whole.operatorCodes), len(graph.tensors)
    operator.inputs, operator.outputs = [tensor, first], [first + 1]
    operator.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
    operator.builtinOptions = schema.ReducerOptionsT()
    whole.buffers.append(values)
    whole.operatorCodes.append(code)
    graph.tensors += [axes, mean]
    graph.operators.append(operator)
    graph.outputs = operator.outputs
    return first


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Aligns every vector as weights need it; the generated code ignores `force_align`."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803
        return super().StartVector(elemSize, numElems, max(alignment, _ALIGNMENT_BYTES))


def read_model(model: bytes, most_outputs: int = 1) -> Any:
    """Read a model of one input as its schema's objects; raises ModelyardError if it has others."""
    from ai_edge_litert.schema_py_generated import ModelT

    try:
        read = ModelT.InitFromPackedBuf(model)
    except (struct.error, TypeError, ValueError, IndexError) as error:
        raise ModelyardError(f"expected a whole LiteRT model, but it cannot be parsed ({error})") from None
    counts = [(len(graph.inputs), len(graph.outputs)) for graph in read.subgraphs]
    if len(counts) != 1 or counts[0][0] != 1 or not 1 <= counts[0][1] <= most_outputs:
        raise ModelyardError(f"expected a LiteRT model of one graph with one input and output, got {counts}")
    return read


def _check_seam(graph: Any, more: Any) -> None:
    left, right = graph.tensors[graph.outputs[0]], more.tensors[more.inputs[0]]
    seams = [(tensor.type, [int(size) for size in tensor.shape]) for tensor in (left, right)]
    if seams[0] != seams[1]:
        raise ModelyardError(f"expected models that fit together, got {seams[0][1]} into {seams[1][1]}")


def _write(model: Any) -> bytes:
    builder = _AlignedBuilder(sum(0 if one.data is None else len(one.data) for one in model.buffers) + 2**16)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())
