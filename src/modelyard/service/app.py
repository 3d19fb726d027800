"""The application: its endpoints and what they share."""

import functools
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, BinaryIO

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from modelyard.service.http.access_log import AccessLog
from modelyard.service.http.admission import Admission
from modelyard.service.http.connections.arrivals import Arrivals
from modelyard.service.http.connections.draining import Draining
from modelyard.service.http.docs.documentation import make_documentation_routes
from modelyard.service.http.front import Front
from modelyard.service.http.metrics import CONTENT_TYPE, Metrics
from modelyard.service.http.plain import make_plain, shorten
from modelyard.service.models.models import Models, ServedVersion
from modelyard.service.page.routes import PAGE, make_page_routes
from modelyard.service.protocols.feedback import PATH as FEEDBACK_PATH
from modelyard.service.protocols.feedback import Feedback
from modelyard.service.protocols.mlflow import MlflowDialect
from modelyard.service.protocols.open_inference import (
    PLACES,
    OpenInferenceDialect,
    make_open_inference_routes,
)
from modelyard.service.protocols.openapi import make_document
from modelyard.service.protocols.own import JSON, OwnDialect
from modelyard.service.protocols.predictions import Choose, Dialect, Predictions, explain
from modelyard.service.recording.options import RecordingOptions
from modelyard.service.recording.recording import Recording
from modelyard.service.settings import Settings

# Threads that load versions which are not in memory.
LOADERS = 2
# Of an answer of /readyz, which anybody may ask for.
MOST_PROBLEMS, MOST_PROBLEM_CHARACTERS = 20, 300


class VersionConvertor(IntegerConvertor):
    """A version's number; int() fails at 4,301 digits."""

    regex = "[0-9]{1,18}"


register_url_convertor("version", VersionConvertor())


def create_app(
    models: Models,
    settings: Settings,
    log_stream: BinaryIO | None = None,
    arrivals: Arrivals | None = None,
    recording: RecordingOptions | None = None,
) -> ASGIApp:
    """Make the application, which starts and stops the models with itself.

    The access log goes to `log_stream`, by default stdout. Clients among the `arrivals` at the port are
    accepted before it is closed. What is answered is recorded, if there are options for that.

    Raises:
        ModelyardError: the place of the record cannot be opened.
    """
    admission = Admission(settings.max_concurrent, settings.max_queued)
    loading = ThreadPoolExecutor(LOADERS, thread_name_prefix="load")
    log = AccessLog(log_stream)
    record: Recording | None = None

    def problems() -> list[str]:
        return models.problems() + (record.problems() if record else [])

    metrics = Metrics(functools.partial(_describe, models), problems)
    if recording is not None:
        record = Recording(recording, models, lambda: admission.inside, metrics.own, settings.token)
    models.observe_loads(metrics.count_load)
    draining = Draining(settings.drain_s, arrivals)

    def answer(path: str, dialect: Dialect, choose: Choose, at_once: bool = False) -> Route:
        endpoint = Predictions(models, settings, admission, loading, dialect, choose, at_once, record)
        return Route(path, endpoint, methods=["POST"])

    own = OwnDialect()
    app = Starlette(
        routes=[
            answer("/models/{name}/predict", own, _choose_champion, at_once=True),
            answer("/invocations", MlflowDialect(), _choose_default, at_once=True),
            answer("/models/{name}/versions/{version:version}/predict", own, _choose_named),
            answer("/models/{name}/aliases/{alias}/predict", own, _choose_named),
            *(answer(f"{place}/infer", OpenInferenceDialect(), _choose_named) for place in PLACES),
            *make_open_inference_routes(models, settings.deadline_s),
            *_make_feedback_routes(models, settings, admission, loading, record),
            *_make_information_routes(models, metrics, draining, settings, problems, record is not None),
            *make_documentation_routes(),
            *make_page_routes(),
        ],
        lifespan=_lifespan(
            models, log, draining, record, [admission.close, lambda: loading.shutdown(wait=False)]
        ),
        exception_handlers={HTTPException: _refuse},
    )
    # A redirect would lead to whatever host the client names.
    app.router.redirect_slashes = False
    return Front(app, settings, metrics, log, draining, without_token=PAGE)


