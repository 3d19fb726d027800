"""A real service in a process of its own, on loopback, over bundles in a folder instead of a registry."""

import functools
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from modelyard.inference.bundle import read_bundle
from modelyard.inference.decoding.images import Limits
from modelyard.inference.predictor import Predictor
from modelyard.service.models.loading import LoadObserver
from modelyard.service.models.models import ServedVersion, Unavailable, UnknownModel
from modelyard.service.models.registry_state import RegisteredVersion, make_version
from modelyard.service.recording.options import RecordingOptions
from modelyard.service.server import serve
from modelyard.service.settings import Settings

# The name of a model of which the registry tells what cannot be written.
STRANGE = "strange"


class FolderModels:
    """The same methods as `Models`, over folders NAME/VERSION that hold bundles; the first is champion.

    A bundle called "slow" takes `slow_s` an image, "broken" cannot be loaded, STRANGE has endless problems.
    """

    def __init__(self, folder: Path, slow_s: float, limits: Limits) -> None:
        self._folder, self._slow_s, self._limits = folder, slow_s, limits
        self._loaded: dict[tuple[str, int], ServedVersion] = {}
        self.ready = False

    def start(self) -> None:
        for name in self._names():
            if name not in ("broken", STRANGE):
                self.get(name, version=1)
        self.ready = True

    def stop(self) -> None:
        self.ready = False

    def get(self, name: str, version: int | None = None, alias: str | None = None) -> ServedVersion:
        if name not in self._names():
            raise UnknownModel(f"expected a model, one of {', '.join(self._names())}, got {name!r}")
        if name == "broken":
            raise Unavailable("broken: version 1 cannot be loaded")
        if alias not in (None, "champion"):
            raise UnknownModel(f"{name}: expected an alias, one of champion, got {alias!r}")
        key = (name, version or 1)
        if key not in self._loaded:
            folder = self._folder / name / str(key[1])
            if not folder.is_dir():
                raise UnknownModel(f"{name}: expected a version, one of 1, got {version}")
            self._loaded[key] = ServedVersion(*key, self._load(folder))
        return self._loaded[key]

    def default(self) -> ServedVersion:
        return self.get("mnist")

    def resolve(self, name: str, alias: str) -> RegisteredVersion:
        raise UnknownModel(f"{name} has no alias {alias}")

    def observe_loads(self, observer: LoadObserver) -> None:
        """Its versions are loaded by the test itself."""

    def describe(self) -> list[dict[str, Any]]:
        told = make_version(1, {"size_bytes": 10**400}, {"loss": math.nan, "\udcff": 1.0, "right": 0.5})
        strange = {"loaded": True, "size_bytes": told.size_bytes, "metrics": told.metrics}
        return [
            {
                "name": name,
                "aliases": {"champion": 1},
                "versions": [
                    {
                        "version": 1,
                        "loaded": (name, 1) in self._loaded,
                        **(strange if name == STRANGE else {"size_bytes": None}),
                    }
                ],
            }
            for name in self._names()
        ]

    def samples(self, name: str, version: int) -> dict[str, bytes]:
        self.get(name, version)
        return {}

    def problems(self) -> list[str]:
        if STRANGE in self._names():
            return [f"{STRANGE} \udcff cannot be loaded from /an/endless/path" * 100] * 1000
        return ["broken@champion: version 1 cannot be loaded"] if "broken" in self._names() else []

    def _names(self) -> list[str]:
        return sorted(path.name for path in self._folder.iterdir())

    def _load(self, folder: Path) -> Predictor:
        predictor = Predictor(read_bundle(folder), limits=self._limits)
        if folder.parent.name == "slow":
            predictor = SlowPredictor(predictor.bundle, limits=self._limits)
            predictor.pause_s = self._slow_s
        return predictor


class SlowPredictor(Predictor):
    """Takes its time over each image, as a large network does."""

    pause_s = 0.0

    def decode(self, image: Any, ends_at: float = math.inf) -> Any:
        time.sleep(self.pause_s)
        return super().decode(image, ends_at)


class Service:
    """`serve` in a process; `limits` are those of an image, `recording` is for `RecordingOptions`.

    Every attribute of `Settings` may be given. Without `drain_s` it ends at once, not after a second.
    """

    def __init__(
        self,
        folder: Path,
        workers: int = 1,
        slow_s: float = 0.3,
        limits: dict[str, int] | None = None,
        recording: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        settings.setdefault("drain_s", 0)
        arguments = json.dumps([str(folder), workers, slow_s, limits or {}, recording, settings])
        self.process = subprocess.Popen(
            [sys.executable, __file__, arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A group of its own, so that a test can send it what a terminal would.
            start_new_session=True,
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=self.lines.extend, args=[self.process.stdout]),
            threading.Thread(target=self._read_errors),
        ]
        self.address = ""
        self._told = threading.Event()
        for reader in self._readers:
            reader.start()
        self._wait_until_ready()

    def post(self, path: str, data: Any = None, kind: str = "image/png", **options: Any) -> requests.Response:
        headers = {"Content-Type": kind, **options.pop("headers", {})}
        return requests.post(f"{self.address}{path}", data, headers=headers, timeout=20, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(f"{self.address}{path}", timeout=20, **options)

    def connect(self) -> socket.socket:
        host, port = self.address.removeprefix("http://").split(":")
        return socket.create_connection((host, int(port)), timeout=60)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for its end, and for its last line."""
        code = self.process.wait(30)
        for reader in self._readers:
            reader.join(5)
        return code

    def stop(self) -> int:
        if self.process.poll() is None:
            self.terminate()
        try:
            return self.wait()
        finally:
            self.process.kill()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors.append(line)
            if match := re.search(r"http://\S+", line):
                self.address = match[0]
                self._told.set()

    def _is_ready(self) -> bool:
        try:
            return self.get("/readyz").ok
        except requests.RequestException:
            return False

    def _wait_until_ready(self) -> None:
        self._told.wait(20)
        for _ in range(200):
            if self._is_ready():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError("the service did not get ready:\n" + "".join(self.errors))


def read_to_end(connection: socket.socket) -> bytes:
    """Return what comes until the service closes the connection."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


@contextmanager
def run_serve(uri: str, copy: Path, *options: str, **environment: str) -> Iterator[str]:
    """Run `modelyard serve` over a registry for the body of `with`; give its address once it is ready."""
    command = [sys.executable, "-m", "modelyard.cli", "serve", "--port", "0", "--drain-s", "0"]
    process = subprocess.Popen(
        [*command, "--copy", str(copy), *options],
        env={**os.environ, "MLFLOW_TRACKING_URI": uri, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        [address] = re.findall(r"http://\S+", process.stderr.readline())
        for _ in range(600):
            if requests.get(f"{address}/readyz", timeout=20).ok:
                break
            time.sleep(0.05)
        yield address
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def main() -> None:
    folder, workers, slow_s, limits, recording, settings = json.loads(sys.argv[1])
    factory = functools.partial(FolderModels, Path(folder), slow_s, Limits(**limits))
    options = None if recording is None else RecordingOptions(**recording)
    serve(
        factory, host="127.0.0.1", port=0, workers=workers, settings=Settings(**settings), recording=options
    )  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
