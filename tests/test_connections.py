"""Connections before a request has begun: slow, endless or too many headers end them, and nobody else's."""

import http.client
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from service_process import Service
from tflite_models import digit_bundle, draw_band, encode

FILE = encode(draw_band(3))
PREDICT = "/models/mnist/predict"
HEAD = b"POST /models/mnist/predict HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\n"
MOST = 5


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("served")
    digit_bundle(folder / "mnist" / "1")
    service = Service(folder, headers_s=0.5, max_connections=MOST)
    yield service
    service.stop()


def test_a_connection_on_which_nothing_comes_is_closed(service: Service) -> None:
    with connect(service) as connection:
        assert read_to_end(connection) == b""


def test_headers_that_do_not_end_in_time_close_the_connection(service: Service) -> None:
    with connect(service) as connection:
        connection.sendall(HEAD)
        assert read_to_end(connection) == b""


def test_slow_headers_of_a_later_request_close_the_connection_too(service: Service) -> None:
    with connect(service) as connection:
        connection.sendall(HEAD + f"Content-Length: {len(FILE)}\r\n\r\n".encode() + FILE + HEAD[:20])
        answers = read_to_end(connection)
    assert answers.startswith(b"HTTP/1.1 200")
    assert answers.count(b"HTTP/1.1") == 1


def test_a_connection_that_rests_between_requests_stays_open(service: Service) -> None:
    connection = http.client.HTTPConnection(service.address.removeprefix("http://"), timeout=20)
    for pause_s in (0, 1):
        connection.sock and connection.sock.settimeout(pause_s or 20)
        if pause_s:
            # Nothing comes, not even the end.
            with pytest.raises(TimeoutError):
                connection.sock.recv(1)
            connection.sock.settimeout(20)
        connection.request("POST", PREDICT, FILE, {"Content-Type": "image/png"})
        assert connection.getresponse().read().startswith(b'{"model":"mnist"')
    connection.close()


@pytest.mark.parametrize(
    "more",
    [b"X-Long: " + b"a" * 65_536, b"X-Short: a\r\n" * 5462, b"a:\r\n" * 16_384],
    ids=["one long header", "many short ones", "many empty ones"],
)
def test_more_than_64_kib_of_headers_are_a_431(service: Service, more: bytes) -> None:
    with connect(service) as connection:
        connection.sendall(HEAD + more)
        answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert answer.endswith(b'{"error":"expected headers of at most 65536 bytes"}')


def test_headers_behind_a_body_are_not_kept(service: Service) -> None:
    status = Path(f"/proc/{service.process.pid}/status")
    before = int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0])
    with connect(service) as connection:
        connection.sendall(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"%x\r\n%b\r\n0\r\n" % (len(FILE), FILE) + b"A: b\r\n" * 1_000_000 + b"\r\n")
        assert read_to_end(connection).startswith(b"HTTP/1.1 200")
    # Kept, they would take 100 MB.
    assert int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) < before + 50_000


def test_on_a_connection_too_many_a_request_is_told_to_come_again_and_probes_are_answered(
    service: Service,
) -> None:
    kept = [
        http.client.HTTPConnection(service.address.removeprefix("http://"), timeout=20) for _ in range(MOST)
    ]
    for connection in kept:
        connection.request("GET", "/livez")
        connection.getresponse().read()
    refused = service.post(PREDICT, FILE)
    assert refused.status_code == 503
    assert (refused.headers["Retry-After"], refused.headers["Connection"]) == ("1", "close")
    assert refused.json() == {"error": "busy: too many connections are open, come again in a second"}
    assert service.get("/readyz").status_code == 200
    for connection in kept:
        connection.request("POST", PREDICT, FILE, {"Content-Type": "image/png"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()[:16]) == (200, b'{"model":"mnist"')
        connection.close()
    while service.post(PREDICT, FILE).status_code == 503:
        pass
    assert 'modelyard_rejected_total{reason="busy"}' in service.get("/metrics").text


def connect(service: Service) -> socket.socket:
    host, port = service.address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def read_to_end(connection: socket.socket) -> bytes:
    """Return what comes until the service closes the connection."""
    came = b""
    while chunk := connection.recv(65_536):
        came += chunk
    return came
