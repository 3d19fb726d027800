"""The OpenAPI document of the service; tests hold every endpoint against it."""

import copy
from importlib.metadata import version
from typing import Any

from modelyard.inference.decoding.formats import FORMATS
from modelyard.service.http.metrics import CONTENT_TYPE
from modelyard.service.protocols import open_inference_schemas as v2
from modelyard.service.protocols.open_inference import BINARY, PLACES

JSON = "application/json"
Schema = dict[str, Any]


def _array(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _some(items: Schema) -> Schema:
    return _array(items, minItems=1)


def _object(required: Schema, **optional: Any) -> Schema:
    """Return the schema of an object with these properties."""
    return {"type": "object", "required": list(required), "properties": required | optional}


def _response(description: str, schema: Schema, kind: str = JSON) -> Schema:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _parameter(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


_TEXT = {"type": "string"}
_WHOLE = {"type": "integer"}
_PERHAPS_TEXT = {"type": ["string", "null"]}
_LABEL = _object(
    {
        "label": _TEXT,
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "id": {**_WHOLE, "minimum": 0, "description": "the model's output"},
    },
    synset={**_TEXT, "description": "WordNet id, for ImageNet's labels"},
    unlikeness={
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "In the first label, if the version tells it: the share of the validation "
        "pictures that are more like the training pictures than this image.",
    },
)
_PREDICTIONS = _array(
    {"anyOf": [_array(_LABEL), _object({"error": _TEXT})]},
    description="For each image its labels, best first, or an error in its place with on_error=return.",
)
# A white pixel: every model answers it.
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
_NUMBER = {"type": "number", "minimum": 0, "maximum": 255}
_IMAGE = {
    "description": "A PNG or JPEG as base64, standard or URL-safe, with or without data:; a small grey one "
    "of the model's size also as numbers, by row or all in one, whole ones 0..255 or floats 0..1.",
    "anyOf": [
        {"type": "string", "minLength": 1, "examples": [_PIXEL]},
        _some(_some(_NUMBER)),
        _some(_NUMBER),
    ],
}
_OPTIONS = {
    "top_k": {"type": "integer", "minimum": 1, "default": 5},
    "on_error": {"type": "string", "enum": ["raise", "return"], "default": "raise"},
}
_SHOW = {"type": "string", "enum": ["input"], "description": "add inputs; for at most 16 images"}
# In JSON null stands for the default.
_NULLABLE_OPTIONS = {
    "top_k": {"type": ["integer", "null"], "minimum": 1, "default": 5},
    "on_error": {"enum": ["raise", "return", None], "default": "raise"},
}
_BINARY = {"type": "string", "format": "binary"}
_BODY = {
    **{one.media_types[0]: {"schema": _BINARY} for one in FORMATS},
    "multipart/form-data": {"schema": _object({"images": _some(_BINARY)}, **_OPTIONS)},
    JSON: {
        "schema": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"images": _some(_IMAGE), "image": _IMAGE, **_NULLABLE_OPTIONS},
            "oneOf": [{"required": ["images"]}, {"required": ["image"]}],
        },
        "examples": {
            "one": {"value": {"image": _PIXEL}},
            "several": {"value": {"images": [_PIXEL, _PIXEL], "top_k": 1, "on_error": "return"}},
        },
    },
}
_INPUTS = _array(
    _PERHAPS_TEXT,
    description="With show=input: for each image what the network was given, a PNG as base64, or null "
    "where the image is wrong.",
)
_OWN_ANSWER = _object({"model": _TEXT, "version": _WHOLE, "predictions": _PREDICTIONS}, inputs=_INPUTS)
_OWN_ERROR = _object({"error": _TEXT}, index={**_WHOLE, "description": "of the bad image"})
_MLFLOW_ERROR = _object({"error_code": _TEXT, "message": _TEXT})
_HAS_IMAGE = _object({"image": _IMAGE})
_SHAPES: dict[str, Any] = {
    "dataframe_split": {
        **_object(
            {
                "columns": _array(_TEXT, contains={"const": "image"}, maxContains=1),
                "data": {"type": "array", "minItems": 1, "description": "Rows as long as columns."},
            },
            index={"type": ["array", "null"], "description": "As long as data."},
        ),
        "additionalProperties": False,
    },
    "dataframe_records": _some(_HAS_IMAGE),
    "instances": _some({"anyOf": [_IMAGE, _HAS_IMAGE]}),
    "inputs": {"anyOf": [_some(_IMAGE), _object({"image": {"anyOf": [_IMAGE, _some(_IMAGE)]}})]},
}
_MLFLOW_BODY = {
    "schema": {
        "type": "object",
        "description": "Exactly one of the four shapes of MLflow; other keys are left alone.",
        "properties": {**_SHAPES, "params": {"type": ["object", "null"], "properties": _NULLABLE_OPTIONS}},
        "oneOf": [{"required": [shape]} for shape in _SHAPES],
    },
    "examples": {
        "dataframe_split": {"value": {"dataframe_split": {"columns": ["image"], "data": [[_PIXEL]]}}},
        "dataframe_records": {"value": {"dataframe_records": [{"image": _PIXEL}]}},
        "instances": {"value": {"instances": [_PIXEL], "params": {"top_k": 1}}},
        "inputs": {"value": {"inputs": {"image": [_PIXEL]}}},
    },
}
_PIXELS = {**_WHOLE, "minimum": 1}
_INPUT = {
    "type": ["object", "null"],
    "description": "in pixels, once it is loaded",
    "properties": {"height": _PIXELS, "width": _PIXELS, "channels": {"enum": [1, 3]}},
}
_VERSION = _object(
    {"version": _WHOLE, "loaded": {"type": "boolean"}, "size_bytes": {"type": ["integer", "null"]}},
    metrics={"type": "object", "additionalProperties": {"type": "number"}},
    precision=_PERHAPS_TEXT,
    content_key=_PERHAPS_TEXT,
    network={**_PERHAPS_TEXT, "description": "once it is loaded"},
    input=_INPUT,
    card={**_PERHAPS_TEXT, "description": "its page in MLflow"},
)
_MODEL = _object(
    {
        "name": _TEXT,
        "aliases": {"type": "object", "additionalProperties": _WHOLE},
        "versions": _array(_VERSION),
    },
    labels=_array(_TEXT, description="of the champion, once it is loaded"),
)
_SAMPLE = _object({"name": _TEXT, "image": {**_TEXT, "description": "a PNG or JPEG as base64"}})
_SAMPLES_PATH = "/models/{name}/versions/{version}/samples"
_NAME = _parameter("name", _TEXT)
_NUMBERED = _parameter("version", {**_WHOLE, "minimum": 0})
_REQUEST_ID = {
    "description": "The request's own X-Request-ID where it has a plain one, else a new one.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
}
# The headers that answers of a status have beside X-Request-ID.
_HEADERS: dict[str, Any] = {
    "401": {"WWW-Authenticate": {"schema": {"const": "Bearer"}, "required": True}},
    "413": {"Connection": {"description": "The body is not read to its end.", "schema": {"const": "close"}}},
    "503": {"Retry-After": {"description": "seconds", "schema": _PIXELS}},
}
REFUSED = {
    400: "An image or a parameter is wrong; the message names index and reason.",
    401: "The bearer token is missing or wrong.",
    404: "There is no such model, version or alias; the message names those there are.",
    413: "The body is too large, or has too many images.",
    415: "Another content type, or a body that is compressed.",
    500: "The model itself failed.",
    503: "Busy, or the version cannot be loaded now; Retry-After says when to come again.",
    504: "No answer within the deadline.",
}


