"""A real MLflow server on loopback that can be killed and started again on the same store and port."""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import requests

from forked_programs import MLFLOW, ForkedProgram
from modelyard.ui.__main__ import WITHOUT_JOBS
from small_registry import leave_database

# `mlflow server` starts uvicorn in a new interpreter, and uvicorn its workers in new ones. Here the same
# process serves, with the same options; workers are its forks, which end with it and share no connection.
SERVE_HERE = """
import ctypes, multiprocessing, os, signal, mlflow.server, uvicorn._subprocess, uvicorn.main
from mlflow.store.model_registry import sqlalchemy_store as registry
from mlflow.store.tracking import sqlalchemy_store as tracking
def serve(command, extra_env, **_):
    os.environ.update(extra_env)
    for store in (tracking.SqlAlchemyStore, registry.SqlAlchemyStore):
        for engine in store._engine_map.values():
            engine.dispose()
    uvicorn._subprocess.spawn = multiprocessing.get_context("fork")
    set_pdeathsig = 1
    os.register_at_fork(after_in_child=lambda: ctypes.CDLL(None).prctl(set_pdeathsig, signal.SIGKILL))
    uvicorn.main.main(command[command.index("uvicorn") + 1 :])
mlflow.server._exec_cmd = serve
"""


def find_free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_healthy(uri: str) -> None:
    """Return as soon as the MLflow server at `uri` answers; give up after three minutes."""
    wait_until_answered(f"{uri}/health")


def wait_until_answered(url: str) -> None:
    """Return as soon as a server gives a page without an error; give up after three minutes."""
    for _ in range(720):
        try:
            requests.get(url, timeout=1).raise_for_status()
        except requests.RequestException:
            time.sleep(0.25)
        else:
            return
    raise AssertionError(f"{url} did not answer within three minutes")


class MlflowServer:
    """A server on a free port of 127.0.0.1; a fork, not a new interpreter.

    Args:
        options: of `mlflow server`; where it listens is added.
        environment: beside that of the tests.
    """

    def __init__(self, options: Sequence[str], environment: Mapping[str, str]) -> None:
        port = find_free_port()
        self.uri = f"http://127.0.0.1:{port}"
        # The last of two options counts.
        self._arguments = ["-m", "mlflow", "server", *options, "--host=127.0.0.1", f"--port={port}"]
        self._environment = environment
        self._fork: ForkedProgram | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = {
            "folder": os.getcwd(),  # noqa: PTH109
            "arguments": self._arguments,
            "environment": os.environ | self._environment,
            "setup": SERVE_HERE,
        }
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            self._fork = ForkedProgram(program, nowhere, MLFLOW)
        try:
            wait_until_healthy(self.uri)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """Kill it with all its processes, as a crash would."""
        if self._fork is not None:
            self._fork.kill()
            self._fork = None


class TrackingServer(MlflowServer):
    """One with SQLite and a folder for artifacts, which it proxies."""

    def __init__(self, folder: Path) -> None:
        database, artifacts = f"sqlite:///{folder}/server.db", (folder / "server-artifacts").as_uri()
        options = [f"--backend-store-uri={database}", f"--artifacts-destination={artifacts}", "--workers=1"]
        leave_database(folder / "server.db")
        super().__init__(options, WITHOUT_JOBS)
