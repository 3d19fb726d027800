"""The Open Inference Protocol (v2) over REST, with its extension for binary tensors.

https://github.com/kserve/open-inference-protocol says what is sent; checked with tritonclient 2.73.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from modelyard.inference.decoding.formats import NAMES
from modelyard.inference.predictor import DEFAULT_TOP_K
from modelyard.service.http.refusals import Refusal
from modelyard.service.models.models import ServedVersion
from modelyard.service.protocols.dialect import (
    JSON,
    Answers,
    Drawn,
    Payload,
    Written,
    check_count,
    check_nodes,
    load_json,
)

INPUT = "image"
BINARY = "application/octet-stream"
# The length of a body's JSON part; binary tensors follow it.
HEADER_LENGTH = b"inference-header-content-length"
_ARRAYS: dict[str, np.dtype[Any]] = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}
_NUMBERS: dict[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "INT64": np.dtype("<i8")}
UNLIKENESS = "unlikeness"
OUTPUTS = {"label": "BYTES", "score": "FP32", "id": "INT64", UNLIKENESS: "FP32"}
# Where a model and a version of it are found.
PLACES = ("/v2/models/{name}", "/v2/models/{name}/versions/{version:version}")
MOST_DIMENSIONS = 4
MOST_ID = 300
_MOST_DIGITS = 20


@dataclass(frozen=True)
class Reply:
    """How the answers are to be written: the request's id, and the outputs with whether each is binary.

    `outputs` is None for all that the version has, which `binary` is about.
    """

    id: str | None
    outputs: Mapping[str, bool] | None
    binary: bool


class OpenInferenceDialect:
    """Reads one tensor of images, and writes tensors of labels, scores, ids and unlikeness."""

    def parse(self, headers: Mapping[bytes, bytes], query: str, body: bytes, max_items: int) -> Payload:  # noqa: ARG002
        """Read the input and its options; parameters that are not known are ignored, as the protocol asks.

        Raises Refusal for too many images (413), or a body that is no request of this protocol (400).
        """
        head, binary = _split(headers.get(HEADER_LENGTH), body)
        check_nodes(head, max_items)
        fields = _object(load_json(head), "the body")
        parameters = _object(fields.get("parameters"), "parameters")
        images = _read_input(fields.get("inputs"), binary, max_items)
        binary_output = _read_flag(parameters, "binary_data_output", default=False)
        outputs = _read_outputs(fields.get("outputs"), binary_output)
        reply = Reply(_read_id(fields.get("id")), outputs, binary_output)
        top_k = parameters.get("top_k")
        return Payload(images, DEFAULT_TOP_K if top_k is None else top_k, form=reply)

    def write(self, served: ServedVersion, payload: Payload, answers: Answers, inputs: Drawn) -> Written:  # noqa: ARG002
        """Write the tensors that were asked for, each (images, top_k), or (images, 1) for unlikeness.

        Raises Refusal if the version lacks one of them (400).
        """
        reply: Reply = payload.form
        offered = list_outputs(served)
        outputs = dict.fromkeys(offered, reply.binary) if reply.outputs is None else reply.outputs
        if missing := outputs.keys() - offered.keys():
            raise Refusal(400, f"outputs: {served.name} does not tell {missing.pop()}")
        described: list[dict[str, Any]] = []
        tails: list[bytes] = []
        for name, is_binary in outputs.items():
            # Only the first label of an image has its unlikeness.
            values = [label[name] for answer in answers for label in answer if name in label]
            shape = [len(answers), len(values) // len(answers)]
            tensor: dict[str, Any] = {"name": name, "datatype": offered[name], "shape": shape}
            if is_binary:
                tails.append(_pack(offered[name], values))
                tensor["parameters"] = {"binary_data_size": len(tails[-1])}
            else:
                tensor["data"] = values
            described.append(tensor)
        answer = {"model_name": served.name, "model_version": str(served.version), "outputs": described}
        head = orjson.dumps(answer if reply.id is None else {**answer, "id": reply.id})
        if not tails:
            return Written(head)
        return Written(b"".join([head, *tails]), BINARY, {HEADER_LENGTH.decode(): str(len(head))})

    def refuse(self, refusal: Refusal) -> tuple[bytes, str]:
        """Write the protocol's error object."""
        return orjson.dumps({"error": refusal.message}), JSON


def list_outputs(served: ServedVersion) -> dict[str, str]:
    """Return the outputs of a version with their datatypes."""
    told = served.predictor.tells_unlikeness
    return {name: kind for name, kind in OUTPUTS.items() if told or name != UNLIKENESS}


def _split(declared: bytes | None, body: bytes) -> tuple[bytes, memoryview]:
    if declared is None:
        return body, memoryview(b"")
    # int() fails at 4,301 digits.
    if not declared.isdigit() or len(declared) > _MOST_DIGITS or int(declared) > len(body):
        raise Refusal(400, "Inference-Header-Content-Length: expected the length of the body's JSON part")
    length = int(declared)
    return body[:length], memoryview(body)[length:]


