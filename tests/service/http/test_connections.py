"""Connections where the application does not see them: none lasts for ever, and none harms others."""

import http.client
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from service_process import Service, read_to_end
from tflite_models import draw_band, encode

FILE = encode(draw_band(3))
PREDICT = "/models/mnist/predict"
HEAD = b"POST /models/mnist/predict HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\n"
GET = b"GET /livez HTTP/1.1\r\nHost: here\r\n"
END = GET + b"Connection: close\r\n\r\n"
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(FILE) + FILE
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
# What Java's HttpClient and curl --http2 send along.
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
MOST = 5


@pytest.fixture(scope="module")
def service(served: Path) -> Iterator[Service]:
    service = Service(served, headers_s=0.5, keep_alive_s=2, deadline_s=2, max_connections=MOST)
    yield service
    service.stop()


def test_a_connection_on_which_nothing_comes_is_closed(service: Service) -> None:
    with service.connect() as connection:
        assert read_to_end(connection) == b""


def test_headers_that_do_not_end_in_time_close_the_connection(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(HEAD)
        assert read_to_end(connection) == b""


def test_slow_headers_of_a_later_request_close_the_connection_too(service: Service) -> None:
    with service.connect() as connection:
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
    with service.connect() as connection:
        connection.sendall(HEAD + more)
        answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert answer.endswith(b'{"error":"expected headers of at most 65536 bytes"}')


def test_headers_behind_a_body_are_not_kept(service: Service) -> None:
    status = Path(f"/proc/{service.process.pid}/status")
    before = int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0])
    with service.connect() as connection:
        connection.sendall(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"%x\r\n%b\r\n0\r\n" % (len(FILE), FILE) + b"A: b\r\n" * 500_000 + b"\r\n")
        assert read_to_end(connection).startswith(b"HTTP/1.1 200")
    # Kept, they would take 50 MB.
    assert int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) < before + 25_000


def test_on_a_connection_too_many_a_request_is_told_to_come_again_and_probes_are_answered(
    service: Service,
) -> None:
    busy = [service.connect() for _ in range(MOST)]
    for connection in busy:
        connection.sendall(WHOLE[:-1])
    refused = service.post(PREDICT, FILE)
    assert refused.status_code == 503
    assert (refused.headers["Retry-After"], refused.headers["Connection"]) == ("1", "close")
    assert refused.json() == {"error": "busy: too many connections are open, come again in a second"}
    assert service.get("/readyz").status_code == 200
    for connection in busy:
        connection.sendall(WHOLE[-1:] + END)
        answers = read_to_end(connection)
        assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200"] * 2
        connection.close()
    while service.post(PREDICT, FILE).status_code == 503:
        pass
    assert 'modelyard_rejected_total{reason="busy"}' in service.get("/metrics").text


def test_connections_at_rest_make_room_for_new_ones_the_one_that_rested_longest_first(
    service: Service,
) -> None:
    resting = []
    for _ in range(MOST):
        connection = http.client.HTTPConnection(service.address.removeprefix("http://"), timeout=20)
        connection.request("GET", "/livez")
        connection.getresponse().read()
        resting.append(connection)
    time.sleep(1.1)
    assert service.post(PREDICT, FILE).status_code == 200
    assert resting[0].sock.recv(1) == b""
    resting[-1].request("GET", "/livez")
    assert resting[-1].getresponse().read() == b'{"live":true}'
    for connection in resting:
        connection.close()


# Another protocol


