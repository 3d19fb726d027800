"""A real MLflow server on loopback that can be killed and started again on the same store and port."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import requests


def find_free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_healthy(uri: str) -> None:
    """Return as soon as the MLflow server at `uri` answers; give up after a minute."""
    for _ in range(240):
        try:
            requests.get(f"{uri}/health", timeout=1).raise_for_status()
        except requests.RequestException:
            time.sleep(0.25)
        else:
            return
    raise AssertionError(f"the MLflow server at {uri} did not answer within a minute")


class TrackingServer:
    """`mlflow server` with SQLite and a folder for artifacts, which it proxies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = find_free_port()
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--backend-store-uri", f"sqlite:///{self._folder}/server.db", "--workers", "1"]
        command += ["--artifacts-destination", (self._folder / "server-artifacts").as_uri()]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PATH": path}
        )
        wait_until_healthy(self.uri)

    def kill(self) -> None:
        """Kill it with all its processes, as a crash would."""
        if self._process is None:
            return
        tree = psutil.Process(self._process.pid)
        for process in [*tree.children(recursive=True), tree]:
            process.kill()
        self._process.wait()
        self._process = None
