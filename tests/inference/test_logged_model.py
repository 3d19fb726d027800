"""A logged bundle loads anywhere with its own requirements, and MLflow's stock server answers from it."""

import base64
import http.client
import importlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fastapi
import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import _SERVER_MODEL_PATH

from lean_environment import make_environment
from modelyard.inference.bundle import Bundle
from modelyard.inference.mlflow_model import SCORING_SERVER, InputError, collect_images
from modelyard.inference.predictor import Predictor
from modelyard.registry.publishing.logged_model import model_arguments
from tflite_models import NAN_GAIN, digit_bundle, digit_model, draw_band, encode, photo_bundle

DIGITS = [encode(draw_band(digit)) for digit in range(10)]
TEXTS = [base64.b64encode(file).decode() for file in DIGITS]


def save(bundle: Bundle, folder: Path) -> Path:
    """Save as an MLflow model; nothing but `folder` / "model" is left to load from."""
    arguments = model_arguments(bundle, folder / "staged code")
    mlflow.pyfunc.save_model(folder / "a model", **arguments)
    return folder / "a model"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return digit_bundle(tmp_path_factory.mktemp("a folder") / "a bundle")


@pytest.fixture(scope="module")
def saved(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(bundle, tmp_path_factory.mktemp("saved model"))


@pytest.fixture(scope="module")
def model(saved: Path) -> Any:
    return mlflow.pyfunc.load_model(str(saved))


# What is logged


def test_the_model_carries_only_the_inference_code(saved: Path) -> None:
    package = saved / "code" / "modelyard"
    names = {path.relative_to(package).parts[0] for path in package.rglob("*.py")}
    assert names == {"__init__.py", "inference"}
    assert (package / "inference" / "predictor.py").is_file()


def test_the_requirements_are_pinned_and_need_no_tensorflow(saved: Path) -> None:
    lines = (saved / "requirements.txt").read_text().splitlines()
    assert sorted(line.partition("==")[0] for line in lines) == [
        "ai-edge-litert",
        "mlflow",
        "numpy",
        "pillow",
    ]
    assert all("==" in line for line in lines)


@pytest.mark.parametrize("make", [digit_bundle, photo_bundle])
def test_the_input_example_is_an_image_that_the_model_answers(make: Any, tmp_path: Path) -> None:
    bundle = make(tmp_path / "a bundle")
    example = model_arguments(bundle, tmp_path / "staged")["input_example"]
    loaded = mlflow.pyfunc.load_model(str(save(bundle, tmp_path)))
    [answer] = loaded.predict(example)
    assert answer == Predictor(bundle).predict(example["image"])[0]


def test_the_signature_names_the_image_and_the_parameters(model: Any) -> None:
    signature = model.metadata.signature
    assert signature.inputs.input_names() == ["image"]
    assert {param.name: param.default for param in signature.params} == {"top_k": 5, "on_error": "raise"}


def test_two_models_in_one_process_answer_each_from_its_own_bundle(model: Any, tmp_path: Path) -> None:
    other = mlflow.pyfunc.load_model(str(save(photo_bundle(tmp_path / "colours"), tmp_path)))
    images = {"image": [TEXTS[7]]}
    assert model.predict(images)[0][0]["label"] == "7"
    assert other.predict(images)[0][0]["label"] == "red"


def test_an_error_as_a_row_has_the_shape_of_an_answer_also_where_the_network_itself_fails(
    model: Any, tmp_path: Path
) -> None:
    answers = model.predict({"image": [TEXTS[3], b"GIF89a", None]}, params={"top_k": 1, "on_error": "row"})
    assert [len(answer) for answer in answers] == [1, 1, 1]
    assert (answers[0][0]["label"], answers[1][0]) == ("3", {"error": "a GIF, not PNG or JPEG"})
    assert answers[2] == [{"error": "expected bytes or base64 text, got NoneType"}]
    failing = mlflow.pyfunc.load_model(
        str(save(digit_bundle(tmp_path / "a", digit_model(NAN_GAIN)), tmp_path))
    )
    [[answer]] = failing.predict({"image": [TEXTS[3]]}, params={"on_error": "row"})
    assert answer == {"error": "mnist: the model gave NaN or infinity, which is no answer"}
    with pytest.raises(MlflowException, match="top_k must be"):
        model.predict({"image": TEXTS}, params={"top_k": 0, "on_error": "row"})


def test_loads_of_the_same_bundle_share_its_interpreters_until_another_is_loaded(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr("modelyard.inference.runtime.shared_predictor._last", None)
    monkeypatch.setattr(
        "modelyard.inference.runtime.shared_predictor.Predictor",
        lambda bundle: made.append(bundle) or Predictor(bundle),
    )
    other = save(photo_bundle(tmp_path / "colours"), tmp_path)
    labels = [
        mlflow.pyfunc.load_model(str(folder)).predict({"image": [TEXTS[7]]})[0][0]["label"]
        for folder in (other, other, saved, saved, other)
    ]
    assert labels == ["red", "red", "7", "7", "red"]
    assert [bundle.name for bundle in made] == ["colours", "mnist", "colours"]


def test_only_mlflows_server_is_guarded_and_holds_text_as_python_strings(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_SERVER_MODEL_PATH, str(saved))
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
    monkeypatch.delitem(sys.modules, SCORING_SERVER, raising=False)
    with pd.option_context("mode.string_storage", "auto"):
        mlflow.pyfunc.load_model(str(saved))
        assert pd.get_option("mode.string_storage") == "auto"
        server = importlib.import_module(SCORING_SERVER)
        assert pd.get_option("mode.string_storage") == "python"
    assert [one.cls.__name__ for one in server.app.user_middleware if one.cls.__name__ == "Guard"], (
        f"MLflow {mlflow.__version__} does not make its application of fastapi.FastAPI once the model is "
        "loaded: modelyard/inference/scoring/guard.py does not fit it, and its server runs without the guard"
    )
    assert fastapi.FastAPI.__module__ == "fastapi.applications"


# Called from Python


def test_all_ways_of_giving_images_give_the_same_answers(model: Any, bundle: Bundle) -> None:
    expected = Predictor(bundle).predict(DIGITS)
    arrays = [draw_band(digit) for digit in range(10)]
    for given in (
        pd.DataFrame({"image": DIGITS}),
        pd.DataFrame({"image": TEXTS}, index=range(10, 20)),
        pd.DataFrame({"image": arrays}),
        {"image": TEXTS},
        {"image": DIGITS},
        {"image": np.stack(arrays)},
    ):
        assert model.predict(given) == expected


def test_parameters_are_passed_on(model: Any) -> None:
    answers = model.predict({"image": [TEXTS[3], "not base64"]}, params={"top_k": 2, "on_error": "return"})
    assert answers[0][0]["id"] == 3
    assert len(answers[0]) == 2
    assert answers[1] == {"error": "image 1: neither PNG nor JPEG, and not base64 of one"}


@pytest.mark.parametrize(
    ("given", "params", "reason"),
    [
        ({"image": [TEXTS[0], ""]}, {}, "image 1: empty"),
        ({"image": [None]}, {}, "image 0: expected bytes or base64 text, got NoneType"),
        ({"image": []}, {}, "no images"),
        (pd.DataFrame({"picture": TEXTS}), {}, "expected one column named 'image'"),
        ({"image": TEXTS}, {"top_k": 11}, "top_k must be a whole number from 1 to 10, got 11"),
        ({"image": TEXTS}, {"on_error": "ignore"}, "on_error must be"),
    ],
)
def test_bad_input_is_told_in_one_line(model: Any, given: Any, params: dict[str, Any], reason: str) -> None:
    with pytest.raises(MlflowException, match=reason) as caught:
        model.predict(given, params=params)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert "\n" not in caught.value.message


def test_nothing_can_be_put_before_the_reason() -> None:
    error = InputError("image 1: empty")
    error.message = f"Failed to predict data '{TEXTS}'. \nError: {error.message}"
    assert json.loads(error.serialize_as_json())["message"] == "image 1: empty"
    assert error.get_http_status_code() == 400


def test_a_failing_model_is_no_fault_of_the_caller(tmp_path: Path) -> None:
    loaded = mlflow.pyfunc.load_model(
        str(save(digit_bundle(tmp_path / "mnist", digit_model(NAN_GAIN)), tmp_path))
    )
    with pytest.raises(MlflowException, match="mnist: the model gave NaN") as caught:
        loaded.predict({"image": [TEXTS[1]]})
    assert caught.value.get_http_status_code() == 500


@pytest.mark.parametrize(
    ("given", "images"),
    [
        (["a", b"b"], ["a", b"b"]),
        ("a", ["a"]),
        ([{"image": "a"}, {"image": "b"}], ["a", "b"]),
        (np.array(["a", "b"]), ["a", "b"]),
        ({"image": "a"}, ["a"]),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
    ],
)
def test_images_are_collected_without_mlflows_help_too(given: Any, images: list[Any]) -> None:
    assert collect_images(given) == images


@pytest.mark.parametrize("given", [None, 3, {"picture": "a"}, np.array(3)])
def test_what_holds_no_images_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        collect_images(given)


# Served by `mlflow models serve`


@pytest.fixture(scope="module")
def server(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("working directory")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    command = [scripts / "mlflow", "models", "serve", "-m", saved, "-p", str(port), "--env-manager", "local"]
    with (folder / "log.txt").open("wb") as log:
        # In a group of its own: MLflow starts uvicorn through a shell, which would outlive it.
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until_up(address, process, folder / "log.txt")
            yield address
        finally:
            os.killpg(process.pid, 15)
            process.wait(timeout=30)


def wait_until_up(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/ping", timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the server did not come up:\n{log.read_text()}")


def ask(address: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)["predictions"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def make_shapes(images: list[Any]) -> dict[str, Any]:
    return {
        "dataframe_split": {"dataframe_split": {"columns": ["image"], "data": [[image] for image in images]}},
        "dataframe_records": {"dataframe_records": [{"image": image} for image in images]},
        "instances of images": {"instances": images},
        "instances of objects": {"instances": [{"image": image} for image in images]},
        "inputs": {"inputs": {"image": images}},
        "inputs without a name": {"inputs": images},
    }


@pytest.mark.parametrize("shape", list(make_shapes([])))
def test_every_json_shape_is_answered_alike(server: str, bundle: Bundle, shape: str) -> None:
    predictor = Predictor(bundle)
    url_safe = [base64.urlsafe_b64encode(file).decode().rstrip("=") for file in DIGITS]
    with_prefix = [f"data:image/png;base64,{text}" for text in TEXTS]
    for images in (TEXTS, url_safe, with_prefix, TEXTS[:1], url_safe[3:4]):
        assert ask(server, make_shapes(images)[shape]) == (200, predictor.predict(images))
    body = {**make_shapes(TEXTS)[shape], "params": {"top_k": 2}}
    assert ask(server, body) == (200, predictor.predict(TEXTS, top_k=2))


@pytest.mark.parametrize("shape", list(make_shapes([])))
def test_digits_are_answered_from_their_numbers(server: str, bundle: Bundle, shape: str) -> None:
    predictor = Predictor(bundle)
    whole = [draw_band(digit).tolist() for digit in (3, 4)]
    shares = [(draw_band(digit) / 255).ravel().tolist() for digit in (3, 4)]
    for images in (whole, shares, whole[:1]):
        assert ask(server, make_shapes(images)[shape]) == (200, predictor.predict(images))


@pytest.mark.parametrize("shape", list(make_shapes([])))
@pytest.mark.parametrize("bad", ["PHN2Zy8+" * 20, "", 7])
def test_bad_images_are_400_with_one_line_and_without_the_input(server: str, shape: str, bad: Any) -> None:
    status, error = ask(server, make_shapes([TEXTS[0], bad, TEXTS[1]])[shape])
    assert status == 400
    assert error["error_code"] in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")
    assert "\n" not in error["message"]
    assert TEXTS[0][:40] not in json.dumps(error)
    assert len(json.dumps(error)) < 400


@pytest.mark.parametrize("shape", list(make_shapes([])))
def test_numbers_of_another_shape_are_400(server: str, shape: str) -> None:
    status, error = ask(server, make_shapes([[[1, 2, 3]] * 3, [[4, 5, 6]] * 3])[shape])
    assert (status, error["message"]) == (
        400,
        "image 0: an array of shape (3, 3), expected (28, 28) or (784,)",
    )


@pytest.mark.parametrize("shape", list(make_shapes([])))
def test_no_images_are_400_and_the_bad_ones_are_told_apart_on_request(server: str, shape: str) -> None:
    status, error = ask(server, make_shapes([])[shape])
    assert (status, "\n" in error["message"]) == (400, False)
    body = {**make_shapes([TEXTS[5], "not base64"])[shape], "params": {"on_error": "return", "top_k": 1}}
    status, answers = ask(server, body)
    assert (status, answers[0][0]["label"]) == (200, "5")
    assert answers[1] == {"error": "image 1: neither PNG nor JPEG, and not base64 of one"}


def test_eight_connections_at_once_get_answers_and_400s_only(server: str, bundle: Bundle) -> None:
    predictor = Predictor(bundle)
    expected = {text: predictor.predict([text]) for text in TEXTS}

    def visit(turn: int) -> bool:
        text = TEXTS[turn % 10]
        if turn % 9 == 0:
            return ask(server, {"inputs": {"image": [text[:50]]}})[0] == 400
        return ask(server, {"inputs": {"image": [text]}}) == (200, expected[text])

    with ThreadPoolExecutor(8) as visitors:
        assert all(visitors.map(visit, range(400)))


# What hostile requests meet there

SECRET = "Zm9vYmFyYmF6" * 3
KEYS = ",".join(f'"{number}":""' for number in range(400_000))


def post(address: str, body: bytes, kind: str | None) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
    try:
        connection.request("POST", "/invocations", body, {} if kind is None else {"Content-Type": kind})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


JSON_TYPE = "application/json"
HOSTILE: dict[str, tuple[str | None, str, int, str]] = {
    "no type": (None, f'{{"inputs": ["{SECRET}"]}}', 415, "application/json"),
    "another type": ("text/plain", SECRET, 415, "application/json"),
    "another charset": ("application/json; charset=latin-1", SECRET, 415, "utf-8"),
    "a table": ("text/csv", f"a,b\n{SECRET},1,2\n", 400, "tables"),
    "a Parquet table": ("application/vnd.apache.parquet", SECRET, 400, "tables"),
    "nothing": (JSON_TYPE, "", 400, "not JSON"),
    "no JSON": (JSON_TYPE, SECRET * 10_000, 400, "not JSON"),
    "a list": (JSON_TYPE, f'["{SECRET}"]', 400, "expected a JSON object, got list"),
    "deep lists": (JSON_TYPE, "[" * 100_000, 400, "10 deep"),
    "lists that JSON just takes": (JSON_TYPE, '{"inputs":' + "[" * 500 + "]" * 500 + "}", 400, "10 deep"),
    "digits": (JSON_TYPE, '{"inputs": [%s]}' % ("1" * 5000), 400, "too many digits"),
    "a large top_k": (JSON_TYPE, '{"inputs": ["a"], "params": {"top_k": %s}}' % ("1" * 4000), 400, "top_k"),
    "many nodes": (JSON_TYPE, '{"inputs": [%s1]}' % ("1," * 600_000), 413, "256 images"),
    "many keys": (JSON_TYPE, f'{{"inputs": {{{KEYS}}}}}', 400, "20 keys"),
    "many records": (JSON_TYPE, '{"dataframe_records": [%s{}]}' % ("{}," * 256), 413, "257 images"),
    "many columns": (
        JSON_TYPE,
        '{"dataframe_split": {"columns": [%s""], "data": []}}' % ('"",' * 256),
        413,
        "257 images",
    ),
    "many images in a cell": (
        JSON_TYPE,
        '{"instances": [{"image": [%s""]}]}' % ('"",' * 256),
        400,
        "257 images",
    ),
    "a long key": (JSON_TYPE, f'{{"inputs": [], "params": {{"{SECRET * 3}": 1}}}}', 400, "100 characters"),
    "a language model's form": (JSON_TYPE, f'{{"inputs": [], "messages": ["{SECRET}"]}}', 400, "expected"),
    "two forms": (JSON_TYPE, f'{{"inputs": [], "instances": ["{SECRET}"]}}', 400, "got 2 of them"),
    "another column": (JSON_TYPE, f'{{"inputs": {{"picture": ["{SECRET}"]}}}}', 400, "expected"),
    "text for rows": (JSON_TYPE, f'{{"dataframe_split": "{SECRET}"}}', 400, "expected"),
    "text for records": (JSON_TYPE, f'{{"dataframe_records": "{SECRET}"}}', 400, "expected"),
    "rows of another length": (
        JSON_TYPE,
        f'{{"dataframe_split": {{"columns": ["image"], "data": [["{SECRET}", 1]]}}}}',
        400,
        "expected",
    ),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_request_is_refused_in_one_line_without_the_input(server: str, name: str) -> None:
    kind, body, expected, reason = HOSTILE[name]
    start = time.monotonic()
    status, text = post(server, body.encode(), kind)
    assert (status, reason in text) == (expected, True), text[:500]
    assert len(text) < 300
    assert "\n" not in text
    assert SECRET not in text
    assert (expected == 415) or set(json.loads(text)) >= {"error_code", "message"}
    assert time.monotonic() - start < 15


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_beyond_the_limit_is_refused_before_all_of_it_has_come(server: str, announced: bool) -> None:
    host, _, port = server.removeprefix("http://").partition(":")
    how = "Content-Length: 16000001" if announced else "Transfer-Encoding: chunked"
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        head = f"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{how}\r\n\r\n"
        connection.sendall(head.encode())
        if not announced:
            connection.sendall(b"%x\r\n" % 16_000_001 + b"[" * 16_000_001)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert (response.status, response.getheader("connection")) == (413, "close")
        assert json.load(response)["message"] == "a body of more than 16000000 bytes"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"top_k": "3"}, "top_k must be a whole number from 1, got str"),
        ({"top_k": 2.5}, "top_k must be a whole number from 1, got float"),
        ({"top_k": [3]}, "top_k must be a whole number from 1, got list"),
        ({"top_k": True}, "top_k must be a whole number from 1, got bool"),
        ({"top_k": -1}, "top_k must be a whole number from 1 to 10, got -1"),
        ({"on_error": 1}, "on_error must be 'raise' or 'return', got int"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'return', got str"),
        ([], "params: expected an object, got list"),
        ("top_k", "params: expected an object, got str"),
    ],
)
def test_a_wrong_parameter_is_told_without_the_picture(server: str, params: Any, reason: str) -> None:
    status, error = ask(server, {"inputs": TEXTS[:1], "params": params})
    assert (status, error["message"]) == (400, reason)
    assert len(json.dumps(error)) < 300


def test_parameters_of_null_are_the_defaults(server: str, bundle: Bundle) -> None:
    expected = Predictor(bundle).predict(TEXTS[:1])
    for params in (None, {}, {"top_k": None, "on_error": None}, {"unknown": 1}):
        assert ask(server, {"inputs": TEXTS[:1], "params": params}) == (200, expected)


def test_other_addresses_of_mlflows_server_answer_as_ever(server: str) -> None:
    with urllib.request.urlopen(f"{server}/version", timeout=30) as response:
        assert response.read().decode() == mlflow.__version__


# Away from home


def test_a_version_answers_in_a_new_environment_with_nothing_but_its_requirements(
    saved: Path, bundle: Bundle, tmp_path: Path
) -> None:
    requirements = (saved / "requirements.txt").read_text().splitlines()
    python = make_environment(tmp_path / "new environment", requirements)
    code = """
import importlib.util, json, sys
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
answers = model.predict({"image": json.loads(sys.stdin.read())})
code = sys.modules["modelyard.inference"].__file__
print(json.dumps([answers, code, importlib.util.find_spec("tensorflow") is None]))
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [python, "-c", code, saved],
        input=json.dumps(TEXTS),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    answers, code_file, lean = json.loads(result.stdout)
    assert answers == Predictor(bundle).predict(TEXTS)
    assert Path(code_file).is_relative_to(saved)
    assert lean
