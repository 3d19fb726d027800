"""The endpoints that describe the service: its models, samples, health, metrics and API document."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from modelyard.inference.plain_text import show
from modelyard.service.http.connections.draining import Draining
from modelyard.service.http.metrics import CONTENT_TYPE, Metrics
from modelyard.service.models.models import Models
from modelyard.service.protocols.dialect import JSON
from modelyard.service.protocols.openapi.document import make_document
from modelyard.service.settings import Settings

# Of an answer of /readyz, which anybody may request.
MOST_PROBLEMS, MOST_PROBLEM_CHARACTERS = 20, 300


@dataclass(frozen=True)
class Information:
    """Endpoints that describe the service; asked about a model, they raise UnknownModel or Unavailable."""

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
        return JSONResponse(self.models.describe())

    def _list_samples(self, request: Request) -> Response:
        found = self.models.samples(**request.path_params)
        samples = [{"name": name, "image": b64encode(file).decode()} for name, file in found.items()]
        return JSONResponse({"samples": samples})

    async def _livez(self, request: Request) -> Response:  # noqa: ARG002
        return JSONResponse({"live": True})

    async def _readyz(self, request: Request) -> Response:  # noqa: ARG002
        stopping = ["the service is stopping"] if self.draining.begun else []
        ready = self.models.ready and not self.draining.begun
        told = shorten(stopping + self.problems())
        return JSONResponse({"ready": ready, "problems": told}, 200 if ready else 503)

    def _read_metrics(self, request: Request) -> Response:  # noqa: ARG002
        return Response(self.metrics.render(), headers={"content-type": CONTENT_TYPE})


def shorten(problems: list[str]) -> list[str]:
    """Return the first problems, each cut to a readable length, and how many more there are."""
    shown = [_cut(show(problem, MOST_PROBLEM_CHARACTERS)) for problem in problems[:MOST_PROBLEMS]]
    more = len(problems) - MOST_PROBLEMS
    return [*shown, f"and {more} more"] if more > 0 else shown


def _cut(text: str) -> str:
    """Cut text whose escapes may have made it longer."""
    return text if len(text) <= MOST_PROBLEM_CHARACTERS else f"{text[: MOST_PROBLEM_CHARACTERS - 3]}..."