def make_document(guarded: bool, records: bool = False) -> dict[str, Any]:
    """Return the document of all endpoints in OpenAPI 3.1.

    Args:
        guarded: the service asks for a token.
        records: it records its answers, and takes labels.
    """
    paths = _describe_predictions() | _describe_open_inference() | _describe_information()
    if records:
        paths |= _describe_feedback()
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "modelyard",
            "description": "Image models from an MLflow registry.",
            "version": version("modelyard"),
        },
        "paths": paths,
    }
    if guarded:
        document["components"] = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
        document["security"] = [{"token": []}]
        for path in ("/livez", "/readyz"):
            paths[path]["get"]["security"] = []
        for path in paths.keys() - {"/livez", "/readyz"}:
            if "get" in paths[path]:
                paths[path]["get"]["responses"] |= _refuse(_OWN_ERROR, 401)
    for path in paths.values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                response["headers"] = {"X-Request-ID": _REQUEST_ID, **_HEADERS.get(status, {})}
    return document


def _describe_information() -> dict[str, Any]:
    """Return the paths that tell about the service."""
    health = _object({"ready": {"type": "boolean"}, "problems": _array(_TEXT)})
    readyz = _information("Whether requests should be sent here, and what is wrong.", health)
    readyz["responses"]["503"] = _response("Not ready.", health)
    live = _information("Whether the process answers at all.", _object({"live": {"const": True}}))
    samples = _information(
        "A few pictures to try a version with.", _object({"samples": _array(_SAMPLE, maxItems=10)})
    )
    samples["parameters"] = [_NAME, _NUMBERED]
    samples["responses"] |= _refuse(_OWN_ERROR, 404, 503)
    paths = {
        _SAMPLES_PATH: samples,
        "/models": _information("What is served: versions, aliases, metrics, labels, sizes.", _array(_MODEL)),
        "/livez": live,
        "/readyz": readyz,
        "/v2/health/live": live,
        "/v2/health/ready": readyz,
        "/metrics": _information("Prometheus' text format.", _TEXT, CONTENT_TYPE),
    }
    # Each has its own, since only some need the token.
    return {path: {"get": copy.deepcopy(operation)} for path, operation in paths.items()}


