"""The Open Inference Protocol, asked by NVIDIA's client; by hand where that client can do nothing wrong."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from modelyard.inference.bundle import read_bundle
from modelyard.inference.predictor import Predictor
from service_process import Service
from tflite_models import digit_bundle, digit_model, draw_band, encode, photo_bundle

FILES = [encode(draw_band(digit)) for digit in range(3)]
TENSOR = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(FILES[0]).decode()]}
MODELS = [("mnist",), ("mnist", "1"), ("mnist", "7"), ("nothing",)]


@pytest.fixture(scope="module")
def service(served: Path) -> Iterator[Service]:
    photo_bundle(served / "colours" / "1")
    digit_bundle(served / "telling" / "1", digit_model(tells=True), name="telling")
    running = Service(served, max_items=4)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Any]:
    with triton.InferenceServerClient(service.address.removeprefix("http://")) as connected:
        yield connected


def expect(folder: Path, images: list[Any], top_k: int = 5) -> tuple[list[list[str]], list[list[float]]]:
    """Return labels and scores as the predictor ranks them."""
    answers = Predictor(read_bundle(folder)).predict(images, top_k)
    return [[one["label"] for one in a] for a in answers], [[one["score"] for one in a] for a in answers]


def ask(client: Any, model: str, array: np.ndarray, kind: str, binary: bool = True, **options: Any) -> Any:
    tensor = triton.InferInput("image", list(array.shape), kind)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return client.infer(model, [tensor], **options)


def check(result: Any, labels: list[list[str]], scores: list[list[float]]) -> None:
    found = result.as_numpy("label")
    assert [
        [label.decode() if isinstance(label, bytes) else label for label in row] for row in found
    ] == labels
    np.testing.assert_allclose(result.as_numpy("score"), scores, atol=1e-6)


def test_the_server_its_health_and_its_models_are_described(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    ready = {which: client.is_model_ready(*which) for which in MODELS}
    assert ready == {("mnist",): True, ("mnist", "1"): True, ("mnist", "7"): False, ("nothing",): False}
    described = client.get_model_metadata("mnist", "1")
    assert described["versions"] == ["1"]
    assert [tensor["name"] for tensor in described["outputs"]] == ["label", "score", "id"]


@pytest.mark.parametrize("shape", [[3], [3, 1]])
def test_files_get_the_predictors_answers(client: Any, served: Path, shape: list[int]) -> None:
    files = np.array(FILES, dtype=object).reshape(shape)
    result = ask(client, "mnist", files, "BYTES", parameters={"top_k": 2}, request_id="mine")
    check(result, *expect(served / "mnist/1", FILES, 2))
    assert result.get_response()["id"] == "mine"
    assert result.get_response()["model_version"] == "1"


def test_base64_in_json_is_answered_in_json(client: Any, served: Path) -> None:
    texts = np.array([base64.b64encode(file) for file in FILES], dtype=object)
    asked = [triton.InferRequestedOutput(name, binary_data=False) for name in ("label", "score")]
    result = ask(client, "mnist", texts, "BYTES", binary=False, outputs=asked, model_version="1")
    check(result, *expect(served / "mnist/1", FILES))
    assert result.as_numpy("id") is None


@pytest.mark.parametrize("binary", [True, False])
def test_a_version_that_knows_how_unlike_its_training_pictures_an_image_is_has_another_output(
    client: Any, binary: bool
) -> None:
    described = client.get_model_metadata("telling")
    assert described["outputs"][-1] == {"name": "unlikeness", "datatype": "FP32", "shape": [-1, 1]}
    files = np.array(FILES[:2], dtype=object)
    asked = [triton.InferRequestedOutput("unlikeness", binary_data=binary)]
    for result in (
        ask(client, "telling", files, "BYTES"),
        ask(client, "telling", files, "BYTES", outputs=asked),
    ):
        np.testing.assert_allclose(result.as_numpy("unlikeness"), [[40 / 784]] * 2, atol=1e-3)
    with pytest.raises(InferenceServerException, match="mnist does not tell unlikeness"):
        ask(client, "mnist", files, "BYTES", outputs=asked)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("kind", ["UINT8", "FP32"])
def test_arrays_are_answered_with_and_without_a_batch_dimension(
    client: Any, served: Path, kind: str, binary: bool
) -> None:
    pictures = np.stack([draw_band(digit)[:, :, None] for digit in range(3)])
    arrays = pictures if kind == "UINT8" else (pictures / 255).astype(np.float32)
    labels, scores = expect(served / "mnist/1", list(pictures))
    check(ask(client, "mnist", arrays, kind, binary), labels, scores)
    check(ask(client, "mnist", arrays[0], kind, binary), labels[:1], scores[:1])


def test_colour_arrays_of_the_networks_size_are_answered(client: Any, served: Path) -> None:
    how = read_bundle(served / "colours/1").preprocessing
    photo = np.random.default_rng(0).integers(0, 256, (how.height, how.width, 3), np.uint8)
    check(ask(client, "colours", photo[None], "UINT8"), *expect(served / "colours/1", [encode(photo)]))


def test_what_a_client_gets_wrong_is_told_in_the_protocols_form(client: Any) -> None:
    files = np.array([b"no picture"], dtype=object)
    with pytest.raises(InferenceServerException, match="image 0: ") as caught:
        ask(client, "mnist", files, "BYTES")
    assert caught.value.status() == "400"
    with pytest.raises(InferenceServerException, match="expected a model"):
        ask(client, "nothing", files, "BYTES")
    with pytest.raises(InferenceServerException, match="5 images, at most 4"):
        ask(client, "mnist", np.array(FILES[:1] * 5, dtype=object), "BYTES")
    with pytest.raises(InferenceServerException, match="shape"):
        ask(client, "mnist", np.zeros((1, 27, 28, 1), np.uint8), "UINT8")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"inputs": None}, "one tensor"),
        ({"inputs": [TENSOR, TENSOR]}, "one tensor"),
        ({"inputs": [TENSOR | {"name": "x"}]}, "the name 'image'"),
        ({"inputs": [TENSOR | {"shape": [2]}]}, "expected 2 values"),
        ({"inputs": [TENSOR | {"shape": [-1]}]}, "whole numbers"),
        ({"inputs": [TENSOR | {"shape": [1, 2]}]}, r"\[images, 1\]"),
        ({"inputs": [TENSOR | {"datatype": "INT8"}]}, "datatype BYTES"),
        ({"inputs": [TENSOR | {"parameters": {"binary_data_size": 3}}]}, "binary_data_size"),
        ({"inputs": [TENSOR | {"datatype": "UINT8", "shape": [1, 1], "data": [256]}]}, r"0\.\.255"),
        ({"inputs": [TENSOR | {"datatype": "FP32", "shape": [1, 1], "data": ["1"]}]}, "numbers"),
        ({"inputs": [TENSOR | {"data": None}]}, "one of data"),
        ({"inputs": [TENSOR | {"data": 7}]}, "expected a list"),
        ({"outputs": [{"name": "logits"}]}, "label, score, id"),
        *(({"outputs": value}, "outputs") for value in (3, 0, "", {})),
        ({"outputs": [{"name": "id", "parameters": {"binary_data": 1}}]}, "binary_data: expected true or"),
        ({"parameters": {"binary_data_output": "yes"}}, "binary_data_output: expected true or false"),
        ({"parameters": {"top_k": 0}}, "top_k"),
        ({"parameters": []}, "parameters"),
        ({"id": 7}, "id"),
    ],
)
def test_bodies_that_are_wrong_are_refused(service: Service, change: dict[str, Any], told: str) -> None:
    body = json.dumps({"inputs": [TENSOR], **change})
    answer = service.post("/v2/models/mnist/infer", body, "application/json")
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    with pytest.raises(ValueError, match=told):
        raise ValueError(answer.json()["error"])


@pytest.mark.parametrize("length", ["nine", "-1", "9999999", "9" * 5000, "0" * 5000])
def test_a_wrong_length_of_the_json_part_is_refused(service: Service, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length}
    answer = service.post("/v2/models/mnist/infer", json.dumps({"inputs": [TENSOR]}), headers=headers)
    assert answer.status_code == 400
    assert "the length of the body's JSON part" in answer.json()["error"]


def test_a_binary_element_that_is_cut_off_is_refused(service: Service) -> None:
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 6}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = service.post("/v2/models/mnist/infer", head + b"\xff\0\0\0ab", headers=headers)
    assert answer.status_code == 400
    assert answer.json() == {"error": "BYTES: an element is cut off"}
