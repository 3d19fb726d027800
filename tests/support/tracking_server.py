"""A real MLflow server on loopback that can be killed and started again on the same store and port."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import requests

from forked_programs import MLFLOW, ForkedProgram
from modelyard.ui.__main__ import WITHOUT_JOBS
from small_registry import leave_database

# `mlflow server` starts uvicorn in a new interpreter; here the same process serves, with the same options.
SERVE_HERE = """
import os, mlflow.server, uvicorn.main
def serve(command, extra_env, **_):
    os.environ.update(extra_env)
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
    """A server on a free port of 127.0.0.1.

    Args:
        command: what starts it; where it listens is added.
        environment: beside that of the tests.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        port = find_free_port()
        self.uri = f"http://127.0.0.1:{port}"
        # The last of two options counts.
        self._command = [*command, "--host=127.0.0.1", f"--port={port}"]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._launch()
        try:
            wait_until_healthy(self.uri)
        except BaseException:
            self.kill()
            raise

    def _launch(self) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, **self._environment}
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
        )

    def kill(self) -> None:
        """Kill it with all its processes, as a crash would."""
        if self._process is None:
            return
        tree = psutil.Process(self._process.pid)
        for process in [*tree.children(recursive=True), tree]:
            process.kill()
        self._process.wait()
        self._process = None


class TrackingServer(MlflowServer):
    """One with SQLite and a folder for artifacts, which it proxies; a fork, not a new interpreter."""

    def __init__(self, folder: Path) -> None:
        database, artifacts = f"sqlite:///{folder}/server.db", (folder / "server-artifacts").as_uri()
        options = [f"--backend-store-uri={database}", f"--artifacts-destination={artifacts}", "--workers=1"]
        leave_database(folder / "server.db")
        self._fork: ForkedProgram | None = None
        super().__init__(["-m", "mlflow", "server", *options], WITHOUT_JOBS)

    def _launch(self) -> None:
        program = {
            "folder": os.getcwd(),  # noqa: PTH109
            "arguments": self._command,
            "environment": os.environ | self._environment,
            "setup": SERVE_HERE,
        }
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            self._fork = ForkedProgram(program, nowhere, MLFLOW)

    def kill(self) -> None:
        """Kill it, as a crash would."""
        if self._fork is not None:
            self._fork.kill()
            self._fork = None
