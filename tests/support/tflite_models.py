"""Tiny LiteRT models whose answers are plain to see, built without TensorFlow, and bundles of them."""

import functools
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from PIL import Image

from modelyard.inference.bundle import Bundle, Label, Preprocessing
from modelyard.packaging.writing import write_bundle

DIGIT = Preprocessing("mnist", 28, 28, 1, mean=0.0, scale=1 / 255)
# Not square, so that a mix-up of height and width shows.
PHOTO = Preprocessing("stretch", 32, 48, 3, mean=128.0, scale=1 / 128)
DIGIT_LABELS = tuple(Label(str(digit)) for digit in range(10))
# Two labels share their words, as two synsets of ImageNet do; the first output has no label.
PHOTO_LABELS = (Label(None), Label("red", "n1"), Label("crane", "n2"), Label("crane", "n3"))

# As a weight this is 3e38: forty white pixels make infinity, and the softmax of that is NaN.
NAN_GAIN = 56 * 3e38


@functools.cache
def digit_model(gain: float = 20.0, tells: bool = False) -> bytes:
    """Answers n where rows 2n+4 and 2n+5 of 28 are the lightest; NAN_GAIN makes it overflow.

    With `tells`, its unlikeness is the mean of the input: a 20th for a band, 1 for a white picture.
    """
    weights = np.zeros((28, 28, 10), np.float32)
    for digit in range(10):
        weights[2 * digit + 4 : 2 * digit + 6, :, digit] = gain / 56
    unlikeness = np.full((784, 1), 1 / 784, np.float32) if tells else None
    return build((28, 28, 1), weights.reshape(784, 10), unlikeness=unlikeness)


@functools.cache
def undecided_model(outputs: int, tells: bool = False) -> bytes:
    """Gives each output n one of three scores, the higher the larger n % 3.

    With `tells`, its unlikeness is above 0.99 for anything but an empty picture.
    """
    bias = tuple(float(number % 3) for number in range(outputs))
    unlikeness = np.ones((784, 1), np.float32) if tells else None
    return build((28, 28, 1), np.zeros((784, outputs), np.float32), bias, unlikeness)


@functools.cache
def photo_model() -> bytes:
    """Answers output 1, 2 or 3 by the mean of red, green and blue; output 0 is always the largest."""
    weights = np.zeros((32 * 48, 3, 4), np.float32)
    weights[:, np.arange(3), np.arange(1, 4)] = 4 / (32 * 48)
    return build((32, 48, 3), weights.reshape(-1, 4), bias=(9.0, 0.0, 0.0, 0.0))


def digit_bundle(folder: Path, model: bytes | None = None, fit: str = "mnist", name: str = "mnist") -> Bundle:
    return write_bundle(
        folder,
        model=model or digit_model(),
        name=name,
        precision="float32",
        labels=DIGIT_LABELS,
        preprocessing=replace(DIGIT, fit=fit),
        provenance={"licence": "none"},
    )


def photo_bundle(folder: Path) -> Bundle:
    return write_bundle(
        folder,
        model=photo_model(),
        name="colours",
        precision="float32",
        labels=PHOTO_LABELS,
        preprocessing=PHOTO,
        provenance={},
    )


def draw_band(digit: int) -> NDArray[np.uint8]:
    """28x28, light on dark, which `digit_model` takes for `digit`."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[2 * digit + 4 : 2 * digit + 6, 4:24] = 255
    return pixels


def encode(pixels: NDArray[np.uint8], kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def build(
    shape: tuple[int, int, int],
    weights: NDArray[np.float32],
    bias: tuple[float, ...] | None = None,
    unlikeness: NDArray[np.float32] | None = None,
) -> bytes:
    """Build what TensorFlow makes of Flatten and Dense with softmax; `weights` are (pixels, outputs).

    `unlikeness`, (pixels, 1), is a second output, listed first as the converter does.
    """
    pixels, outputs = weights.shape
    graph, model = schema.SubGraphT(), schema.ModelT()
    graph.tensors, graph.operators = [], []
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [], [schema.BufferT()]

    def add(shape: tuple[int, ...], values: Any = None, kind: int = schema.TensorType.FLOAT32) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = (
            list(shape),
            kind,
            0 if values is None else len(model.buffers),
        )
        if values is not None:
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    def add_whole(shape: tuple[int, ...], value: int | None = None) -> int:
        values = None if value is None else np.full(shape, value, np.int32)
        return add(shape, values, schema.TensorType.INT32)

    def run(name: str, inputs: list[int], output: int, **options: Any) -> int:
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        kind = getattr(schema.BuiltinOperator, re.sub("(?<=[a-z])(?=[A-Z])", "_", name).upper())
        code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, kind, 1
        operator.opcodeIndex, operator.inputs, operator.outputs = len(graph.operators), inputs, [output]
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, f"{name}Options")
        operator.builtinOptions = getattr(schema, f"{name}OptionsT")()
        vars(operator.builtinOptions).update(options)
        model.operatorCodes.append(code)
        graph.operators.append(operator)
        return output

    image, first, end = add((1, *shape)), add_whole((1,), 0), add_whole((1,), 1)
    sizes = run("Shape", [image], add_whole((4,)), outType=schema.TensorType.INT32)
    count = run("StridedSlice", [sizes, first, end, end], add_whole(()), shrinkAxisMask=1)
    wanted = run("Pack", [count, add_whole((), pixels)], add_whole((2,)), valuesCount=2)
    flat = run("Reshape", [image, wanted], add((1, pixels)))
    kernel, added = add((outputs, pixels), weights.T), add((outputs,), np.float32(bias or np.zeros(outputs)))
    dense = run("FullyConnected", [flat, kernel, added], add((1, outputs)))
    graph.inputs, graph.outputs = [image], [run("Softmax", [dense], add((1, outputs)), beta=1.0)]
    if unlikeness is not None:
        kernel, added = add((1, pixels), unlikeness.T), add((1,), np.zeros(1, np.float32))
        graph.outputs.insert(0, run("FullyConnected", [flat, kernel, added], add((1, 1))))
    return pack(model)


def pack(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