def _choose_champion(models: Models, path: dict[str, Any]) -> ServedVersion:
    return models.get(path["name"])


def _choose_named(models: Models, path: dict[str, Any]) -> ServedVersion:
    """Choose by name, and by version or alias."""
    return models.get(**path)


def _choose_default(models: Models, path: dict[str, Any]) -> ServedVersion:  # noqa: ARG001
    return models.default()


def _make_feedback_routes(
    models: Models,
    settings: Settings,
    admission: Admission,
    loading: ThreadPoolExecutor,
    record: Recording | None,
) -> list[Route]:
    if record is None:
        return []
    return [Route(FEEDBACK_PATH, Feedback(models, settings, admission, loading, record), methods=["POST"])]


def _make_information_routes(
    models: Models,
    metrics: Metrics,
    draining: Draining,
    settings: Settings,
    problems: Callable[[], list[str]],
    records: bool,
) -> list[Route]:
    document = orjson.dumps(make_document(guarded=settings.token is not None, records=records))

    def list_models(request: Request) -> Response:  # noqa: ARG001
        return _as_json(_describe(models))

    def list_samples(request: Request) -> Response:
        path = request.path_params
        try:
            found = models.samples(path["name"], path["version"])
        except Exception as error:
            refusal = explain(error, settings.deadline_s)
            body, kind = OwnDialect().refuse(refusal)
            return Response(body, refusal.status, refusal.headers, kind)
        samples = [{"name": name, "image": b64encode(file).decode()} for name, file in found.items()]
        return _as_json({"samples": samples})

    async def livez(request: Request) -> Response:  # noqa: ARG001
        return _as_json({"live": True})

    async def readyz(request: Request) -> Response:  # noqa: ARG001
        stopping = ["the service is stopping"] if draining.begun else []
        ready = models.ready and not draining.begun
        told = shorten(stopping + problems(), MOST_PROBLEMS, MOST_PROBLEM_CHARACTERS)
        return _as_json({"ready": ready, "problems": told}, 200 if ready else 503)

    def read_metrics(request: Request) -> Response:  # noqa: ARG001
        return Response(metrics.render(), headers={"content-type": CONTENT_TYPE})

    async def describe_api(request: Request) -> Response:  # noqa: ARG001
        return Response(document, media_type=JSON)

    endpoints = {
        "/models": list_models,
        "/models/{name}/versions/{version:version}/samples": list_samples,
        "/livez": livez,
        "/readyz": readyz,
        "/v2/health/live": livez,
        "/v2/health/ready": readyz,
        "/metrics": read_metrics,
        "/openapi.json": describe_api,
    }
    return [Route(path, endpoint) for path, endpoint in endpoints.items()]


def _as_json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type=JSON)


def _describe(models: Models) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = make_plain(models.describe())
    return described


def _lifespan(
    models: Models,
    log: AccessLog,
    draining: Draining,
    record: Recording | None,
    closing: list[Callable[[], None]],
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def run(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001
        log.start()
        try:
            await run_in_threadpool(models.start)
            if record is not None:
                record.start()
            draining.watch()
            yield
        finally:
            for close in closing:
                await run_in_threadpool(close)
            if record is not None:
                await run_in_threadpool(record.stop)
            await run_in_threadpool(models.stop)
            log.stop()

    return run


async def _refuse(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer an unknown path or method with JSON, as all other errors."""
    assert isinstance(error, HTTPException)  # noqa: S101  # Starlette calls it for nothing else
    headers = dict(error.headers or {})
    if "Allow" in headers:
        # Starlette names the methods in the order of a set.
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
    return Response(orjson.dumps({"error": error.detail}), error.status_code, headers, JSON)
