"""The OpenAPI document of the service; tests hold every endpoint against it."""

from importlib.metadata import version
from typing import Any

from modelyard.inference.decoding.formats import FORMATS
from modelyard.service.http.metrics import CONTENT_TYPE

JSON = "application/json"
_TEXT = {"type": "string"}
_LABEL = {
    "type": "object",
    "required": ["label", "score", "id"],
    "properties": {
        "label": _TEXT,
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "id": {"type": "integer", "minimum": 0, "description": "the model's output"},
        "synset": {"type": "string", "description": "WordNet id, for ImageNet's labels"},
    },
}
_PREDICTIONS = {
    "type": "array",
    "description": "For each image its labels, best first, or an error in its place with on_error=return.",
    "items": {
        "anyOf": [
            {"type": "array", "items": _LABEL},
            {"type": "object", "required": ["error"], "properties": {"error": _TEXT}},
        ]
    },
}
# A white pixel, so that each example is answered by every model.
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
_NUMBER = {"type": "number", "minimum": 0, "maximum": 255}
_ROW = {"type": "array", "items": _NUMBER, "minItems": 1}
_IMAGE = {
    "description": "A PNG or JPEG as base64, standard or URL-safe, with or without data:; a small grey one "
    "of the model's size also as numbers, by row or all in one, whole ones 0..255 or floats 0..1.",
    "anyOf": [
        {"type": "string", "minLength": 1, "examples": [_PIXEL]},
        {"type": "array", "items": _ROW, "minItems": 1},
        {"type": "array", "items": _NUMBER, "minItems": 1},
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
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["images"],
            "properties": {"images": {"type": "array", "items": _BINARY, "minItems": 1}, **_OPTIONS},
        }
    },
    "application/json": {
        "schema": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "images": {"type": "array", "items": _IMAGE, "minItems": 1},
                "image": _IMAGE,
                **_NULLABLE_OPTIONS,
            },
            "oneOf": [{"required": ["images"]}, {"required": ["image"]}],
        },
        "examples": {
            "one": {"value": {"image": _PIXEL}},
            "several": {"value": {"images": [_PIXEL, _PIXEL], "top_k": 1, "on_error": "return"}},
        },
    },
}
_INPUTS = {
    "type": "array",
    "description": "With show=input: for each image what the network was given, a PNG as base64, or null "
    "where the image is wrong.",
    "items": {"type": ["string", "null"]},
}
_OWN_ANSWER = {
    "type": "object",
    "required": ["model", "version", "predictions"],
    "properties": {
        "model": _TEXT,
        "version": {"type": "integer"},
        "predictions": _PREDICTIONS,
        "inputs": _INPUTS,
    },
}
_OWN_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": _TEXT, "index": {"type": "integer", "description": "of the bad image"}},
}
_HAS_IMAGE = {"type": "object", "required": ["image"], "properties": {"image": _IMAGE}}
_SHAPES: dict[str, Any] = {
    "dataframe_split": {
        "type": "object",
        "required": ["columns", "data"],
        "additionalProperties": False,
        "properties": {
            "columns": {"type": "array", "items": _TEXT, "contains": {"const": "image"}, "maxContains": 1},
            "data": {"type": "array", "minItems": 1, "description": "Rows as long as columns."},
            "index": {"type": ["array", "null"], "description": "As long as data."},
        },
    },
    "dataframe_records": {"type": "array", "minItems": 1, "items": _HAS_IMAGE},
    "instances": {"type": "array", "minItems": 1, "items": {"anyOf": [_IMAGE, _HAS_IMAGE]}},
    "inputs": {
        "anyOf": [
            {"type": "array", "minItems": 1, "items": _IMAGE},
            {
                "type": "object",
                "required": ["image"],
                "properties": {
                    "image": {"anyOf": [_IMAGE, {"type": "array", "minItems": 1, "items": _IMAGE}]}
                },
            },
        ]
    },
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
_STRINGS = {"type": "array", "items": _TEXT}
_PIXELS = {"type": "integer", "minimum": 1}
_INPUT = {
    "type": ["object", "null"],
    "description": "in pixels, once it is loaded",
    "properties": {"height": _PIXELS, "width": _PIXELS, "channels": {"enum": [1, 3]}},
}
_MODELS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name", "aliases", "versions"],
        "properties": {
            "name": _TEXT,
            "aliases": {"type": "object", "additionalProperties": {"type": "integer"}},
            "labels": {**_STRINGS, "description": "of the champion, once it is loaded"},
            "versions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["version", "loaded", "size_bytes"],
                    "properties": {
                        "version": {"type": "integer"},
                        "loaded": {"type": "boolean"},
                        "size_bytes": {"type": ["integer", "null"]},
                        "metrics": {"type": "object", "additionalProperties": {"type": "number"}},
                        "precision": {"type": ["string", "null"]},
                        "content_key": {"type": ["string", "null"]},
                        "network": {"type": ["string", "null"], "description": "once it is loaded"},
                        "input": _INPUT,
                        "card": {"type": ["string", "null"], "description": "its page in MLflow"},
                    },
                },
            },
        },
    },
}
_SAMPLES_PATH = "/models/{name}/versions/{version}/samples"
_SAMPLES = {
    "type": "object",
    "required": ["samples"],
    "properties": {
        "samples": {
            "type": "array",
            "maxItems": 10,
            "items": {
                "type": "object",
                "required": ["name", "image"],
                "properties": {"name": _TEXT, "image": {**_TEXT, "description": "a PNG or JPEG as base64"}},
            },
        }
    },
}
_NAME = {"name": "name", "in": "path", "required": True, "schema": _TEXT}
_VERSION = {"name": "version", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}}
_REQUEST_ID = {
    "description": "The request's own X-Request-ID where it has a plain one, else a new one.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
}
# What comes along with a status, beside X-Request-ID.
_HEADERS: dict[str, Any] = {
    "401": {"WWW-Authenticate": {"schema": {"const": "Bearer"}, "required": True}},
    "413": {"Connection": {"description": "The body is not read to its end.", "schema": {"const": "close"}}},
    "503": {
        "Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}},
    },
}
# What may be asked without the token.
_PROBES = ("/livez", "/readyz")
_MLFLOW_ERROR = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {"error_code": _TEXT, "message": _TEXT},
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


