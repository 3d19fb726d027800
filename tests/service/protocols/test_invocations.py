"""MLflow's own scoring server and the service get the same requests, good and bad, and answer alike."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
import requests
import uvicorn
from mlflow.pyfunc import scoring_server

from modelyard.registry.publishing.logged_model import model_arguments
from service_process import Service
from tflite_models import digit_bundle, draw_band, encode

FILES = [encode(draw_band(digit)) for digit in range(10)]
TEXTS = [base64.b64encode(file).decode() for file in FILES]
ONE, TWO = TEXTS[3], TEXTS[4]
URL_SAFE = base64.urlsafe_b64encode(FILES[5]).decode().rstrip("=")
WHOLE = draw_band(6).tolist()
SHARES = (draw_band(6) / 255).ravel().tolist()

IMAGES: dict[str, list[Any]] = {
    "one": [ONE],
    "ten": TEXTS,
    "URL-safe": [URL_SAFE],
    "with a prefix": [f"data:image/png;base64,{ONE}"],
    "numbers": [WHOLE, WHOLE],
    "one image of numbers": [WHOLE],
    "flat shares": [SHARES],
    "none": [],
    "empty text": [ONE, ""],
    "an SVG": ["PHN2Zy8+" * 20, TWO],
    "no base64": ["what?"],
    "a number": [ONE, 7],
    "a null": [None, ONE],
    "a truth": [True],
    "an object": [ONE, {"bytes": ONE}],
    "small numbers": [[[1, 2, 3]] * 3],
    "numbers above 255": [[[256] * 28] * 28],
    "rows of different lengths": [[[1, 2], [3]]],
    "empty lists": [[], []],
    "lists of text": [[ONE, TWO], [ONE]],
    "equal lists of text": [[ONE, TWO], [ONE, ONE]],
    "lists of one text": [[ONE], [TWO]],
    "lists of text and numbers": [[ONE, 7]],
    "truncated": [base64.b64encode(FILES[0][:40]).decode()],
    "a lone surrogate": ["\ud800"],
}
PARAMS: dict[str, Any] = {
    "two labels": {"top_k": 2},
    "an unknown one": {"top_k": 1, "depth": 4},
    "nothing": {},
    "null": None,
    "nulls": {"top_k": None, "on_error": None},
    "a list": [1],
    "text": "top_k",
    "top_k as text": {"top_k": "2"},
    "top_k as float": {"top_k": 2.0},
    "top_k true": {"top_k": True},
    "top_k too large": {"top_k": 11},
    "top_k zero": {"top_k": 0},
    "top_k a list": {"top_k": [1]},
    "top_k beyond 64 bits": {"top_k": 2**70},
    "on_error return": {"on_error": "return"},
    "on_error unknown": {"on_error": "ignore"},
    "on_error a number": {"on_error": 3},
    "on_error a list": {"on_error": ["return"]},
}
BODIES: dict[str, Any] = {
    "two shapes": {"instances": [ONE], "inputs": [ONE]},
    "no shape": {"images": [ONE]},
    "nothing": {},
    "another key beside": {"instances": [ONE], "signature_name": "x", "more": [1]},
    "a list": [ONE],
    "text": "instances",
    "null": None,
    "split null": {"dataframe_split": None},
    "split a list": {"dataframe_split": [[ONE]]},
    "split without data": {"dataframe_split": {"columns": ["image"]}},
    "split without columns": {"dataframe_split": {"data": [[ONE]]}},
    "split with a key too many": {"dataframe_split": {"columns": ["image"], "data": [[ONE]], "rows": 1}},
    "split with index": {"dataframe_split": {"columns": ["image"], "index": [7, 9], "data": [[ONE], [TWO]]}},
    "split with a short index": {
        "dataframe_split": {"columns": ["image"], "index": [7], "data": [[ONE], [TWO]]}
    },
    "split with another column": {"dataframe_split": {"columns": ["name", "image"], "data": [["a", ONE]]}},
    "split with only another column": {"dataframe_split": {"columns": ["name"], "data": [[ONE]]}},
    "split with a short row": {
        "dataframe_split": {"columns": ["name", "image"], "data": [["a", ONE], ["b"]]}
    },
    "split with a long row": {"dataframe_split": {"columns": ["image"], "data": [[ONE, TWO]]}},
    "split with bare rows": {"dataframe_split": {"columns": ["image"], "data": [ONE, TWO]}},
    "records null": {"dataframe_records": None},
    "records an object": {"dataframe_records": {"image": [ONE]}},
    "records of text": {"dataframe_records": [ONE]},
    "records with another column": {"dataframe_records": [{"image": ONE, "name": "a"}, {"image": TWO}]},
    "records, one without image": {"dataframe_records": [{"image": ONE}, {"name": "a"}]},
    "records, none with image": {"dataframe_records": [{"name": "a"}]},
    "instances null": {"instances": None},
    "instances text": {"instances": ONE},
    "instances a number": {"instances": 3},
    "instances an object": {"instances": {"image": [ONE, TWO]}},
    "instances an object with text": {"instances": {"image": ONE}},
    "instances an object without image": {"instances": {"name": [ONE]}},
    "instances of unequal objects": {"instances": [{"image": ONE, "name": "a"}, {"image": TWO}]},
    "instances, one without image": {"instances": [{"image": ONE}, {"name": "a"}]},
    "instances, mixed": {"instances": [{"image": ONE}, TWO]},
    "instances, mixed the other way": {"instances": [TWO, {"image": ONE}]},
    "inputs null": {"inputs": None},
    "inputs text": {"inputs": ONE},
    "inputs text in an object": {"inputs": {"image": ONE}},
    "inputs of objects": {"inputs": [{"image": ONE}, {"image": TWO}]},
    "inputs of lists": {"inputs": [[ONE, TWO], [ONE]]},
    "inputs of objects without image": {"inputs": [{"name": ONE}]},
    "inputs with another key": {"inputs": {"image": [ONE], "name": ["a"]}},
    "inputs null in an object": {"inputs": {"image": None}},
    "inputs, numbers of one image in an object": {"inputs": {"image": WHOLE}},
    "inputs, a flat image in an object": {"inputs": {"image": SHARES}},
    "inputs, a flat image": {"inputs": SHARES},
    "inputs, rows of one image": {"inputs": WHOLE},
}
RAW: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "application/json"),
    "nothing": (b"", "application/json"),
    "no UTF-8": (b'{"instances": ["\xff\xfe"]}', "application/json"),
    "NaN": (json.dumps({"instances": [[float("nan")] * 784]}).encode(), "application/json"),
    "NaN beside": (json.dumps({"instances": [ONE], "more": float("nan")}).encode(), "application/json"),
    "UTF-16": (json.dumps({"instances": [ONE]}).encode("utf-16"), "application/json"),
    "a key twice": (f'{{"instances": [1], "instances": ["{ONE}"]}}'.encode(), "application/json"),
    "charset": (json.dumps({"instances": [ONE]}).encode(), "application/json; charset=UTF-8"),
    "another charset": (b"{}", "application/json; charset=latin-1"),
    "another parameter": (b"{}", "application/json; version=1"),
    "another type": (b"{}", "text/plain"),
    "a picture": (FILES[0], "image/png"),
    "a type in capitals": (json.dumps({"instances": [ONE]}).encode(), "Application/JSON"),
    "CSV": (f"image\n{ONE}\n{TWO}\n".encode(), "text/csv"),
    "empty CSV": (b"", "text/csv"),
}


def make_shapes(images: list[Any]) -> dict[str, Any]:
    return {
        "dataframe_split": {"dataframe_split": {"columns": ["image"], "data": [[image] for image in images]}},
        "dataframe_records": {"dataframe_records": [{"image": image} for image in images]},
        "instances": {"instances": images},
        "instances of objects": {"instances": [{"image": image} for image in images]},
        "inputs": {"inputs": {"image": images}},
        "inputs without a name": {"inputs": images},
    }


@pytest.fixture(scope="module")
def service(served: Path) -> Iterator[Service]:
    service = Service(served)
    yield service
    service.stop()


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's scoring server, as `mlflow models serve` runs it, over the same bundle."""
    saved = tmp_path_factory.mktemp("saved")
    bundle = digit_bundle(tmp_path_factory.mktemp("bundle") / "mnist")
    mlflow.pyfunc.save_model(saved / "model", **model_arguments(bundle, saved / "staged"))
    app = scoring_server.init(mlflow.pyfunc.load_model(str(saved / "model")))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def ask(address: str, body: bytes, kind: str = "application/json") -> tuple[int, Any]:
    response = requests.post(f"{address}/invocations", body, headers={"Content-Type": kind}, timeout=20)
    if response.status_code == 415:
        assert response.headers["Content-Type"].startswith("text/plain")
        return 415, None
    assert response.headers["Content-Type"] == "application/json"
    if response.status_code == 200:
        return 200, response.json()
    error = response.json()
    assert set(error) >= {"error_code", "message"}
    return response.status_code, None