def _object(value: Any, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refusal(400, f"{what}: expected a JSON object, got {type(value).__name__}")
    return value


def _read_id(value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and len(value) <= MOST_ID):
        raise Refusal(400, f"id: expected a text of at most {MOST_ID} characters")
    return value


def _read_input(inputs: Any, binary: memoryview, max_items: int) -> list[Any]:
    if not (isinstance(inputs, list) and len(inputs) == 1 and isinstance(inputs[0], dict)):
        raise Refusal(400, f"inputs: expected a list with one tensor, {INPUT!r}")
    tensor = inputs[0]
    if tensor.get("name") != INPUT:
        raise Refusal(400, f"inputs: expected the name {INPUT!r}")
    shape = _read_shape(tensor.get("shape"))
    size = _object(tensor.get("parameters"), "parameters").get("binary_data_size")
    if (0 if size is None else size) != len(binary):
        raise Refusal(400, f"binary_data_size: expected {len(binary)}, the bytes after the JSON part")
    if (size is None) == (tensor.get("data") is None):
        raise Refusal(400, "expected one of data and the parameter binary_data_size")
    datatype = tensor.get("datatype")
    if datatype == "BYTES":
        if len(shape) not in (1, 2) or shape[1:] not in ((), (1,)):
            raise Refusal(400, f"expected BYTES of the shape [images] or [images, 1], got {list(shape)}")
        check_count(shape[0], max_items)
        images = _flatten(tensor["data"]) if size is None else list(_unpack(binary))
        return _counted(images, shape[0])
    if not isinstance(datatype, str) or datatype not in _ARRAYS:
        raise Refusal(400, f"expected the datatype BYTES ({NAMES}), {' or '.join(_ARRAYS)}")
    array = _read_array(_ARRAYS[datatype], shape, tensor.get("data"), None if size is None else binary)
    if array.ndim < MOST_DIMENSIONS:
        return [array]
    check_count(len(array), max_items)
    return list(array)


def _read_shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or not 1 <= len(shape) <= MOST_DIMENSIONS:
        raise Refusal(400, f"shape: expected a list of 1 to {MOST_DIMENSIONS} sizes")
    if not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise Refusal(400, "shape: expected whole numbers from 0")
    return tuple(shape)


def _counted(values: list[Any], expected: int) -> list[Any]:
    if len(values) != expected:
        raise Refusal(400, f"expected {expected} values, as the shape says, got {len(values)}")
    return values


def _flatten(data: Any) -> list[Any]:
    """Return nested lists as one, since the protocol allows both."""
    if not isinstance(data, list):
        raise Refusal(400, f"data: expected a list, got {type(data).__name__}")
    flat: list[Any] = data
    for _ in range(MOST_DIMENSIONS - 1):
        if not any(isinstance(item, list) for item in flat):
            break
        flat = [inner for item in flat for inner in (item if isinstance(item, list) else [item])]
    return flat


def _unpack(binary: memoryview) -> Iterator[bytes]:
    """Yield the elements of BYTES: a length of four bytes, little-endian, before each."""
    at = 0
    while at < len(binary):
        start = at + 4
        at = start + int.from_bytes(binary[at:start], "little")
        if at > len(binary):
            raise Refusal(400, "BYTES: an element is cut off")
        yield bytes(binary[start:at])


def _read_array(
    kind: np.dtype[Any], shape: tuple[int, ...], data: Any, binary: memoryview | None
) -> NDArray[Any]:
    count = math.prod(shape)
    if binary is not None:
        if len(binary) != count * kind.itemsize:
            raise Refusal(
                400, f"expected {count * kind.itemsize} bytes, as the shape says, got {len(binary)}"
            )
        return np.frombuffer(binary, kind).reshape(shape)
    values = _counted(_flatten(data), count)
    whole = kind.kind == "u"
    if not all(type(value) is int or (type(value) is float and not whole) for value in values):
        raise Refusal(400, f"data: expected {'whole ' if whole else ''}numbers")
    if whole and not all(0 <= value <= 255 for value in values):
        raise Refusal(400, "data: expected whole numbers 0..255")
    return np.array(values, kind).reshape(shape)


def _read_outputs(outputs: Any, binary: bool) -> dict[str, bool] | None:
    """Return the outputs that are asked for, and which of them are binary; None for all."""
    if outputs is None or outputs == []:
        return None
    if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
        raise Refusal(400, "outputs: expected a list of objects with a name")
    asked: dict[str, bool] = {}
    for output in outputs:
        name = output.get("name")
        if not isinstance(name, str) or name not in OUTPUTS:
            raise Refusal(400, f"outputs: expected names out of {', '.join(OUTPUTS)}")
        asked[name] = _read_flag(_object(output.get("parameters"), "parameters"), "binary_data", binary)
    return asked


def _read_flag(parameters: dict[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refusal(400, f"{name}: expected true or false, got {type(value).__name__}")
    return default if value is None else value


def _pack(datatype: str, values: Iterable[Any]) -> bytes:
    if datatype != "BYTES":
        return np.array(list(values), _NUMBERS[datatype]).tobytes()
    texts: list[bytes] = [value.encode() for value in values]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
