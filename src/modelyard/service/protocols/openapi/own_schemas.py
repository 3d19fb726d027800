"""What the service's own protocol and MLflow's send and answer, as JSON schemas for the OpenAPI document."""

from typing import Any

from modelyard.inference.decoding.formats import FORMATS, NAMES
from modelyard.service.protocols.dialect import JSON

Schema = dict[str, Any]


def make_array(items: Schema, **more: Any) -> Schema:
    """Return the schema of a list of these."""
    return {"type": "array", "items": items, **more}


def _some(items: Schema) -> Schema:
    return make_array(items, minItems=1)


def make_object(required: Schema, **optional: Any) -> Schema:
    """Return the schema of an object with these properties."""
    return {"type": "object", "required": list(required), "properties": required | optional}


TEXT = {"type": "string"}
WHOLE = {"type": "integer"}
_PERHAPS_TEXT = {"type": ["string", "null"]}
_LABEL = make_object(
    {
        "label": TEXT,
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "id": {**WHOLE, "minimum": 0, "description": "the model's output"},
    },
    synset={**TEXT, "description": "WordNet id, for ImageNet's labels"},
    unlikeness={
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "In the first label, if the version tells it: the share of the validation "
        "pictures that are more like the training pictures than this image.",
    },
)
PREDICTIONS = make_array(
    {"anyOf": [make_array(_LABEL), make_object({"error": TEXT})]},
    description="For each image its labels, best first, or an error in its place with on_error=return.",
)
# A white pixel: every model answers it.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
_NUMBER = {"type": "number", "minimum": 0, "maximum": 255}
_IMAGE = {
    "description": f"A {NAMES} as base64, standard or URL-safe, with or without data:; a small grey one "
    "of the model's size also as numbers, by row or all in one, whole ones 0..255 or floats 0..1.",
    "anyOf": [
        {"type": "string", "minLength": 1, "examples": [PIXEL]},
        _some(_some(_NUMBER)),
        _some(_NUMBER),
    ],
}
OPTIONS = {
    "top_k": {"type": "integer", "minimum": 1, "default": 5},
    "on_error": {"type": "string", "enum": ["raise", "return"], "default": "raise"},
}
SHOW = {"type": "string", "enum": ["input"], "description": "add inputs; for at most 16 images"}
# In JSON null stands for the default.
_NULLABLE_OPTIONS = {
    "top_k": {"type": ["integer", "null"], "minimum": 1, "default": 5},
    "on_error": {"enum": ["raise", "return", None], "default": "raise"},
}
FILE = {"type": "string", "format": "binary"}
BODY = {
    **{one.media_types[0]: {"schema": FILE} for one in FORMATS},
    "multipart/form-data": {"schema": make_object({"images": _some(FILE)}, **OPTIONS)},
    JSON: {
        "schema": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"images": _some(_IMAGE), "image": _IMAGE, **_NULLABLE_OPTIONS},
            "oneOf": [{"required": ["images"]}, {"required": ["image"]}],
        },
        "examples": {
            "one": {"value": {"image": PIXEL}},
            "several": {"value": {"images": [PIXEL, PIXEL], "top_k": 1, "on_error": "return"}},
        },
    },
}
_INPUTS = make_array(
    _PERHAPS_TEXT,
    description="With show=input: for each image what the network was given, a PNG as base64, or null "
    "where the image is wrong.",
)
OWN_ANSWER = make_object({"model": TEXT, "version": WHOLE, "predictions": PREDICTIONS}, inputs=_INPUTS)
OWN_ERROR = make_object({"error": TEXT}, index={**WHOLE, "description": "of the bad image"})
MLFLOW_ERROR = make_object({"error_code": TEXT, "message": TEXT})
_HAS_IMAGE = make_object({"image": _IMAGE})
_SHAPES: dict[str, Any] = {
    "dataframe_split": {
        **make_object(
            {
                "columns": make_array(TEXT, contains={"const": "image"}, maxContains=1),
                "data": {"type": "array", "minItems": 1, "description": "Rows as long as columns."},
            },
            index={"type": ["array", "null"], "description": "As long as data."},
        ),
        "additionalProperties": False,
    },
    "dataframe_records": _some(_HAS_IMAGE),
    "instances": _some({"anyOf": [_IMAGE, _HAS_IMAGE]}),
    "inputs": {"anyOf": [_some(_IMAGE), make_object({"image": {"anyOf": [_IMAGE, _some(_IMAGE)]}})]},
}
MLFLOW_BODY = {
    "schema": {
        "type": "object",
        "description": "Exactly one of the four shapes of MLflow; other keys are left alone.",
        "properties": {**_SHAPES, "params": {"type": ["object", "null"], "properties": _NULLABLE_OPTIONS}},
        "oneOf": [{"required": [shape]} for shape in _SHAPES],
    },
    "examples": {
        "dataframe_split": {"value": {"dataframe_split": {"columns": ["image"], "data": [[PIXEL]]}}},
        "dataframe_records": {"value": {"dataframe_records": [{"image": PIXEL}]}},
        "instances": {"value": {"instances": [PIXEL], "params": {"top_k": 1}}},
        "inputs": {"value": {"inputs": {"image": [PIXEL]}}},
    },
}
PIXELS = {**WHOLE, "minimum": 1}
_INPUT = {
    "type": ["object", "null"],
    "description": "in pixels, once it is loaded",
    "properties": {"height": PIXELS, "width": PIXELS, "channels": {"enum": [1, 3]}},
}
_VERSION = make_object(
    {"version": WHOLE, "loaded": {"type": "boolean"}, "size_bytes": {"type": ["integer", "null"]}},
    metrics={"type": "object", "additionalProperties": {"type": "number"}},
    precision=_PERHAPS_TEXT,
    content_key=_PERHAPS_TEXT,
    network={**_PERHAPS_TEXT, "description": "once it is loaded"},
    input=_INPUT,
    card={**_PERHAPS_TEXT, "description": "its page in MLflow"},
)
MODEL = make_object(
    {
        "name": TEXT,
        "aliases": {"type": "object", "additionalProperties": WHOLE},
        "versions": make_array(_VERSION),
    },
    labels=make_array(TEXT, description="of the champion, once it is loaded"),
)
SAMPLE = make_object({"name": TEXT, "image": {**TEXT, "description": f"a {NAMES} as base64"}})
