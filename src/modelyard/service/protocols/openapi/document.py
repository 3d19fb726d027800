"""The OpenAPI document of the service; tests hold every endpoint against it."""

import copy
from importlib.metadata import version
from typing import Any

from modelyard.service.http.metrics import CONTENT_TYPE
from modelyard.service.protocols.dialect import JSON
from modelyard.service.protocols.open_inference import BINARY, PLACES
from modelyard.service.protocols.openapi import open_inference_schemas as v2
from modelyard.service.protocols.openapi import own_schemas as own
from modelyard.service.protocols.openapi.own_schemas import TEXT, WHOLE, Schema, make_array, make_object


def _response(description: str, schema: Schema, kind: str = JSON) -> Schema:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _parameter(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


_SAMPLES_PATH = "/models/{name}/versions/{version}/samples"
_NAME = _parameter("name", TEXT)
_NUMBERED = _parameter("version", {**WHOLE, "minimum": 0})
_REQUEST_ID = {
    "description": "The request's own X-Request-ID where it has a plain one, else a new one.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
}
# The headers that answers of a status have beside X-Request-ID.
_HEADERS: dict[str, Any] = {
    "401": {"WWW-Authenticate": {"schema": {"const": "Bearer"}, "required": True}},
    "413": {"Connection": {"description": "The body is not read to its end.", "schema": {"const": "close"}}},
    "503": {"Retry-After": {"description": "seconds", "schema": own.PIXELS}},
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

    A service that is `guarded` asks for a token; one that `records` its answers takes labels.
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
                paths[path]["get"]["responses"] |= _refuse(own.OWN_ERROR, 401)
    for path in paths.values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                response["headers"] = {"X-Request-ID": _REQUEST_ID, **_HEADERS.get(status, {})}
    return document


def _describe_information() -> dict[str, Any]:
    """Return the paths that tell about the service."""
    health = make_object({"ready": {"type": "boolean"}, "problems": make_array(TEXT)})
    readyz = _information("Whether requests should be sent here, and what is wrong.", health)
    readyz["responses"]["503"] = _response("Not ready.", health)
    live = _information("Whether the process answers at all.", make_object({"live": {"const": True}}))
    samples = _information(
        "A few pictures to try a version with.",
        make_object({"samples": make_array(own.SAMPLE, maxItems=10)}),
    )
    samples["parameters"] = [_NAME, _NUMBERED]
    samples["responses"] |= _refuse(own.OWN_ERROR, 404, 503)
    paths = {
        _SAMPLES_PATH: samples,
        "/models": _information(
            "What is served: versions, aliases, metrics, labels, sizes.", make_array(own.MODEL)
        ),
        "/livez": live,
        "/readyz": readyz,
        "/v2/health/live": live,
        "/v2/health/ready": readyz,
        "/metrics": _information("Prometheus' text format.", TEXT, CONTENT_TYPE),
    }
    # Each has its own, since only some need the token.
    return {path: {"get": copy.deepcopy(operation)} for path, operation in paths.items()}


def _information(summary: str, schema: Schema, kind: str = JSON) -> dict[str, Any]:
    responses = {"200": _response("Answered.", schema, kind)}
    return {"summary": summary, "tags": ["information"], "responses": responses}


def _describe_predictions() -> dict[str, Any]:
    """Return the paths of all predictions."""
    options = {**own.OPTIONS, "show": own.SHOW}
    query = [{"name": key, "in": "query", "schema": schema} for key, schema in options.items()]
    ours = {
        "/models/{name}/predict": ("Answer images with the champion.", []),
        "/models/{name}/versions/{version}/predict": ("Answer with a version.", [_NUMBERED]),
        "/models/{name}/aliases/{alias}/predict": (
            "Answer with the version of an alias.",
            [_parameter("alias", TEXT)],
        ),
    }
    paths = {
        path: _operation(summary, [_NAME, *more, *query], own.BODY, own.OWN_ANSWER, own.OWN_ERROR)
        for path, (summary, more) in ours.items()
    }
    mlflow = _operation(
        "Answer in MLflow's protocol, with the default model.",
        [],
        {JSON: own.MLFLOW_BODY},
        make_object({"predictions": own.PREDICTIONS}),
        own.MLFLOW_ERROR,
    )
    mlflow["responses"] |= _refuse(own.OWN_ERROR, 401) | {"415": _response(REFUSED[415], TEXT, "text/plain")}
    return {path: {"post": operation} for path, operation in {**paths, "/invocations": mlflow}.items()}


def _describe_open_inference() -> dict[str, Any]:
    """Return the paths of the Open Inference Protocol, except those of its health."""
    paths = {"/v2": {"get": _information("The server, in the Open Inference Protocol.", v2.SERVER)}}
    example = {"one": {"value": v2.make_example(own.PIXEL)}}
    for place in PLACES:
        path = place.replace("{version:version}", "{version}")
        parameters = [_NAME, _NUMBERED] if "{version}" in path else [_NAME]
        for end, summary, schema in (
            ("", "Tensors of a model.", v2.MODEL),
            ("/ready", "Is it loaded?", v2.READY),
        ):
            operation = _information(summary, schema) | {"parameters": parameters}
            operation["responses"] |= _refuse(own.OWN_ERROR, 404, 503)
            paths[path + end] = {"get": operation}
        body = {JSON: {"schema": v2.REQUEST, "examples": example}}
        summary = "Answer images in the Open Inference Protocol."
        infer = _operation(summary, parameters, body, v2.ANSWER, own.OWN_ERROR)
        # With outputs that are asked for as binary: the JSON, and their bytes.
        infer["responses"]["200"]["content"][BINARY] = {"schema": own.FILE}
        paths[f"{path}/infer"] = {"post": infer}
    return paths


def _describe_feedback() -> dict[str, Any]:
    """Return the path that takes labels."""
    fields = {"id": {**TEXT, "description": "X-Request-ID of the answer"}, "label": TEXT}
    index = {**WHOLE, "minimum": 0, "default": 0, "description": "of the image in its request"}
    body = {JSON: {"schema": {**make_object(fields, index=index), "additionalProperties": False}}}
    taken = make_object({**fields, "index": WHOLE, "model": TEXT, "version": WHOLE})
    operation = _operation(
        "Say what an answered image really is; the last word counts.", [], body, taken, own.OWN_ERROR
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
