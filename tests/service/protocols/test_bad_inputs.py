"""Thousands of bad inputs by every way into a real service: a right answer or a 4xx, and bounded memory."""

import base64
import http.client
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from bad_images import Case, make_cases
from modelyard.inference.bundle import read_bundle
from modelyard.inference.decoding.images import ImageError, Limits
from modelyard.inference.predictor import Predictor
from service_process import Service
from tflite_models import draw_band, encode

MOST_BODY, CONCURRENT, CLIENTS = 2_000_000, 2, 6
LIMITS = Limits(max_bytes=1_000_000, max_pixels=1_000_000)
GOOD = encode(draw_band(3))
PREDICT, INVOCATIONS = "/models/mnist/predict", "/invocations"
JSON = "application/json"
# What one computation may take: a picture in its widest form with all its copies, and JSON as objects.
MOST_COMPUTED = 20 * LIMITS.max_pixels + 25 * MOST_BODY
# What an allocator keeps of what it was given back.
SLACK = 40_000_000


@dataclass(frozen=True)
class Asked:
    """A request, and what stands for the images in it.

    Attributes:
        images: as the predictor of this process takes them; None where the protocol may see other ones.
    """

    path: str
    kind: str
    body: bytes
    images: list[Any] | None
    on_error: str = "raise"


