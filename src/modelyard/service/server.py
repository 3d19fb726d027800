"""uvicorn with uvloop and httptools around the application, in one process or several."""

import functools
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from modelyard.errors import ModelyardError
from modelyard.service.app import create_app
from modelyard.service.connections import Connection
from modelyard.service.metrics import SHARED
from modelyard.service.models import Models
from modelyard.service.settings import Settings

LOOPBACK = "127.0.0.1"
# Connections that wait to be accepted.
BACKLOG = 2048


def serve(
    models_factory: Callable[[], Models],
    *,
    host: str = LOOPBACK,
    port: int = 8080,
    workers: int = 1,
    settings: Settings | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; requests that are inside are answered first.

    Args:
        models_factory: makes the models of one process; with several workers it must be picklable.
        host: to listen on; loopback unless told otherwise.
        port: to listen on; 0 takes a free one.
        workers: processes, each with the models of its own.
        settings: the limits of each process.

    Raises:
        ModelyardError: the port cannot be had.
    """
    settings = settings or Settings()
    listening = _listen(host, port)
    address = f"[{host}]" if ":" in host else host
    print(f"modelyard serves on http://{address}:{listening.getsockname()[1]}", file=sys.stderr, flush=True)
    with _share_metrics(workers):
        config = _configure(models_factory, settings, workers)
        if workers > 1:
            Multiprocess(config, sockets=[listening]).run()
            return
        # uvicorn raises the signal again when all is done; a stop as asked for is no failure.
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.signal(signal.SIGINT, lambda *_: None)
        server = uvicorn.Server(config)
        server.run(sockets=[listening])
    if not server.started:
        raise ModelyardError("the service did not start; the reason stands above")


def _configure(models_factory: Callable[[], Models], settings: Settings, workers: int) -> uvicorn.Config:
    return uvicorn.Config(
        functools.partial(build, models_factory, settings),
        factory=True,
        loop="uvloop",
        http=functools.partial(Connection, settings=settings),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        workers=workers,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        # Longer than the load balancers before us keep a connection that they do not use.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.deadline_s) + 1,
    )


def build(models_factory: Callable[[], Models], settings: Settings) -> ASGIApp:
    """Make the application of one process."""
    return create_app(models_factory(), settings)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ModelyardError(
            f"cannot listen on {host}, port {port} ({error.strerror}): choose another with --host and --port"
        ) from None


def _share_metrics(workers: int) -> AbstractContextManager[object]:
    """With several processes, give them a folder for their numbers, so that each can answer for all."""
    if workers == 1:
        return nullcontext()
    folder = tempfile.TemporaryDirectory(prefix="modelyard-metrics-")
    os.environ[SHARED] = folder.name
    return folder
