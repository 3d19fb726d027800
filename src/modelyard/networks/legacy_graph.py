"""The untouched graph of 2015 in a v1 Session: what every conversion of it is measured against."""

from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError

if TYPE_CHECKING:
    from tensorflow.core.framework.graph_pb2 import GraphDef


@dataclass(frozen=True)
class Tensors:
    """Where a picture enters the graph, and where the answer leaves it; names such as "Mul:0".

    Attributes:
        contents: a file's bytes, a scalar string.
        cast: decoded pixels, float32 (h, w, 3), 0..255.
        input: resized and normalised pixels, float32 (1, height, width, 3).
        output: probabilities, float32 (1, classes).
    """

    contents: str
    cast: str
    input: str
    output: str


class LegacyGraph:
    """A frozen graph that answers; a context manager, since its session holds memory."""

    def __init__(self, graph: "GraphDef", tensors: Tensors, classes: int, origin: str) -> None:
        """Load the graph.

        Args:
            graph: what `graphdef.parse_graph` returned.
            tensors: where it is fed and read.
            classes: how many outputs it must have.
            origin: the file it comes from, for messages.

        Raises:
            ModelyardError: TensorFlow cannot load it, or a tensor is not in it.
        """
        import tensorflow as tf

        self._tensors, self._classes, self._origin = tensors, classes, origin
        with tf.Graph().as_default() as loaded:
            try:
                tf.graph_util.import_graph_def(graph, name="")
            except ValueError as error:
                raise ModelyardError(f"{origin}: TensorFlow cannot load the graph ({error})") from error
        for tensor in (tensors.contents, tensors.cast, tensors.input, tensors.output):
            _find(loaded, tensor, origin)
        # Not entered as a context: that would make its graph the default one for all that follows.
        self._session = tf.compat.v1.Session(graph=loaded)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def probabilities_of_file(self, content: bytes) -> NDArray[np.float32]:
        """Answer for a JPEG's or PNG's bytes, decoded by the graph itself: float32 (classes,)."""
        return self._run(self._tensors.contents, content)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Answer for decoded RGB pixels (h, w, 3), resized by the graph itself: float32 (classes,)."""
        return self._run(self._tensors.cast, pixels.astype(np.float32))

    def _run(self, tensor: str, value: bytes | NDArray[np.float32]) -> NDArray[np.float32]:
        import tensorflow as tf

        try:
            answer = np.asarray(self._session.run(self._tensors.output, {tensor: value}), np.float32)
        except tf.errors.OpError as error:
            raise ModelyardError(f"{self._origin}: the graph does not run: {error.message}") from error
        if answer.shape != (1, self._classes):
            raise ModelyardError(
                f"{self._origin}: {self._tensors.output}: expected {self._classes} classes in the shape "
                f"(1, {self._classes}), got {answer.shape}: correct pretrained.output in conf/"
            )
        if not np.isfinite(answer).all():
            raise ModelyardError(f"{self._origin}: {self._tensors.output}: expected probabilities, got NaN")
        first: NDArray[np.float32] = answer[0]
        return first


def _find(loaded: object, tensor: str, origin: str) -> None:
    try:
        loaded.get_tensor_by_name(tensor)  # type: ignore[attr-defined]
    except (KeyError, ValueError) as error:
        raise ModelyardError(
            f"{origin}: expected a tensor {tensor!r}, the graph has none ({error}): "
            "correct pretrained in conf/"
        ) from None
