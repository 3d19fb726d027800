"""Builds frozen graphs as TensorFlow wrote them in 2015: GraphDef version 8, ops that are gone today."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.framework.graph_pb2 import GraphDef

PRODUCER = 8
MEAN, SCALE = 128.0, 0.0078125


class LegacyGraphBuilder:
    """Adds nodes to a graph; every method returns the name of what it added.

    Attributes:
        graph: what has been built so far.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.graph = GraphDef()
        self.graph.versions.producer = PRODUCER
        self._random = np.random.default_rng(seed)
        self._channels: dict[str, int] = {}
        self._add_entrance(size)

    def node(self, name: str, op: str, inputs: list[str], **attributes: Any) -> str:
        node = self.graph.node.add(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            _set(node.attr[key], value)
        return name

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        array = np.asarray(value, dtype)
        tensor = tf.make_tensor_proto(array)
        node = self.graph.node.add(name=name, op="Const")
        node.attr["dtype"].type = tensor.dtype
        node.attr["value"].tensor.CopyFrom(tensor)
        return name

    def convolution(
        self,
        name: str,
        entrance: str,
        shape: tuple[int, int, int],
        *,
        stride: int = 1,
        padding: str = "SAME",
        scaled: bool = True,
        epsilon: float = 0.001,
    ) -> str:
        """Convolution of (height, width, filters), batch norm, numeric check with its control edge, relu."""
        inputs = self._channels[entrance]
        spread = np.sqrt(2 / (shape[0] * shape[1] * inputs))
        filters = self._random.normal(0, spread, (*shape[:2], inputs, shape[2]))
        read = [entrance, self.constant(f"{name}/conv2d_params", filters)]
        strides = [1, stride, stride, 1]
        self.node(f"{name}/Conv2D", "Conv2D", read, T=tf.float32, strides=strides, padding=padding)
        read = [f"{name}/Conv2D", *self._moments(name, shape[2])]
        how = {"T": tf.float32, "variance_epsilon": epsilon, "scale_after_normalization": scaled}
        self.node(f"{name}/batchnorm", "BatchNormWithGlobalNormalization", read, **how)
        self.node(f"{name}/CheckNumerics", "CheckNumerics", [f"{name}/batchnorm"], T=tf.float32, message=name)
        waits = [f"{name}/batchnorm", f"^{name}/CheckNumerics"]
        self.node(f"{name}/control_dependency", "Identity", waits, T=tf.float32)
        self._channels[name] = shape[2]
        return self.node(name, "Relu", [f"{name}/control_dependency"], T=tf.float32)

    def pool(self, name: str, op: str, entrance: str, side: int, stride: int, padding: str) -> str:
        self._channels[name] = self._channels[entrance]
        window = {"ksize": [1, side, side, 1], "strides": [1, stride, stride, 1]}
        return self.node(name, op, [entrance], T=tf.float32, padding=padding, **window)

    def join(self, name: str, branches: list[str]) -> str:
        self._channels[name] = sum(self._channels[branch] for branch in branches)
        axis = self.constant(f"{name}/concat_dim", 3, np.int32)
        return self.node(name, "Concat", [axis, *branches], T=tf.float32, N=len(branches))

    def features(self, entrance: str, side: int) -> str:
        """Mean over all places, as a row; ends the part before the classes."""
        pooled = self.pool("pool_3", "AvgPool", entrance, side, 1, "VALID")
        shape = self.constant("pool_3/_reshape/shape", [1, self._channels[pooled]], np.int32)
        return self.node("pool_3/_reshape", "Reshape", [pooled, shape], T=tf.float32)

    def classes(self, features: str, weights: NDArray[Any], biases: NDArray[Any]) -> str:
        self.constant("softmax/weights", weights)
        self.constant("softmax/biases", biases)
        self.node("softmax/logits/MatMul", "MatMul", [features, "softmax/weights"], T=tf.float32)
        self.node("softmax/logits", "BiasAdd", ["softmax/logits/MatMul", "softmax/biases"], T=tf.float32)
        return self.node("softmax", "Softmax", ["softmax/logits"], T=tf.float32)

    def _add_entrance(self, size: int) -> None:
        """From a file's bytes to normalised pixels, the tensor Mul."""
        self.constant("DecodeJpeg/contents", b"", object)
        self.node("DecodeJpeg", "DecodeJpeg", ["DecodeJpeg/contents"], channels=3)
        self.node("Cast", "Cast", ["DecodeJpeg"], SrcT=tf.uint8, DstT=tf.float32)
        axis = self.constant("ExpandDims/dim", 0, np.int32)
        self.node("ExpandDims", "ExpandDims", ["Cast", axis], T=tf.float32)
        extent = self.constant("ResizeBilinear/size", [size, size], np.int32)
        self.node("ResizeBilinear", "ResizeBilinear", ["ExpandDims", extent], T=tf.float32)
        self.node("Sub", "Sub", ["ResizeBilinear", self.constant("Sub/y", MEAN)], T=tf.float32)
        self.node("Mul", "Mul", ["Sub", self.constant("Mul/y", SCALE)], T=tf.float32)
        self._channels["Mul"] = 3

    def _moments(self, name: str, channels: int) -> list[str]:
        """Mean, variance, beta and gamma, far enough from 0 and 1 that a wrong fold shows."""
        values = {
            "moving_mean": self._random.normal(0, 0.1, channels),
            "moving_variance": self._random.uniform(0.3, 1.5, channels),
            "beta": self._random.normal(0, 0.2, channels),
            "gamma": self._random.uniform(0.7, 1.4, channels),
        }
        return [self.constant(f"{name}/batchnorm/{key}", value) for key, value in values.items()]


def _set(attribute: Any, value: Any) -> None:
    """Put a Python value where an attribute of its type stands."""
    match value:
        case bool():
            attribute.b = value
        case int():
            attribute.i = value
        case float():
            attribute.f = value
        case str():
            attribute.s = value.encode()
        case list():
            attribute.list.i.extend(value)
        case tf.DType():
            attribute.type = value.as_datatype_enum
