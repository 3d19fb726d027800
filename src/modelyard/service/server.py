"""uvicorn with uvloop and httptools, which runs the application in one process or several."""

import functools
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from modelyard.errors import ModelyardError
from modelyard.service.app import create_app
from modelyard.service.http.connections.closing_port import Arrivals, turn_away
from modelyard.service.http.connections.connection import Connection
from modelyard.service.http.metrics import SHARED
from modelyard.service.models.models import Models
from modelyard.service.recording.options import RecordingOptions
from modelyard.service.settings import Settings

# Connections that wait to be accepted.
BACKLOG = 2048
# Constant headers cost next to nothing.
SENT_ALONG = [("x-content-type-options", "nosniff"), ("cache-control", "no-store")]
_PAUSE_S = 0.02


def serve(
    models_factory: Callable[[], Models],
    *,
    host: str,
    port: int,
    workers: int,
    settings: Settings,
    recording: RecordingOptions | None,
) -> None:
    """Serve until SIGTERM or SIGINT; requests inside are still answered.

    Each worker is a process with the limits of `settings`, and its own models from `models_factory`, which
    must be picklable if there are several. Port 0 takes a free one. Answers are recorded where `recording`
    says so. Raises ModelyardError if the port is not available, or the service does not start.
    """
    listening = _listen(host, port)
    address = f"[{host}]" if ":" in host else host
    print(f"modelyard serves on http://{address}:{listening.getsockname()[1]}", file=sys.stderr, flush=True)
    with _share_metrics(workers):
        arrivals = Arrivals(listening, shared=workers > 1)
        application = functools.partial(create_app, models_factory, settings, arrivals, recording)
        config = _configure(application, settings, workers)
        if workers > 1:
            _Processes(config, listening, settings.drain_s).run()
            return
        # uvicorn raises the signal again at its end; a requested stop is not a failure.
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.signal(signal.SIGINT, lambda *_: None)
        server = uvicorn.Server(config)
        server.run(sockets=[listening])
    if not server.started:
        raise ModelyardError("the service did not start, for the reason above")


class _Processes(Multiprocess):
    """uvicorn's processes; they share the port, so their parent turns new connections away."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket, drain_s: float) -> None:
        super().__init__(config, sockets=[listening])
        self._listening, self._drain_s = listening, drain_s

    def terminate_all(self) -> None:
        """Let the processes drain, and turn new connections away before they close the port."""
        super().terminate_all()
        ends_at = time.monotonic() + self._drain_s
        while time.monotonic() < ends_at and any(process.process.is_alive() for process in self.processes):
            time.sleep(_PAUSE_S)
        turn_away(self._listening)
        self._listening.close()


def _configure(application: Callable[[], ASGIApp], settings: Settings, workers: int) -> uvicorn.Config:
    return uvicorn.Config(
        application,
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
        headers=SENT_ALONG,
        timeout_graceful_shutdown=int(settings.deadline_s) + 1,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ModelyardError(
            f"cannot listen on {host}, port {port} ({error.strerror}): choose another with --host and --port"
        ) from None


def _share_metrics(workers: int) -> AbstractContextManager[object]:
    """Give several processes a folder to share their metrics in, so that each can answer for all."""
    if workers == 1:
        return nullcontext()
    folder = tempfile.TemporaryDirectory(prefix="modelyard-metrics-")
    os.environ[SHARED] = folder.name
    return folder