def encode_text(image: Any) -> Any:
    """Return what stands for an image in JSON; base64 in one of its spellings, by the image's size."""
    if not isinstance(image, bytes):
        return image
    spell = (base64.b64encode, base64.urlsafe_b64encode)[len(image) % 2]
    return ("", "data:image/png;base64,")[len(image) // 2 % 2] + spell(image).decode()


def read_back(images: list[Any]) -> list[Any] | None:
    """Return the values as they come out of JSON; a whole number beyond 64 bits becomes a float, for one."""
    try:
        return list(orjson.loads(json.dumps(images)))
    except orjson.JSONDecodeError:
        return None


def ask_raw(case: Case) -> Asked:
    body = case.image if isinstance(case.image, bytes) else case.image.encode(errors="replace")
    return Asked(PREDICT, ("image/png", "image/jpeg")[len(body) % 2], body, [body])


def ask_form(case: Case) -> Asked:
    image = case.image if isinstance(case.image, bytes) else case.image.encode(errors="replace")
    edge = b"--a-boundary-of-its-own"
    head = b'\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
    body = edge + head + GOOD + b"\r\n" + edge + head + image + b"\r\n" + edge + b"--\r\n"
    return Asked(PREDICT, "multipart/form-data; boundary=a-boundary-of-its-own", body, [GOOD, image])


def ask_one(case: Case) -> Asked:
    image = encode_text(case.image)
    return Asked(PREDICT, JSON, json.dumps({"image": image}).encode(), read_back([image]))


def ask_batch(case: Case, on_error: str = "raise") -> Asked:
    images = [encode_text(image) for image in (GOOD, case.image, GOOD)]
    body = json.dumps({"images": images, "on_error": on_error}).encode()
    return Asked(PREDICT, JSON, body, read_back(images), on_error)


def ask_batch_for_the_good_ones(case: Case) -> Asked:
    return ask_batch(case, on_error="return")


def ask_mlflow(shape: Callable[[list[Any]], dict[str, Any]]) -> Callable[[Case], Asked]:
    def ask(case: Case) -> Asked:
        images = [encode_text(image) for image in (GOOD, case.image)]
        plain = isinstance(case.image, str | bytes)
        return Asked(INVOCATIONS, JSON, json.dumps(shape(images)).encode(), images if plain else None)

    return ask


JSON_WAYS = [
    ask_one,
    ask_batch,
    ask_batch_for_the_good_ones,
    ask_mlflow(
        lambda images: {"dataframe_split": {"columns": ["image"], "data": [[image] for image in images]}}
    ),
    ask_mlflow(lambda images: {"dataframe_records": [{"image": image} for image in images]}),
    ask_mlflow(lambda images: {"instances": images}),
    ask_mlflow(lambda images: {"inputs": {"image": images}}),
]
ALL_WAYS = [ask_raw, ask_form, *JSON_WAYS]


class Client:
    """One connection, kept open."""

    def __init__(self, service: Service) -> None:
        self._connection = http.client.HTTPConnection(service.address.removeprefix("http://"), timeout=60)

    def send(self, path: str, kind: str, body: bytes) -> tuple[int, bytes]:
        self._connection.request("POST", path, body, {"Content-Type": kind})
        answer = self._connection.getresponse()
        return answer.status, answer.read()


@pytest.fixture(scope="module")
def service(served: Path) -> Iterator[Service]:
    limits = {"max_bytes": LIMITS.max_bytes, "max_pixels": LIMITS.max_pixels}
    service = Service(served, limits=limits, max_body_bytes=MOST_BODY, max_concurrent=CONCURRENT, drain_s=0)
    yield service
    assert service.stop() == 0
    # Nothing but the address: no traceback, no warning of a library about somebody's file.
    assert len(service.errors) == 1


@pytest.fixture(scope="module")
def predictor(served: Path) -> Predictor:
    return Predictor(read_bundle(served / "mnist" / "1"), limits=LIMITS)


def read_memory(service: Service, name: str) -> int:
    """Return VmRSS, what the process has now, or VmHWM, the most it ever had, in bytes."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) * 1024


def find_fault(predictor: Predictor, case: Case, asked: Asked, status: int, body: bytes) -> str | None:
    """Say what is wrong with an answer."""
    told = json.loads(body)
    if status == 200:
        return find_fault_of_answer(predictor, case, asked, told["predictions"])
    message = told.get("error") or told.get("message")
    if status not in (400, 413):
        return f"status {status}"
    if "\n" in message or len(message) > 150:
        return f"no short line: {message[:200]}"
    text = asked.images[-1] if asked.images else None
    if isinstance(text, str) and len(text) > 20 and text[:20] in message:
        return f"tells the input: {message}"
    if asked.images is None:
        return None
    try:
        predictor.predict(asked.images)
    except ImageError as error:
        if message != str(error) or told.get("index", error.index) != error.index:
            return f"expected {error}, got {message}"
        return None
    return f"refuses a picture: {message}"


def find_fault_of_answer(predictor: Predictor, case: Case, asked: Asked, answers: list[Any]) -> str | None:
    if asked.images is None:
        return None
    if case.is_refused and asked.on_error == "raise":
        return "answers what is no picture"
    try:
        expected = predictor.predict(asked.images, on_error=asked.on_error)  # type: ignore[arg-type]
    except ImageError as error:
        return f"answers in spite of: {error}"
    if case.is_refused and "error" not in expected[1]:
        return "answers what is no picture"
    return None if answers == expected else "another answer than the predictor's"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_5000_bad_inputs_give_right_answers_or_4xx_and_memory_stays_bounded(
    service: Service, predictor: Predictor
) -> None:
    cases = make_cases(LIMITS.max_pixels, LIMITS.max_bytes * 9 // 10)
    assert len(cases) >= 5000
    first = Client(service)
    assert [first.send(PREDICT, "image/png", GOOD)[0] for _ in range(20)] == [200] * 20
    before = read_memory(service, "VmRSS")

    def visit(place: int) -> list[tuple[str, str]]:
        client, faults = Client(service), []
        # The same way for the same case in every run, whichever thread has it.
        chance = random.Random(place)  # noqa: S311
        for case in cases[place::CLIENTS]:
            ways = ALL_WAYS if isinstance(case.image, str | bytes) else JSON_WAYS
            asked = chance.choice(ways)(case)
            answer = client.send(asked.path, asked.kind, asked.body)
            if fault := find_fault(predictor, case, asked, *answer):
                faults.append((case.kind, fault))
        return faults

    with ThreadPoolExecutor(CLIENTS) as clients:
        faults = [fault for found in clients.map(visit, range(CLIENTS)) for fault in found]
    assert Counter(faults) == {}
    most = before + CONCURRENT * MOST_COMPUTED + CLIENTS * MOST_BODY
    assert read_memory(service, "VmHWM") < most + SLACK
    assert read_memory(service, "VmRSS") < before + 2 * SLACK
    assert service.get("/readyz").status_code == 200
    status, body = first.send(PREDICT, "image/png", GOOD)
    assert (status, json.loads(body)["predictions"]) == (200, predictor.predict([GOOD]))
