"""What the Open Inference Protocol sends and answers, as JSON schemas for the OpenAPI document."""

from typing import Any

from modelyard.inference.decoding.formats import NAMES
from modelyard.service.protocols.open_inference import INPUT, MOST_DIMENSIONS, MOST_ID, OUTPUTS
from modelyard.service.protocols.openapi.own_schemas import TEXT, Schema, make_array, make_object

_ID = {"type": ["string", "null"], "maxLength": MOST_ID, "description": "comes back with the answer"}
_FLAG = {"type": ["boolean", "null"], "default": False}
_SIZE = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}


def _parameters(**properties: Any) -> Schema:
    return {"type": ["object", "null"], "properties": properties, "description": "Others are ignored."}


def _tensor(names: list[str], kinds: list[str], shape: Schema, **optional: Any) -> Schema:
    return make_object({"name": {"enum": names}, "datatype": {"enum": kinds}, "shape": shape}, **optional)


_KINDS = sorted(set(OUTPUTS.values()))
_DESCRIBED = make_array({"type": "integer", "minimum": -1, "description": "-1 is any number"})
_INPUT = _tensor(
    [INPUT],
    ["BYTES", "UINT8", "FP32"],
    make_array(_SIZE, minItems=1, maxItems=MOST_DIMENSIONS),
    data={
        "type": "array",
        "description": f"BYTES: a {NAMES} each, as base64. UINT8 (0..255) and FP32 (0..1): pictures of "
        "the model's size, with or without a dimension for their number.",
    },
    parameters=_parameters(
        binary_data_size={
            "type": ["integer", "null"],
            "minimum": 0,
            "description": "Instead of data: so many bytes follow the JSON, whose length is the header "
            "Inference-Header-Content-Length.",
        }
    ),
)
_ASKED = {
    "type": ["array", "null"],
    "description": "All, if none is named.",
    "items": make_object({"name": {"enum": list(OUTPUTS)}}, parameters=_parameters(binary_data=_FLAG)),
}
_OUTPUT = _tensor(
    list(OUTPUTS), _KINDS, make_array(_SIZE), data={"type": "array"}, parameters={"type": "object"}
)

SERVER = make_object({"name": TEXT, "version": TEXT, "extensions": make_array(TEXT)})
READY = make_object({"name": TEXT, "ready": {"const": True}})
MODEL = make_object(
    {
        "name": TEXT,
        "versions": make_array(TEXT),
        "platform": TEXT,
        "inputs": make_array(_tensor([INPUT], ["BYTES"], _DESCRIBED)),
        "outputs": make_array(_tensor(list(OUTPUTS), _KINDS, _DESCRIBED)),
    }
)
REQUEST = make_object(
    {"inputs": make_array(_INPUT, minItems=1, maxItems=1)},
    id=_ID,
    outputs=_ASKED,
    parameters=_parameters(
        top_k={"type": ["integer", "null"], "minimum": 1, "default": 5}, binary_data_output=_FLAG
    ),
)
ANSWER = make_object({"model_name": TEXT, "model_version": TEXT, "outputs": make_array(_OUTPUT)}, id=TEXT)


def make_example(picture: str) -> Schema:
    """Return a request about one picture, which is given as base64."""
    tensor = {"name": INPUT, "datatype": "BYTES", "shape": [1], "data": [picture]}
    return {"inputs": [tensor], "parameters": {"top_k": 1}}
