"""The application: its routes, and what they share."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from modelyard.service.http.admission import Admission
from modelyard.service.http.connections.closing_port import Arrivals
from modelyard.service.http.connections.draining import Draining
from modelyard.service.http.docs.documentation import make_documentation_routes
from modelyard.service.http.front import Front
from modelyard.service.http.log_writer import AccessLog
from modelyard.service.http.metrics import Metrics
from modelyard.service.http.refusals import Refusal, busy
from modelyard.service.information import Information
from modelyard.service.models.models import Models, ServedVersion, Unavailable, UnknownModel
from modelyard.service.page.routes import PAGE, make_page_routes
from modelyard.service.protocols.dialect import Dialect
from modelyard.service.protocols.feedback import PATH as FEEDBACK_PATH
from modelyard.service.protocols.feedback import Feedback
from modelyard.service.protocols.mlflow import MlflowDialect
from modelyard.service.protocols.open_inference import PLACES, OpenInferenceDialect
from modelyard.service.protocols.open_inference_routes import make_open_inference_routes
from modelyard.service.protocols.own import OwnDialect
from modelyard.service.protocols.predictions import Choose, Predictions
from modelyard.service.recording.options import RecordingOptions
from modelyard.service.recording.recording import Recording
from modelyard.service.settings import Settings

# Threads that load versions which are not in memory.
LOADERS = 2


class VersionConvertor(IntegerConvertor):
    """A version's number; int() fails at 4,301 digits."""

    regex = "[0-9]{1,18}"


register_url_convertor("version", VersionConvertor())


def create_app(
    models_factory: Callable[[], Models],
    settings: Settings,
    arrivals: Arrivals,
    recording: RecordingOptions | None,
) -> ASGIApp:
    """Make the application of one process, which starts and stops its models with itself.

    Clients among the `arrivals` at the port are accepted before it is closed. What is answered is recorded,
    if there are options for that. Raises ModelyardError if the place of the record cannot be opened.
    """
    models = models_factory()
    admission = Admission(settings.max_concurrent, settings.max_queued)
    loading = ThreadPoolExecutor(LOADERS, thread_name_prefix="load")
    log, draining = AccessLog(), Draining(settings.drain_s, arrivals)
    metrics, record, problems = _make_metrics(models, settings, recording)
    information = Information(models, settings, metrics, draining, problems)
    closing = [admission.close, lambda: loading.shutdown(wait=False)]
    app = Starlette(
        routes=[
            *_make_answering_routes(models, settings, admission, loading, record),
            *make_open_inference_routes(models),
            *information.make_routes(records=record is not None),
            *make_documentation_routes(),
            *make_page_routes(),
        ],
        lifespan=_lifespan(models, log, draining, record, closing),
        exception_handlers={HTTPException: _refuse, UnknownModel: _explain, Unavailable: _explain},
    )
    # A redirect would lead to whatever host the client names.
    app.router.redirect_slashes = False
    return Front(app, settings, metrics, log, draining, without_token=PAGE)


def _make_metrics(
    models: Models, settings: Settings, recording: RecordingOptions | None
) -> tuple[Metrics, Recording | None, Callable[[], list[str]]]:
    """Return the metrics, the record, which adds its own to them, and what tells of problems."""
    record: Recording | None = None

    def problems() -> list[str]:
        return models.problems() + (record.problems() if record else [])

    metrics = Metrics(models.describe, problems)
    models.observe_loads(metrics.count_load)
    if recording is not None:
        record = Recording(recording, models, metrics.own, settings.token)
    return metrics, record, problems


def _make_answering_routes(
    models: Models,
    settings: Settings,
    admission: Admission,
    loading: ThreadPoolExecutor,
    record: Recording | None,
) -> list[Route]:
    """Return the routes of predictions in every protocol and, if they are recorded, of labels for them."""

    def answer(path: str, dialect: Dialect, choose: Choose, at_once: bool = False) -> Route:
        endpoint = Predictions(models, settings, admission, loading, dialect, choose, at_once, record)
        return Route(path, endpoint, methods=["POST"])

    own = OwnDialect()
    routes = [
        answer("/models/{name}/predict", own, _choose_named, at_once=True),
        answer("/invocations", MlflowDialect(), _choose_default, at_once=True),
        answer("/models/{name}/versions/{version:version}/predict", own, _choose_named),
        answer("/models/{name}/aliases/{alias}/predict", own, _choose_named),
        *(answer(f"{place}/infer", OpenInferenceDialect(), _choose_named) for place in PLACES),
    ]
    if record is not None:
        feedback = Feedback(models, settings, admission, loading, record)
        routes.append(Route(FEEDBACK_PATH, feedback, methods=["POST"]))
    return routes


def _choose_named(models: Models, path: dict[str, Any]) -> ServedVersion:
    """Choose a version by its number or alias, else the champion."""
    return models.get(**path)


def _choose_default(models: Models, path: dict[str, Any]) -> ServedVersion:  # noqa: ARG001
    return models.default()


def _lifespan(
    models: Models,
    log: AccessLog,
    draining: Draining,
    record: Recording | None,
    closing: list[Callable[[], None]],
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def run(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001
        # What begins last ends first, whatever fails.
        async with AsyncExitStack() as stack:
            log.start()
            stack.callback(log.stop)
            stack.push_async_callback(run_in_threadpool, models.stop)
            await run_in_threadpool(models.start)
            if record is not None:
                stack.push_async_callback(run_in_threadpool, record.stop)
                record.start()
            for close in reversed(closing):
                stack.push_async_callback(run_in_threadpool, close)
            draining.watch()
            yield

    return run


async def _refuse(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer an unknown path or method with JSON, as all other errors."""
    assert isinstance(error, HTTPException)  # noqa: S101  # Starlette calls it for nothing else
    headers = dict(error.headers or {})
    if "Allow" in headers:
        # Starlette names the methods in the order of a set.
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
    return JSONResponse({"error": error.detail}, error.status_code, headers)


async def _explain(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer a question about a model that is not there, or not now."""
    refusal = busy(str(error)) if isinstance(error, Unavailable) else Refusal(404, str(error))
    return JSONResponse({"error": refusal.message}, refusal.status, refusal.headers)
