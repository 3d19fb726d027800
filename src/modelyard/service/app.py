"""The application: its routes, and what they share."""

import functools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

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
from modelyard.service.http.metrics import Metrics
from modelyard.service.information import Information, describe_models
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
from modelyard.service.protocols.own import JSON, OwnDialect
from modelyard.service.protocols.predictions import Choose, Dialect, Predictions
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
    models: Models,
    settings: Settings,
    arrivals: Arrivals | None = None,
    recording: RecordingOptions | None = None,
) -> ASGIApp:
    """Make the application, which starts and stops the models with itself.

    Clients among the `arrivals` at the port are accepted before it is closed. What is answered is recorded,
    if there are options for that.

    Raises:
        ModelyardError: the place of the record cannot be opened.
    """
    admission = Admission(settings.max_concurrent, settings.max_queued)
    loading = ThreadPoolExecutor(LOADERS, thread_name_prefix="load")
    log, draining = AccessLog(), Draining(settings.drain_s, arrivals)
    record: Recording | None = None

    def problems() -> list[str]:
        return models.problems() + (record.problems() if record else [])

    metrics = Metrics(functools.partial(describe_models, models), problems)
    if recording is not None:
        record = Recording(recording, models, metrics.own, settings.token)
    models.observe_loads(metrics.count_load)
    information = Information(models, settings, metrics, draining, problems)
    closing = [admission.close, lambda: loading.shutdown(wait=False)]
    app = Starlette(
        routes=[
            *_make_answering_routes(models, settings, admission, loading, record),
            *make_open_inference_routes(models, settings.deadline_s),
            *information.make_routes(records=record is not None),
            *make_documentation_routes(),
            *make_page_routes(),
        ],
        lifespan=_lifespan(models, log, draining, record, closing),
        exception_handlers={HTTPException: _refuse},
    )
    # A redirect would lead to whatever host the client names.
    app.router.redirect_slashes = False
    return Front(app, settings, metrics, log, draining, without_token=PAGE)


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
        answer("/models/{name}/predict", own, _choose_champion, at_once=True),
        answer("/invocations", MlflowDialect(), _choose_default, at_once=True),
        answer("/models/{name}/versions/{version:version}/predict", own, _choose_named),
        answer("/models/{name}/aliases/{alias}/predict", own, _choose_named),
        *(answer(f"{place}/infer", OpenInferenceDialect(), _choose_named) for place in PLACES),
    ]
    if record is not None:
        feedback = Feedback(models, settings, admission, loading, record)
        routes.append(Route(FEEDBACK_PATH, feedback, methods=["POST"]))
    return routes


def _choose_champion(models: Models, path: dict[str, Any]) -> ServedVersion:
    return models.get(path["name"])


def _choose_named(models: Models, path: dict[str, Any]) -> ServedVersion:
    """Choose by name, and by version or alias."""
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
    return Response(orjson.dumps({"error": error.detail}), error.status_code, headers, JSON)
