"""What MLflow's scoring server is given to read, and what is refused before."""

import json
from typing import Any

import pytest

from modelyard.inference.scoring.guard import shorten_error
from modelyard.inference.scoring.limits import Refused, check_body, check_type

IMAGE = "A" * 50_000


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": {"image": [IMAGE]}},
        {"inputs": [IMAGE] * 256, "params": {"top_k": 3, "on_error": "return"}},
        {"instances": [{"image": IMAGE, "other": 1}]},
        {"instances": [[[[0.5]] * 28] * 28] * 3},
        {"dataframe_records": [{"image": [IMAGE, "\u00e9\n"]}]},
        {"dataframe_split": {"columns": ["image"], "data": [[IMAGE]], "index": [0]}},
        {"inputs": [0.5] * 784},
    ],
)
def test_images_pass(body: dict[str, Any]) -> None:
    check_body(json.dumps(body).encode())
    check_body(json.dumps(body, ensure_ascii=False, indent=1).encode())
    check_body(json.dumps(body).encode("utf-16"))


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b'{"inputs": ["' + b"A" * 5000, 400, "not JSON"),
        (b'{"inputs": ["' + b"A" * 5000 + b'"], "' + b"k" * 5000 + b'": 1}', 400, "100 characters"),
        (b'{"inputs": ["' + b"A" * 5000 + b'"]} "' + b"A" * 5000 + b'"', 400, "Extra data"),
        (b'{"inputs": [' + b'"",' * 256 + b'"' + b"A" * 5000 + b'"]}', 413, "257 images"),
        (b'{"inputs": {"image": ' + b"[" * 9 + b"]" * 9 + b"}}", 400, "10 deep"),
    ],
)
def test_long_texts_hide_nothing(body: bytes, status: int, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as caught:
        check_body(body)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8"]
)
def test_json_in_utf_8_is_the_one_type(kind: str) -> None:
    check_type(kind)
    with pytest.raises(Refused, match="expected the content type application/json"):
        check_type(kind.replace("json", "jsonp"))


def test_of_an_error_only_the_models_own_words_are_passed_on() -> None:
    own = {"error_code": "INVALID_PARAMETER_VALUE", "message": "image 1: empty", "modelyard": True}
    assert json.loads(shorten_error(400, json.dumps(own).encode())) == {
        "error_code": "INVALID_PARAMETER_VALUE",
        "message": "image 1: empty",
    }
    mlflows = {
        "error_code": "BAD_REQUEST",
        "message": "Failed to predict data 'A secret'",
        "stack_trace": "...",
    }
    error = json.loads(shorten_error(400, json.dumps(mlflows).encode()))
    assert error.keys() == {"error_code", "message"}
    assert error["error_code"] == "BAD_REQUEST"
    assert error["message"].startswith("expected images in one of MLflow's forms: dataframe_split, ")
    assert json.loads(shorten_error(500, b"Internal Server Error"))["message"] == "the server failed"
