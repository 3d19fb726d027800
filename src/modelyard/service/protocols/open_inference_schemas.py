"""What the Open Inference Protocol sends and answers, as JSON schemas for the OpenAPI document."""

from typing import Any

from modelyard.inference.decoding.formats import NAMES
from modelyard.service.protocols.open_inference import INPUT, MOST_DIMENSIONS, MOST_ID, OUTPUTS

Schema = dict[str, Any]

_TEXT = {"type": "string"}
_ID = {"type": ["string", "null"], "maxLength": MOST_ID, "description": "comes back with the answer"}
_FLAG = {"type": ["boolean", "null"], "default": False}
_SIZE = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}


def _object(**properties: Any) -> Schema:
    """Return the schema of an object that has all of these."""
    return {"type": "object", "required": list(properties), "properties": properties}


def _parameters(**properties: Any) -> Schema:
    return {"type": ["object", "null"], "properties": properties, "description": "Others are ignored."}


def _tensor(names: list[str], kinds: list[str], shape: Schema) -> Schema:
    return _object(name={"enum": names}, datatype={"enum": kinds}, shape={"type": "array", "items": shape})


_KINDS = sorted(set(OUTPUTS.values()))
_DESCRIBED = {"type": "integer", "minimum": -1, "description": "-1 is any number"}
_INPUT = _tensor([INPUT], ["BYTES", "UINT8", "FP32"], _SIZE)
_INPUT["properties"]["shape"] |= {"minItems": 1, "maxItems": MOST_DIMENSIONS}
_INPUT["properties"] |= {
    "data": {
        "type": "array",
        "description": f"BYTES: a {NAMES} each, as base64. UINT8 (0..255) and FP32 (0..1): pictures of "
        "the model's size, with or without a dimension for their number.",
    },
    "parameters": _parameters(
        binary_data_size={
            "type": ["integer", "null"],
            "minimum": 0,
            "description": "Instead of data: so many bytes follow the JSON, whose length is the header "
            "Inference-Header-Content-Length.",
        }
    ),
}
_ASKED = {
    "type": ["array", "null"],
    "description": "All, if none is named.",
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"enum": list(OUTPUTS)}, "parameters": _parameters(binary_data=_FLAG)},
    },
}
_OUTPUT = _tensor(list(OUTPUTS), _KINDS, _SIZE)
_OUTPUT["properties"] |= {"data": {"type": "array"}, "parameters": {"type": "object"}}

SERVER = _object(name=_TEXT, version=_TEXT, extensions={"type": "array", "items": _TEXT})
READY = _object(name=_TEXT, ready={"const": True})
MODEL = _object(
    name=_TEXT,
    versions={"type": "array", "items": _TEXT},
    platform=_TEXT,
    inputs={"type": "array", "items": _tensor([INPUT], ["BYTES"], _DESCRIBED)},
    outputs={"type": "array", "items": _tensor(list(OUTPUTS), _KINDS, _DESCRIBED)},
)
REQUEST = _object(inputs={"type": "array", "items": _INPUT, "minItems": 1, "maxItems": 1})
REQUEST["properties"] |= {
    "id": _ID,
    "outputs": _ASKED,
    "parameters": _parameters(
        top_k={"type": ["integer", "null"], "minimum": 1, "default": 5}, binary_data_output=_FLAG
    ),
}
ANSWER = _object(model_name=_TEXT, model_version=_TEXT, outputs={"type": "array", "items": _OUTPUT})
ANSWER["properties"] |= {"id": _TEXT}


def make_example(picture: str) -> Schema:
    """Return a request about one picture, which is given as base64."""
    tensor = {"name": INPUT, "datatype": "BYTES", "shape": [1], "data": [picture]}
    return {"inputs": [tensor], "parameters": {"top_k": 1}}
