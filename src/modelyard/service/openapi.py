"""The part of the OpenAPI document that FastAPI cannot see, since predictions are answered in plain ASGI."""

from typing import Any

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
_IMAGE = {
    "description": "A PNG or JPEG as base64, standard or URL-safe, with or without data:; a digit also as "
    "numbers, 28 x 28 or 784, whole ones 0..255 or floats 0..1.",
    "anyOf": [_TEXT, {"type": "array", "items": {}, "minItems": 1}],
}
_OPTIONS = {
    "top_k": {"type": "integer", "minimum": 1, "default": 5},
    "on_error": {"type": "string", "enum": ["raise", "return"], "default": "raise"},
}
_BINARY = {"type": "string", "format": "binary"}
_BODY = {
    "image/png": {"schema": _BINARY},
    "image/jpeg": {"schema": _BINARY},
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
                **_OPTIONS,
            },
            "oneOf": [{"required": ["images"]}, {"required": ["image"]}],
        }
    },
}
_OWN_ANSWER = {
    "type": "object",
    "required": ["model", "version", "predictions"],
    "properties": {"model": _TEXT, "version": {"type": "integer"}, "predictions": _PREDICTIONS},
}
_OWN_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": _TEXT, "index": {"type": "integer", "description": "of the bad image"}},
}
_MLFLOW_BODY = {
    "schema": {
        "type": "object",
        "description": "Exactly one of the four shapes of MLflow.",
        "properties": {
            "dataframe_split": {"type": "object"},
            "dataframe_records": {"type": "array", "items": {"type": "object"}},
            "instances": {},
            "inputs": {},
            "params": {"type": "object", "properties": _OPTIONS},
        },
    }
}
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
    415: "Another content type.",
    500: "The model itself failed.",
    503: "Busy, or the version cannot be loaded now; Retry-After says when to come again.",
    504: "No answer within the deadline.",
}


def describe_predictions() -> dict[str, Any]:
    """Return the paths of all predictions, as OpenAPI 3.1 has them."""
    name = {"name": "name", "in": "path", "required": True, "schema": _TEXT}
    version = {"name": "version", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}}
    alias = {"name": "alias", "in": "path", "required": True, "schema": _TEXT}
    query = [{"name": key, "in": "query", "schema": schema} for key, schema in _OPTIONS.items()]
    own = {
        "/models/{name}/predict": ("Answer images with the champion.", [name]),
        "/models/{name}/versions/{version}/predict": ("Answer with a version.", [name, version]),
        "/models/{name}/aliases/{alias}/predict": ("Answer with the version of an alias.", [name, alias]),
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