def make_document(guarded: bool) -> dict[str, Any]:
    """Return the document of all endpoints, as OpenAPI 3.1 has it.

    Args:
        guarded: the service asks for a token.
    """
    paths = {**describe_predictions(), **describe_information()}
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
        for path in _PROBES:
            paths[path]["get"]["security"] = []
        for path in ("/models", "/metrics", _SAMPLES_PATH):
            paths[path]["get"]["responses"]["401"] = _error(REFUSED[401], _OWN_ERROR)
    for path in paths.values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                response["headers"] = {"X-Request-ID": _REQUEST_ID, **_HEADERS.get(status, {})}
    return document


def describe_information() -> dict[str, Any]:
    """Return the paths that tell about the service."""
    live = {"type": "object", "required": ["live"], "properties": {"live": {"const": True}}}
    health = {
        "type": "object",
        "required": ["ready", "problems"],
        "properties": {"ready": {"type": "boolean"}, "problems": _STRINGS},
    }
    readyz = _information("Whether requests should be sent here, and what is wrong.", JSON, health)
    readyz["responses"]["503"] = {"description": "Not ready.", "content": {JSON: {"schema": health}}}
    samples = _information("A few pictures to try a version with.", JSON, _SAMPLES)
    samples["parameters"] = [_NAME, _VERSION]
    samples["responses"] |= {str(status): _error(REFUSED[status], _OWN_ERROR) for status in (404, 503)}
    paths = {
        _SAMPLES_PATH: samples,
        "/models": _information("What is served: versions, aliases, metrics, labels, sizes.", JSON, _MODELS),
        "/livez": _information("Whether the process answers at all.", JSON, live),
        "/readyz": readyz,
        "/metrics": _information("Prometheus' text format.", CONTENT_TYPE, _TEXT),
    }
    return {path: {"get": operation} for path, operation in paths.items()}


def _information(summary: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": summary,
        "tags": ["information"],
        "responses": {"200": {"description": "Answered.", "content": {kind: {"schema": schema}}}},
    }


def describe_predictions() -> dict[str, Any]:
    """Return the paths of all predictions, as OpenAPI 3.1 has them."""
    alias = {"name": "alias", "in": "path", "required": True, "schema": _TEXT}
    options = {**_OPTIONS, "show": _SHOW}
    query = [{"name": key, "in": "query", "schema": schema} for key, schema in options.items()]
    own = {
        "/models/{name}/predict": ("Answer images with the champion.", [_NAME]),
        "/models/{name}/versions/{version}/predict": ("Answer with a version.", [_NAME, _VERSION]),
        "/models/{name}/aliases/{alias}/predict": ("Answer with the version of an alias.", [_NAME, alias]),
    }
    paths: dict[str, Any] = {
        path: {"post": _operation(summary, [*given, *query], _BODY, _OWN_ANSWER, _OWN_ERROR)}
        for path, (summary, given) in own.items()
    }
    answer = {"type": "object", "required": ["predictions"], "properties": {"predictions": _PREDICTIONS}}
    body = {"application/json": _MLFLOW_BODY}
    operation = _operation(
        "Answer in MLflow's protocol, with the default model.", [], body, answer, _MLFLOW_ERROR
    )
    operation["responses"]["401"] = _error(REFUSED[401], _OWN_ERROR)
    operation["responses"]["415"] = {
        "description": REFUSED[415],
        "content": {"text/plain": {"schema": _TEXT}},
    }
    return {**paths, "/invocations": {"post": operation}}


def _operation(
    summary: str, parameters: list[Any], body: dict[str, Any], answer: dict[str, Any], error: dict[str, Any]
) -> dict[str, Any]:
    responses: dict[str, Any] = {
        "200": {"description": "Answered.", "content": {"application/json": {"schema": answer}}}
    }
    responses |= {str(status): _error(reason, error) for status, reason in REFUSED.items()}
    return {
        "summary": summary,
        "tags": ["predictions"],
        "parameters": parameters,
        "requestBody": {"required": True, "content": body},
        "responses": responses,
    }


def _error(reason: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": reason, "content": {"application/json": {"schema": schema}}}