@pytest.mark.parametrize("body", ["in one piece", "after its headers", "in chunks"])
def test_a_wish_for_http_2_is_not_heard_and_the_request_is_answered(service: Service, body: str) -> None:
    length = CHUNKED if body == "in chunks" else b"Content-Length: %d\r\n\r\n" % len(FILE)
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(FILE), FILE) if body == "in chunks" else FILE
    with service.connect() as connection:
        connection.sendall(HEAD + H2C + length + (b"" if body == "after its headers" else sent))
        if body == "after its headers":
            time.sleep(0.1)
            connection.sendall(sent)
        connection.sendall(GET + H2C + b"\r\n" + WHOLE + END)
        answers = read_to_end(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200"] * 4
    assert answers.count(b'"predictions":[[{"label":"3"') == 2
    assert answers.count(b'{"live":true}') == 2


def test_what_is_a_body_behind_an_upgrade_is_no_second_request(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(HEAD + H2C + b"Content-Length: %d\r\n\r\n" % len(END) + END + END)
        answers = read_to_end(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"400", b"200"]


# Refusals


def test_what_is_no_request_is_refused_and_recorded(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere\r\n\r\n")
        head, _, body = read_to_end(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"x-content-type-options: nosniff" in head
    assert json.loads(body) == {"error": "expected a request in HTTP/1.1"}
    line = find_line(service, 400, id=re.findall(rb"x-request-id: (\w+)", head)[0].decode())
    assert (line["method"], line["path"]) == ("CONNECT", "elsewhere:443")
    with service.connect() as connection:
        connection.sendall(GET.replace(b"/livez", b"/slow"))
        assert read_to_end(connection) == b""
    assert find_line(service, 408, path="/slow")["ms"] >= 500
    with service.connect() as connection:
        connection.sendall(GET.replace(b"/livez", b"/long") + b"A: " + b"a" * 70_000 + b"\r\n\r\n")
        assert read_to_end(connection).startswith(b"HTTP/1.1 431 ")
    assert find_line(service, 431, path="/long")["method"] == "GET"
    assert 'modelyard_requests_total{model="",status="431",version=""}' in service.get("/metrics").text


def test_a_broken_body_is_refused_and_recorded_once(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(HEAD + b"X-Request-ID: broken\r\n" + CHUNKED)
        time.sleep(0.1)
        connection.sendall(b"xyz\r\n")
        assert re.findall(rb"HTTP/1.1 (\d+)", read_to_end(connection)) == [b"400"]
    assert find_line(service, 400, id="broken")["path"] == PREDICT


def test_nonsense_behind_a_request_does_not_take_the_place_of_its_answer(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(WHOLE + b"nonsense\r\n\r\n")
        answers = read_to_end(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200"]
    assert b"connection: close" in answers


def test_headers_are_refused_as_soon_as_they_are_too_many(service: Service) -> None:
    sent, answer = len(GET), b""
    with service.connect() as connection:
        connection.sendall(GET)
        connection.settimeout(0.005)
        while not answer and sent < 1_000_000:
            connection.sendall(b"A: b\r\n" * 500)
            sent += 3000
            try:
                answer = connection.recv(1000)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert 65_536 < sent < 100_000


def test_only_the_headers_of_one_request_are_counted(service: Service) -> None:
    many = (GET + b"X-Long: " + b"a" * 300 + b"\r\n\r\n") * 600
    large = HEAD + b"Content-Length: 200000\r\n\r\n" + FILE.ljust(200_000, b"\0")
    with service.connect() as connection, ThreadPoolExecutor(1) as readers:
        answers = readers.submit(read_to_end, connection)
        connection.sendall(many + large + END)
        assert re.findall(rb"HTTP/1.1 (\d+)", answers.result()) == [b"200"] * 600 + [b"200", b"200"]


def test_a_client_that_is_still_sending_gets_its_refusal(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 99999999\r\n\r\n")
        time.sleep(0.3)
        # It has been refused by now, and goes on for a while.
        for _ in range(100):
            connection.sendall(b"x" * 50_000)
        assert read_to_end(connection).startswith(b"HTTP/1.1 413 ")


# Deadlines


def drip(head: bytes, drop: bytes) -> Callable[[Service, socket.socket], bool]:
    def is_ended(service: Service, connection: socket.socket) -> bool:
        try:
            connection.sendall(head)
            for _ in range(75):
                time.sleep(0.2)
                connection.sendall(drop)
        except OSError:
            return True
        return False

    return is_ended


def read_nothing(service: Service, connection: socket.socket) -> bool:
    page = b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: here\r\n\r\n"
    connection.sendall(page * 20)
    port = connection.getsockname()[1]
    return wait_until(lambda: port in clients(service)) and wait_until(lambda: port not in clients(service))


ENDLESS: dict[str, Callable[[Service, socket.socket], bool]] = {
    "empty lines after an answer": drip(GET + b"\r\n", b"\r\n"),
    "a body after its answer": drip(GET + b"Content-Length: 1000\r\n\r\n", b"x"),
    "chunks that nobody waits for": drip(HEAD.replace(b"mnist", b"no") + CHUNKED, b"1\r\nx\r\n"),
    "chunks beyond the deadline": drip(HEAD + CHUNKED, b"1\r\nx\r\n"),
    "answers that are not read": read_nothing,
}


def test_no_client_keeps_a_connection_for_ever(service: Service) -> None:
    def stay(name: str) -> tuple[str, bool]:
        with service.connect() as connection:
            return name, ENDLESS[name](service, connection)

    with ThreadPoolExecutor(len(ENDLESS)) as callers:
        ended = dict(callers.map(stay, ENDLESS))
    assert ended == dict.fromkeys(ENDLESS, True)
    assert service.post(PREDICT, FILE).status_code == 200


def clients(service: Service) -> set[int]:
    connections = psutil.Process(service.process.pid).net_connections("tcp")
    return {connection.raddr.port for connection in connections if connection.raddr}


def find_line(service: Service, status: int, **fields: Any) -> dict[str, Any]:
    """Return the one line of the access log with these fields, once it is written."""

    def find() -> list[dict[str, Any]]:
        lines = map(json.loads, list(service.lines))
        return [line for line in lines if fields.items() <= line.items()]

    assert wait_until(lambda: bool(find())), fields
    [line] = find()
    assert line["status"] == status
    return line


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> bool:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        if holds():
            return True
        time.sleep(0.05)
    return False