def _information(summary: str, schema: Schema, kind: str = JSON) -> dict[str, Any]:
    responses = {"200": _response("Answered.", schema, kind)}
    return {"summary": summary, "tags": ["information"], "responses": responses}


def _describe_predictions() -> dict[str, Any]:
    """Return the paths of all predictions."""
    options = {**_OPTIONS, "show": _SHOW}
    query = [{"name": key, "in": "query", "schema": schema} for key, schema in options.items()]
    own = {
        "/models/{name}/predict": ("Answer images with the champion.", []),
        "/models/{name}/versions/{version}/predict": ("Answer with a version.", [_NUMBERED]),
        "/models/{name}/aliases/{alias}/predict": (
            "Answer with the version of an alias.",
            [_parameter("alias", _TEXT)],
        ),
    }
    paths = {
        path: _operation(summary, [_NAME, *more, *query], _BODY, _OWN_ANSWER, _OWN_ERROR)
        for path, (summary, more) in own.items()
    }
    mlflow = _operation(
        "Answer in MLflow's protocol, with the default model.",
        [],
        {JSON: _MLFLOW_BODY},
        _object({"predictions": _PREDICTIONS}),
        _MLFLOW_ERROR,
    )
    mlflow["responses"] |= _refuse(_OWN_ERROR, 401) | {"415": _response(REFUSED[415], _TEXT, "text/plain")}
    return {path: {"post": operation} for path, operation in {**paths, "/invocations": mlflow}.items()}


def _describe_open_inference() -> dict[str, Any]:
    """Return the paths of the Open Inference Protocol, except those of its health."""
    paths = {"/v2": {"get": _information("The server, in the Open Inference Protocol.", v2.SERVER)}}
    example = {"one": {"value": v2.make_example(_PIXEL)}}
    for place in PLACES:
        path = place.replace("{version:version}", "{version}")
        parameters = [_NAME, _NUMBERED] if "{version}" in path else [_NAME]
        for end, summary, schema in (
            ("", "Tensors of a model.", v2.MODEL),
            ("/ready", "Is it loaded?", v2.READY),
        ):
            operation = _information(summary, schema) | {"parameters": parameters}
            operation["responses"] |= _refuse(_OWN_ERROR, 404, 503)
            paths[path + end] = {"get": operation}
        body = {JSON: {"schema": v2.REQUEST, "examples": example}}
        summary = "Answer images in the Open Inference Protocol."
        infer = _operation(summary, parameters, body, v2.ANSWER, _OWN_ERROR)
        # With outputs that are asked for as binary: the JSON, and their bytes.
        infer["responses"]["200"]["content"][BINARY] = {"schema": _BINARY}
        paths[f"{path}/infer"] = {"post": infer}
    return paths


def _describe_feedback() -> dict[str, Any]:
    """Return the path that takes labels."""
    fields = {"id": {**_TEXT, "description": "X-Request-ID of the answer"}, "label": _TEXT}
    index = {**_WHOLE, "minimum": 0, "default": 0, "description": "of the image in its request"}
    body = {JSON: {"schema": {**_object(fields, index=index), "additionalProperties": False}}}
    taken = _object({**fields, "index": _WHOLE, "model": _TEXT, "version": _WHOLE})
    operation = _operation(
        "Say what an answered image really is; the last word counts.", [], body, taken, _OWN_ERROR
    )
    operation["tags"] = ["feedback"]
    operation["responses"]["202"] = _response("Taken, and written within a minute.", taken)
    del operation["responses"]["200"], operation["responses"]["500"]
    return {"/feedback": {"post": operation}}


def _operation(
    summary: str, parameters: list[Schema], body: Schema, answer: Schema, error: Schema
) -> dict[str, Any]:
    return {
        "summary": summary,
        "tags": ["predictions"],
        "parameters": parameters,
        "requestBody": {"required": True, "content": body},
        "responses": {"200": _response("Answered.", answer), **_refuse(error, *REFUSED)},
    }


def _refuse(error: Schema, *statuses: int) -> Schema:
    return {str(status): _response(REFUSED[status], error) for status in statuses}