def check_alike(service: Service, stock: str, body: bytes, kind: str = "application/json") -> None:
    expected = ask(stock, body, kind)
    assert expected[0] in (200, 400, 415)
    assert ask(service.address, body, kind) == expected


@pytest.mark.parametrize("shape", list(make_shapes([])))
@pytest.mark.parametrize("images", list(IMAGES))
def test_images_in_every_shape(service: Service, stock: str, shape: str, images: str) -> None:
    check_alike(service, stock, json.dumps(make_shapes(IMAGES[images])[shape]).encode())


@pytest.mark.parametrize("params", list(PARAMS))
def test_parameters(service: Service, stock: str, params: str) -> None:
    body = {"instances": [ONE, "no image"] if "return" in params else [ONE], "params": PARAMS[params]}
    check_alike(service, stock, json.dumps(body).encode())


@pytest.mark.parametrize("body", list(BODIES))
def test_bodies_of_other_forms(service: Service, stock: str, body: str) -> None:
    check_alike(service, stock, json.dumps(BODIES[body]).encode())


@pytest.mark.parametrize("raw", list(RAW))
def test_what_is_not_plain_json(service: Service, stock: str, raw: str) -> None:
    check_alike(service, stock, *RAW[raw])


def test_an_error_is_one_line_without_the_input(service: Service) -> None:
    response = service.post(
        "/invocations", json.dumps({"instances": [ONE, "what?" * 100]}), "application/json"
    )
    assert response.json() == {
        "error_code": "INVALID_PARAMETER_VALUE",
        "message": "image 1: neither PNG nor JPEG, and not base64 of one",
    }


def test_no_content_type_is_a_415_and_no_crash(service: Service) -> None:
    response = requests.post(f"{service.address}/invocations", b"{}", timeout=20)
    assert response.status_code == 415
