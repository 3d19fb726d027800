"""The endpoints that tell about the service: its models, samples, health, metrics and API document."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from modelyard.service.http.connections.draining import Draining
from modelyard.service.http.metrics import CONTENT_TYPE, Metrics
from modelyard.service.http.plain import make_plain, shorten
from modelyard.service.models.models import Models
from modelyard.service.protocols.openapi import make_document
from modelyard.service.protocols.own import JSON, OwnDialect
from modelyard.service.protocols.predictions import explain
from modelyard.service.settings import Settings

# Of an answer of /readyz, which anybody may ask for.
MOST_PROBLEMS, MOST_PROBLEM_CHARACTERS = 20, 300


@dataclass(frozen=True)
class Information:
    """Endpoints that only tell; `problems` returns what is wrong, one sentence each."""

    models: Models
    settings: Settings
    metrics: Metrics
    draining: Draining
    problems: Callable[[], list[str]]

    def make_routes(self, *, records: bool) -> list[Route]:
        """Return the routes; the API document has /feedback if the service `records`."""
        document = orjson.dumps(make_document(guarded=self.settings.token is not None, records=records))

        async def describe_api(request: Request) -> Response:  # noqa: ARG001
            return Response(document, media_type=JSON)

        endpoints = {
            "/models": self._list_models,
            "/models/{name}/versions/{version:version}/samples": self._list_samples,
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/v2/health/live": self._livez,
            "/v2/health/ready": self._readyz,
            "/metrics": self._read_metrics,
            "/openapi.json": describe_api,
        }
        return [Route(path, endpoint) for path, endpoint in endpoints.items()]

    def _list_models(self, request: Request) -> Response:  # noqa: ARG002
        return _as_json(describe_models(self.models))

    def _list_samples(self, request: Request) -> Response:
        path = request.path_params
        try:
            found = self.models.samples(path["name"], path["version"])
        except Exception as error:
            refusal = explain(error, self.settings.deadline_s)
            body, kind = OwnDialect().refuse(refusal)
            return Response(body, refusal.status, refusal.headers, kind)
        samples = [{"name": name, "image": b64encode(file).decode()} for name, file in found.items()]
        return _as_json({"samples": samples})

    async def _livez(self, request: Request) -> Response:  # noqa: ARG002
        return _as_json({"live": True})

    async def _readyz(self, request: Request) -> Response:  # noqa: ARG002
        stopping = ["the service is stopping"] if self.draining.begun else []
        ready = self.models.ready and not self.draining.begun
        told = shorten(stopping + self.problems(), MOST_PROBLEMS, MOST_PROBLEM_CHARACTERS)
        return _as_json({"ready": ready, "problems": told}, 200 if ready else 503)

    def _read_metrics(self, request: Request) -> Response:  # noqa: ARG002
        return Response(self.metrics.render(), headers={"content-type": CONTENT_TYPE})


def describe_models(models: Models) -> list[dict[str, Any]]:
    """Return what is served, as JSON can hold it."""
    described: list[dict[str, Any]] = make_plain(models.describe())
    return described


def _as_json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type=JSON)
