"""Two LiteRT models become one: what comes out of the first goes into the second.

Nothing is converted again: the weights and operations of both stay what they are, also where the one keeps
int8 and the other float32, which a converter decides for a whole model.
"""

from typing import Any

import flatbuffers  # type: ignore[import-untyped]

from modelyard.errors import ModelyardError

_IDENTIFIER = b"TFL3"
# Of the format: weights are read in place, in vectors of the processor.
_ALIGNMENT_BYTES = 16


def join_models(first: bytes, second: bytes) -> bytes:
    """Join two models; the result takes what the first takes, and gives what the second gives.

    Args:
        first: with one graph, one input and one output.
        second: as well; its input has the shape and type of the first one's output.

    Raises:
        ModelyardError: they do not fit together.
    """
    whole, added = _read(first), _read(second)
    graph, more = whole.subgraphs[0], added.subgraphs[0]
    _check_seam(graph, more)
    codes, buffers, tensors = len(whole.operatorCodes), len(whole.buffers), len(graph.tensors)
    places = {place: place + tensors for place in range(len(more.tensors))}
    places[more.inputs[0]] = graph.outputs[0]
    # An optional input that is not there.
    places[-1] = -1
    for tensor in more.tensors:
        tensor.buffer += buffers
        # Names show in error messages alone, but should be told apart there.
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
    graph.outputs = [places[more.outputs[0]]]
    # They name the first one's output.
    whole.signatureDefs = []
    return _write(whole)


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Puts every vector where weights may be read from; the generated code knows nothing of `force_align`."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803
        return super().StartVector(elemSize, numElems, max(alignment, _ALIGNMENT_BYTES))


def _read(model: bytes) -> Any:
    from ai_edge_litert.schema_py_generated import ModelT

    read = ModelT.InitFromPackedBuf(model)
    counts = [(len(graph.inputs), len(graph.outputs)) for graph in read.subgraphs]
    if counts != [(1, 1)]:
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
