"""The application: its endpoints, and what they share."""

import functools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, BinaryIO

import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

import modelyard
from modelyard.service.access_log import AccessLog
from modelyard.service.admission import Admission
from modelyard.service.arrivals import Arrivals
from modelyard.service.draining import Draining
from modelyard.service.front import Front
from modelyard.service.heads import Heads
from modelyard.service.invocations import MlflowDialect
from modelyard.service.metrics import CONTENT_TYPE, Metrics
from modelyard.service.models import Models
from modelyard.service.openapi import complete_document
from modelyard.service.pages import add_documentation
from modelyard.service.payload import JSON, OwnDialect
from modelyard.service.plain import make_plain, shorten
from modelyard.service.predictions import Choose, Dialect, Predictions
from modelyard.service.settings import Settings
from modelyard.service.shortcut import Shortcut

# Versions that are not in memory are loaded two at a time, whatever is asked for.
LOADERS = 2
# Anybody may ask whether the service is ready.
MOST_PROBLEMS, MOST_PROBLEM_CHARACTERS = 20, 300


class VersionConvertor(IntegerConvertor):
    """A version's number; int() fails at 4,301 digits."""

    regex = "[0-9]{1,18}"


register_url_convertor("version", VersionConvertor())


class Health(BaseModel):
    """Whether the service is well; `problems` may be told of one that is ready all the same."""

    ready: bool
    problems: list[str]


def create_app(
    models: Models,
    settings: Settings,
    log_stream: BinaryIO | None = None,
    arrivals: Arrivals | None = None,
) -> ASGIApp:
    """Make the application; it starts and stops the models with itself.

    Args:
        models: what is served.
        settings: the limits.
        log_stream: for the access log; stdout unless told otherwise.
        arrivals: at the port, which are accepted before it is closed.
    """
    admission = Admission(settings.max_concurrent, settings.max_queued)
    loading = ThreadPoolExecutor(LOADERS, thread_name_prefix="load")
    log = AccessLog(log_stream)
    metrics = Metrics(functools.partial(_describe, models), models.problems)
    models.observe_loads(metrics.count_load)
    draining = Draining(settings.drain_s, arrivals)
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        # A redirect would lead to the host that the client names.
        redirect_slashes=False,
        title="modelyard",
        description="Image models from an MLflow registry.",
        lifespan=_lifespan(models, log, draining, [admission.close, lambda: loading.shutdown(wait=False)]),
        exception_handlers={HTTPException: _refuse},
    )
    predictions: list[Route] = []

    def add(path: str, dialect: Dialect, choose: Choose, at_once: bool = False) -> None:
        endpoint = Predictions(models, settings, admission, loading, dialect, choose, at_once)
        predictions.append(Route(path, endpoint, methods=["POST"]))

    own = OwnDialect()
    add("/models/{name}/predict", own, lambda models, path: models.get(path["name"]), at_once=True)
    add("/invocations", MlflowDialect(), lambda models, path: models.default(), at_once=True)  # noqa: ARG005
    add("/models/{name}/versions/{version:version}/predict", own, _choose_version)
    add("/models/{name}/aliases/{alias}/predict", own, _choose_alias)
    _add_information(app, models, metrics, draining)
    add_documentation(app)
    app.openapi = _openapi(app, settings)  # type: ignore[method-assign]
    # Also here, where another method is answered with 405.
    app.router.routes.extend(predictions)
    return Front(Shortcut(predictions, Heads(app)), settings, metrics, log, draining)


def _choose_version(models: Models, path: dict[str, Any]) -> Any:
    return models.get(path["name"], version=path["version"])


def _choose_alias(models: Models, path: dict[str, Any]) -> Any:
    return models.get(path["name"], alias=path["alias"])


def _add_information(app: FastAPI, models: Models, metrics: Metrics, draining: Draining) -> None:
    @app.get("/models", tags=["information"], response_model=list[dict[str, Any]])
    def list_models() -> Response:
        """What is served: versions, aliases, metrics, labels, sizes."""
        return Response(orjson.dumps(_describe(models)), media_type=JSON)

    @app.get("/livez", tags=["information"])
    async def livez() -> dict[str, bool]:
        """Whether the process answers at all."""
        return {"live": True}

    @app.get("/readyz", tags=["information"], responses={503: {"model": Health}})
    async def readyz(response: Response) -> Health:
        """Whether requests should be sent here, and what is not as it should be."""
        problems = ["the service is stopping"] if draining.begun else []
        ready = models.ready and not draining.begun
        response.status_code = 200 if ready else 503
        problems += models.problems()
        return Health(ready=ready, problems=shorten(problems, MOST_PROBLEMS, MOST_PROBLEM_CHARACTERS))

    @app.get("/metrics", tags=["information"], response_class=Response)
    def read_metrics() -> Response:
        """Prometheus' text format."""
        return Response(metrics.render(), headers={"content-type": CONTENT_TYPE})


def _describe(models: Models) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = make_plain(models.describe())
    return described


def _lifespan(
    models: Models, log: AccessLog, draining: Draining, closing: list[Callable[[], None]]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001
        log.start()
        try:
            await run_in_threadpool(models.start)
            draining.watch()
            yield
        finally:
            for close in closing:
                await run_in_threadpool(close)
            await run_in_threadpool(models.stop)
            log.stop()

    return run


async def _refuse(request: Request, error: HTTPException) -> Response:  # noqa: ARG001
    """Tell an unknown path or method in the service's own form."""
    headers = dict(error.headers or {})
    if headers.get("Allow") == "GET":
        headers["Allow"] = "GET, HEAD"
    return Response(orjson.dumps({"error": error.detail}), error.status_code, headers, JSON)


def _openapi(app: FastAPI, settings: Settings) -> Callable[[], dict[str, Any]]:
    generate = app.openapi

    def describe() -> dict[str, Any]:
        document = generate()
        if "/invocations" not in document["paths"]:
            document["info"]["version"] = getattr(modelyard, "__version__", "0.1.0")
            complete_document(document, guarded=settings.token is not None)
        return document

    return describe
