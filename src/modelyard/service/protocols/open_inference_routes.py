"""What the Open Inference Protocol tells about the server and its models, and whether a model is ready."""

from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from modelyard.service.models.models import Models, ServedVersion
from modelyard.service.protocols.open_inference import INPUT, PLACES, UNLIKENESS, list_outputs

_EXTENSION = "binary_tensor_data"


def make_open_inference_routes(models: Models) -> list[Route]:
    """Return the routes; asked about a model, they raise UnknownModel or Unavailable."""

    def describe_server(request: Request) -> Response:  # noqa: ARG001
        about = {"name": "modelyard", "version": version("modelyard"), "extensions": [_EXTENSION]}
        return JSONResponse(about)

    def describe_model(request: Request) -> Response:
        return JSONResponse(_describe(models.get(**request.path_params), models))

    def model_ready(request: Request) -> Response:
        return JSONResponse({"name": models.get(**request.path_params).name, "ready": True})

    routes = [Route("/v2", describe_server)]
    for place in PLACES:
        routes += [Route(place, describe_model), Route(f"{place}/ready", model_ready)]
    return routes


def _describe(served: ServedVersion, models: Models) -> dict[str, Any]:
    """Describe a version's tensors; -1 is any number."""
    known = next(model for model in models.describe() if model["name"] == served.name)
    return {
        "name": served.name,
        "versions": [str(version["version"]) for version in known["versions"]],
        "platform": "litert",
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": name, "datatype": kind, "shape": [-1, 1 if name == UNLIKENESS else -1]}
            for name, kind in list_outputs(served).items()
        ],
    }
