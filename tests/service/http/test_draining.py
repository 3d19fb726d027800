"""Signals: the first one drains, the same one again stops at once, another one changes nothing."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from modelyard.service.http.metrics import SHARED
from service_process import Service, read_to_end
from tflite_models import draw_band, encode, photo_bundle

FILE = encode(draw_band(3))
REQUEST = (
    b"POST /models/mnist/predict HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Type: image/png\r\n"
    b"Content-Length: %d\r\n\r\n%b"
) % (len(FILE), FILE)
JPEG = encode(draw_band(3), "JPEG")


@pytest.fixture(scope="module")
def folder(served: Path) -> Path:
    photo_bundle(served / "slow" / "1")
    return served


def test_the_same_signal_again_stops_at_once_and_still_answers_who_is_inside(folder: Path) -> None:
    service = Service(folder, slow_s=1.0, drain_s=600)
    with ThreadPoolExecutor(1) as callers:
        slow = callers.submit(service.post, "/models/slow/predict", JPEG, "image/jpeg")
        while "modelyard_in_flight 2.0" not in service.get("/metrics").text:
            assert not slow.done()
        service.terminate()
        wait_until_draining(service)
        service.terminate()
        assert slow.result().status_code == 200
    assert service.wait() == 0


def test_another_signal_does_not_cut_the_drain_short(folder: Path) -> None:
    service = Service(folder, drain_s=1)
    service.process.send_signal(signal.SIGINT)
    wait_until_draining(service)
    service.terminate()
    # The port is open for the rest of the second.
    assert service.post("/models/mnist/predict", FILE).status_code == 200
    assert service.wait() == 0


def test_control_c_drains_several_processes_too(folder: Path) -> None:
    """A terminal sends SIGINT to all of them; then their parent sends them SIGTERM."""
    service = Service(folder, workers=2, slow_s=1.5, drain_s=0.5)
    wait_for_processes(service, 2)
    with ThreadPoolExecutor(2) as callers:
        slow = [callers.submit(service.post, "/models/slow/predict", JPEG, "image/jpeg") for _ in range(2)]
        while "modelyard_in_flight 3.0" not in service.get("/metrics").text:
            assert not any(answer.done() for answer in slow)
        os.killpg(service.process.pid, signal.SIGINT)
        assert [answer.result().status_code for answer in slow] == [200, 200]
    assert service.wait() == 0
    assert service.errors == [f"modelyard serves on {service.address}\n"]


@pytest.mark.parametrize("workers", [1, 2])
def test_clients_that_connect_for_each_request_lose_none(folder: Path, workers: int) -> None:
    """At any moment some have connected, and have not sent their request yet."""
    service = Service(folder, workers=workers, drain_s=0.3)
    if workers > 1:
        wait_for_processes(service, workers)
    pauses_s = [0.0] * 8 + [0.02] * 64
    begun = threading.Barrier(len(pauses_s) + 1)

    def visit(pause_s: float) -> set[bytes]:
        seen = {ask(service, pause_s) for _ in range(3)}
        begun.wait(60)
        while answer := ask(service, pause_s):
            seen.add(answer)
        return seen

    with ThreadPoolExecutor(len(pauses_s)) as clients:
        visits = clients.map(visit, pauses_s)
        begun.wait(60)
        service.terminate()
        assert list(visits) == [{b"HTTP/1.1 200 OK"}] * len(pauses_s)
    assert service.wait() == 0


def ask(service: Service, pause_s: float) -> bytes | None:
    """Return the first line of the answer over a new connection; None where the port is closed."""
    try:
        connection = service.connect()
    except ConnectionRefusedError:
        return None
    with connection:
        time.sleep(pause_s)
        connection.sendall(REQUEST)
        return read_to_end(connection).partition(b"\r\n")[0]


def wait_for_processes(service: Service, count: int) -> None:
    """Wait until so many have made the file in which they share their numbers, with their signals set."""
    (child, *_) = psutil.Process(service.process.pid).children()
    shared = Path(child.environ()[SHARED])
    while len(list(shared.glob("gauge_livesum_*"))) < count:
        time.sleep(0.01)


def wait_until_draining(service: Service) -> None:
    while requests.get(f"{service.address}/readyz", timeout=20).ok:
        time.sleep(0.01)
