"""A frozen graph, unchanged, in a v1 Session: the reference for its conversions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.networks.formats.folding import fold_batch_norm
from modelyard.networks.formats.graphdef import check_tensors, cut_graph, parse_graph
from modelyard.networks.network import Floats, FunctionOriginal, Pixels, Prepare, Step, shorten
from modelyard.params.groups.pretrained import Decoded

if TYPE_CHECKING:
    from tensorflow.core.framework.graph_pb2 import GraphDef


class FrozenGraphOriginal(FunctionOriginal):
    """A frozen graph in a session, which holds memory until `close`."""

    def __init__(self, graph: "GraphDef", entrance: str, exit_: str, decoded: Decoded | None) -> None:
        """Load a graph that `graphdef.parse_graph` returned, between two tensors.

        If a graph decodes and resizes by itself, `decoded` names the tensors that take a file's bytes or
        pixels. Raises ModelyardError if TensorFlow cannot load the graph, or a tensor is missing.
        """
        import tensorflow as tf

        super().__init__()
        self._graph, self._decoded = graph, decoded
        self._entrance, self._exit = entrance, exit_
        tensors = [entrance, exit_]
        if decoded is not None:
            tensors += [decoded.contents_tensor, decoded.pixels_tensor]
        check_tensors(graph, tensors)
        with tf.Graph().as_default() as loaded:
            try:
                tf.graph_util.import_graph_def(graph, name="")
                found = [loaded.get_tensor_by_name(tensor) for tensor in tensors]
            except (ValueError, KeyError) as error:
                raise ModelyardError(f"TensorFlow cannot load the graph: {shorten(error)}") from error
        self.shape = found[0].shape
        # Not used as a context, which would make its graph the default for all later code.
        self._session = tf.compat.v1.Session(graph=loaded)

    def run(self, inputs: Floats) -> Floats:
        """See `Original.run`."""
        return self._feed(self._entrance, inputs)

    def run_picture(self, picture: Pixels, prepare: Prepare) -> Floats:
        """Feed decoded pixels if the graph resizes by itself."""
        if self._decoded is None:
            return super().run_picture(picture, prepare)
        colours = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
        return self._feed(self._decoded.pixels_tensor, colours.astype(np.float32))

    def run_file(self, content: bytes, prepare: Prepare) -> Floats:
        """Feed the file's bytes if the graph decodes by itself."""
        if self._decoded is None:
            return super().run_file(content, prepare)
        return self._feed(self._decoded.contents_tensor, content)

    def function(self, cut: str | None) -> tuple[Step, Sequence[Any]]:
        """Fold the old batch norm, which converters do not know, and cut the graph at its tensors."""
        exit_ = self._exit if cut is None else name_tensor(cut)
        check_tensors(self._graph, [exit_])
        folded = fold_batch_norm(self._graph)
        return cut_graph(folded, self._entrance, exit_), ()

    def close(self) -> None:
        """Close the session too."""
        super().close()
        self._session.close()

    def _feed(self, tensor: str, value: Any) -> Floats:
        scores: Floats = self._session.run(self._exit, {tensor: value})
        return scores


def open_frozen_graph(path: Path, reading: dict[str, Any]) -> FrozenGraphOriginal:
    """Read, check and load a .pb; see `parse_graph` and `FrozenGraphOriginal` for errors."""
    decoded = reading["decoded"]
    return FrozenGraphOriginal(
        parse_graph(path.read_bytes()),
        reading["input"]["tensor"],
        reading["output"]["tensor"],
        None if decoded is None else Decoded.model_validate(decoded),
    )


def name_tensor(name: str) -> str:
    """Return a tensor's full name: "pool" becomes "pool:0"."""
    return name if ":" in name else f"{name}:0"
