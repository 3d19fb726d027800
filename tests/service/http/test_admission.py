"""Never more inside than allowed, never longer than allowed, and nobody lost at the end."""

import asyncio
import base64
import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelyard.service.http.admission import Admission
from modelyard.service.http.refusals import Refusal
from service_process import Service
from tflite_models import digit_bundle, draw_band, encode

FILE = encode(draw_band(3))
# JPEGs go to a thread, whatever the model.
JPEG = encode(draw_band(3), "JPEG")
SLOW, QUICK = "/models/slow/predict", "/models/mnist/predict"


@pytest.fixture(scope="module")
def folder(served: Path) -> Path:
    digit_bundle(served / "slow" / "1")
    return served


@pytest.fixture(scope="module")
def narrow(folder: Path) -> Iterator[Service]:
    service = Service(folder, slow_s=0.4, max_concurrent=1, max_queued=2, deadline_s=20)
    yield service
    service.stop()


def test_more_than_fit_are_told_to_come_again_and_the_others_are_answered(narrow: Service) -> None:
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: narrow.post(SLOW, JPEG, "image/jpeg"), range(8)))
    assert sorted({answer.status_code for answer in answers}) == [200, 503]
    assert sum(answer.status_code == 200 for answer in answers) >= 3
    for answer in answers:
        assert (answer.headers.get("Retry-After") == "1") == (answer.status_code == 503)
    # The places are free again.
    assert narrow.post(SLOW, JPEG, "image/jpeg").status_code == 200
    rejected = narrow.get("/metrics").text.partition('modelyard_rejected_total{reason="busy"} ')[2]
    assert float(rejected.split()[0]) == sum(answer.status_code == 503 for answer in answers)


def test_a_small_model_answers_while_a_large_one_computes(narrow: Service) -> None:
    with ThreadPoolExecutor(1) as callers:
        slow = callers.submit(narrow.post, SLOW, JPEG, "image/jpeg")
        assert narrow.post(QUICK, FILE).status_code == 200
        assert not slow.done()
        assert slow.result().status_code == 200


def test_whoever_takes_longer_than_the_deadline_is_told_and_the_service_goes_on(folder: Path) -> None:
    service = Service(folder, slow_s=1, max_concurrent=1, deadline_s=0.3)
    assert service.post(QUICK, FILE).status_code == 200
    with ThreadPoolExecutor(3) as callers:
        answers = list(callers.map(lambda _: service.post(SLOW, JPEG, "image/jpeg"), range(3)))
    assert [answer.status_code for answer in answers] == [504] * 3
    assert answers[0].json() == {"error": "no answer within 0.3 s"}
    assert service.post(QUICK, FILE).status_code == 200
    service.stop()


def test_after_the_deadline_the_rest_of_a_batch_is_not_computed(folder: Path) -> None:
    service = Service(folder, slow_s=0.3, max_concurrent=1, deadline_s=1)
    text = base64.b64encode(JPEG).decode()
    # Sixty seconds, had nobody stopped it.
    assert service.post(SLOW, json.dumps({"images": [text] * 200}), "application/json").status_code == 504
    answers = (service.post(SLOW, JPEG, "image/jpeg").status_code for _ in range(10))
    assert 200 in answers
    service.stop()


def test_a_body_that_does_not_come_is_not_waited_for_beyond_the_deadline(folder: Path) -> None:
    service = Service(folder, deadline_s=0.3)
    connection = http.client.HTTPConnection(service.address.removeprefix("http://"), timeout=20)
    connection.putrequest("POST", QUICK)
    connection.putheader("Content-Type", "image/png")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"a beginning")
    assert connection.getresponse().status == 504
    connection.close()
    service.stop()


def test_a_client_that_goes_away_frees_its_place(narrow: Service) -> None:
    for _ in range(5):
        connection = http.client.HTTPConnection(narrow.address.removeprefix("http://"), timeout=20)
        connection.putrequest("POST", QUICK)
        connection.putheader("Content-Type", "image/png")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b"a beginning")
        connection.close()
    answers = [narrow.post(QUICK, FILE).status_code for _ in range(20)]
    assert answers[-1] == 200


def test_sigterm_loses_no_request_of_any_client(folder: Path) -> None:
    """Clients go on until an answer closes their connection, as a load balancer would."""
    service = Service(folder, drain_s=1)
    begun = threading.Barrier(9)

    def visit(_: int) -> tuple[int, set[int]]:
        connection = http.client.HTTPConnection(service.address.removeprefix("http://"), timeout=20)
        answered, statuses = 0, set()
        while True:
            connection.request("POST", QUICK, FILE, {"Content-Type": "image/png"})
            answer = connection.getresponse()
            answer.read()
            answered += 1
            statuses.add(answer.status)
            if answered == 20:
                begun.wait(20)
            if answer.headers.get("Connection") == "close":
                return answered, statuses

    with ThreadPoolExecutor(8) as clients:
        visits = clients.map(visit, range(8))
        begun.wait(20)
        service.terminate()
        assert [statuses for _, statuses in visits] == [{200}] * 8
    assert service.wait() == 0


def test_what_computes_when_sigterm_comes_is_answered(folder: Path) -> None:
    service = Service(folder, slow_s=1.0, max_concurrent=2, drain_s=0)
    with ThreadPoolExecutor(2) as callers:
        slow = [callers.submit(service.post, SLOW, JPEG, "image/jpeg") for _ in range(2)]
        while "modelyard_in_flight 3.0" not in service.get("/metrics").text:
            assert not any(answer.done() for answer in slow)
        service.terminate()
        assert [answer.result().status_code for answer in slow] == [200, 200]
    assert service.wait() == 0


def test_while_it_drains_it_answers_and_says_that_it_is_not_ready(folder: Path) -> None:
    service = Service(folder, drain_s=2)
    service.terminate()
    ready = service.get("/readyz")
    while ready.ok:
        ready = service.get("/readyz")
    assert ready.json() == {"ready": False, "problems": ["the service is stopping"]}
    assert service.get("/livez").status_code == 200
    assert service.post(QUICK, FILE).headers["Connection"] == "close"
    assert service.stop() == 0


def test_who_gives_up_waiting_leaves_no_slot_taken() -> None:
    async def run() -> None:
        admission = Admission(max_concurrent=1, max_queued=5)
        gate = threading.Event()
        computing = asyncio.create_task(admission.run(gate.wait, 10))
        waiting = asyncio.create_task(admission.run(gate.wait, 10))
        await asyncio.sleep(0)
        waiting.cancel()
        computing.cancel()
        await asyncio.gather(waiting, computing, return_exceptions=True)
        third = asyncio.create_task(admission.run(lambda: "third"))
        await asyncio.sleep(0.05)
        # The thread of the first cannot be stopped; until it ends its slot is taken.
        assert not third.done()
        gate.set()
        assert await third == "third"
        admission.close()
        with pytest.raises(Refusal, match="stopping"):
            await admission.run(lambda: "late")

    asyncio.run(run())


def test_a_full_house_refuses_the_next_and_stays_as_it_was() -> None:
    async def run() -> None:
        admission = Admission(max_concurrent=1, max_queued=1)
        with admission.admit(), admission.admit():
            with pytest.raises(Refusal) as refused, admission.admit():
                pass
            assert (refused.value.status, refused.value.headers) == (503, {"retry-after": "1"})
        assert admission.inside == 0

    asyncio.run(run())
