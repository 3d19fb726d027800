"""The service over HTTP, in a process of its own: what is answered, what is refused, what is told."""

import base64
import gzip
import http.client
import json
import math
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from modelyard.cli import main
from modelyard.inference.bundle import read_bundle
from modelyard.inference.predictor import Predictor
from modelyard.service.settings import Settings
from service_process import STRANGE, Service, read_to_end
from tflite_models import NAN_GAIN, digit_bundle, digit_model, draw_band, encode, photo_bundle

FILES = [encode(draw_band(digit)) for digit in range(10)]
TEXTS = [base64.b64encode(file).decode() for file in FILES]
PREDICT = "/models/mnist/predict"
JSON = "application/json"
MAX_BODY = 200_000
TOKEN = "open-sesame!"  # noqa: S105  # the test's own


@pytest.fixture(scope="module")
def folder(served: Path) -> Path:
    digit_bundle(served / "mnist" / "2", digit_model(10.0))
    digit_bundle(served / "overflowing" / "1", digit_model(NAN_GAIN))
    photo_bundle(served / "colours" / "1")
    (served / "broken").mkdir()
    return served


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    service = Service(folder, max_body_bytes=MAX_BODY, max_items=12)
    yield service
    service.stop()


@pytest.fixture(scope="module")
def guarded(folder: Path) -> Iterator[Service]:
    service = Service(folder, token=TOKEN)
    yield service
    service.stop()


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    return Predictor(read_bundle(folder / "mnist" / "1"))


RAW_HEAD = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n".encode()


def send_raw(service: Service, request: bytes, ends: bool = False) -> bytes:
    """Return what the service sends until it closes the connection; `ends` closes ours for sending first."""
    with service.connect() as connection:
        connection.sendall(request)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        return read_to_end(connection)


# Answers


def test_a_png_is_answered_with_model_version_and_labels(service: Service, predictor: Predictor) -> None:
    answer = service.post(PREDICT, FILES[3])
    assert answer.status_code == 200
    assert answer.json() == {"model": "mnist", "version": 1, "predictions": predictor.predict([FILES[3]])}


def test_a_jpeg_is_answered_as_a_png_is(service: Service) -> None:
    red = np.zeros((32, 48, 3), np.uint8)
    red[..., 0] = 255
    answer = service.post("/models/colours/predict?top_k=1", encode(red, "JPEG"), "image/jpeg").json()
    [[best]] = answer["predictions"]
    assert (best["label"], best["synset"]) == ("red", "n1")


def test_files_of_a_form_are_answered_in_their_order(service: Service, predictor: Predictor) -> None:
    files = [("images", (f"{digit}.png", FILES[digit], "image/png")) for digit in (4, 0, 9)]
    answer = requests.post(f"{service.address}{PREDICT}", files=files, data={"top_k": "2"}, timeout=20)
    assert answer.json()["predictions"] == predictor.predict([FILES[4], FILES[0], FILES[9]], top_k=2)


@pytest.mark.parametrize(
    ("body", "images"),
    [
        ({"images": TEXTS}, FILES),
        ({"image": TEXTS[5]}, [FILES[5]]),
        ({"image": f"data:image/png;base64,{TEXTS[5]}"}, [FILES[5]]),
        ({"images": [base64.urlsafe_b64encode(FILES[5]).decode()]}, [FILES[5]]),
        ({"images": [draw_band(6).tolist()]}, [FILES[6]]),
    ],
)
def test_json_holds_one_image_or_several(
    service: Service, predictor: Predictor, body: Any, images: list[bytes]
) -> None:
    answer = service.post(PREDICT, json.dumps({**body, "top_k": 3}), JSON)
    assert answer.json()["predictions"] == predictor.predict(images, top_k=3)


def test_a_version_is_answered_by_its_number_and_an_alias_by_its_name(service: Service, folder: Path) -> None:
    second = Predictor(read_bundle(folder / "mnist" / "2"))
    answer = service.post("/models/mnist/versions/2/predict", FILES[3]).json()
    assert answer == {"model": "mnist", "version": 2, "predictions": second.predict([FILES[3]])}
    assert service.post("/models/mnist/aliases/champion/predict", FILES[3]).json()["version"] == 1


def test_bad_images_are_told_in_the_places_of_their_answers_on_request(
    service: Service, predictor: Predictor
) -> None:
    body = json.dumps({"images": [TEXTS[0], "what?"], "on_error": "return"})
    [good, bad] = service.post(PREDICT, body, JSON).json()["predictions"]
    assert good == predictor.predict([FILES[0]])[0]
    assert bad == {"error": "image 1: neither PNG nor JPEG, and not base64 of one"}


def test_large_pictures_are_answered_beside_small_ones(service: Service, predictor: Predictor) -> None:
    large = encode(np.kron(draw_band(2), np.ones((40, 40), np.uint8)))
    assert service.post(PREDICT, large).json()["predictions"] == predictor.predict([large])


# Refusals


@pytest.mark.parametrize(
    ("body", "kind", "reason", "index"),
    [
        (b"GIF89a", "image/png", "image 0: a GIF, not PNG or JPEG", 0),
        (b"", "image/png", "image 0: empty", 0),
        (FILES[0][:50], "image/png", "image 0: a truncated PNG", 0),
        (json.dumps({"images": [TEXTS[0], ""]}), JSON, "image 1: empty", 1),
        (json.dumps({"images": [[1, 2]]}), JSON, "image 0: an array of shape (2,)", 0),
        (json.dumps({"images": []}), JSON, "no images", None),
        (json.dumps({"images": "text"}), JSON, "images: expected a list, got str", None),
        (json.dumps({"images": TEXTS, "image": TEXTS[0]}), JSON, "expected one of", None),
        (json.dumps({"images": TEXTS, "depth": 3}), JSON, "expected the keys", None),
        (json.dumps({"images": TEXTS, "top_k": 11}), JSON, "top_k must be a whole number from 1 to 10", None),
        (json.dumps({"images": TEXTS, "on_error": "x"}), JSON, "on_error must be", None),
        (json.dumps(TEXTS), JSON, "expected a JSON object, got list", None),
        (b"{", JSON, "the body is not JSON", None),
        (b"[" * 10_000, JSON, "the body is not JSON", None),
        (b"--x\r\n", "multipart/form-data; boundary=x", "a multipart body that was cut off", None),
        (b"nothing", "multipart/form-data; boundary=x", "a broken multipart body", None),
        (b"", "multipart/form-data", "multipart/form-data without a boundary", None),
    ],
)
def test_what_cannot_be_read_is_a_400_with_index_and_reason(
    service: Service, body: Any, kind: str, reason: str, index: int | None
) -> None:
    answer = service.post(PREDICT, body, kind)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(reason)
    assert answer.json().get("index") == index


@pytest.mark.parametrize("query", ["top_k=0", "top_k=11", "top_k=two", "top_k=²", "on_error=x", "top_k="])
def test_options_of_the_query_are_checked(service: Service, query: str) -> None:
    assert service.post(f"{PREDICT}?{query}", FILES[0]).status_code == 400


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/models/nothing/predict", 404, "expected a model, one of broken, colours, mnist"),
        ("/models/mnist/versions/9/predict", 404, "expected a version, one of 1, got 9"),
        ("/models/mnist/versions/x/predict", 404, "Not Found"),
        (f"/models/mnist/versions/{'9' * 18}/predict", 404, "expected a version, one of 1, got 9999"),
        (f"/models/mnist/versions/{'9' * 5000}/predict", 404, "Not Found"),
        ("/models/mnist/aliases/best/predict", 404, "expected an alias, one of champion"),
        ("/models/broken/predict", 503, "version 1 cannot be loaded"),
        ("/models/overflowing/predict", 500, "the model gave NaN or infinity"),
        ("/elsewhere", 404, "Not Found"),
        ("/livez", 405, "Method Not Allowed"),
    ],
)
def test_what_is_not_there_is_told(service: Service, path: str, status: int, reason: str) -> None:
    answer = service.post(path, FILES[1])
    assert answer.status_code == status
    assert reason in answer.json()["error"]
    assert ("Retry-After" in answer.headers) == (status == 503)


@pytest.mark.parametrize("kind", ["image/gif", "text/plain", "application/octet-stream", "nonsense", ""])
def test_another_content_type_is_a_415(service: Service, kind: str) -> None:
    assert service.post(PREDICT, FILES[0], kind).status_code == 415


def test_a_compressed_body_is_a_415(service: Service) -> None:
    answer = service.post(PREDICT, gzip.compress(FILES[0]), headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.headers["Accept-Encoding"]) == (415, "identity")
    assert service.post(PREDICT, FILES[0], headers={"Content-Encoding": "identity"}).status_code == 200


def test_a_body_that_says_it_is_too_large_is_not_read(service: Service) -> None:
    connection = http.client.HTTPConnection(service.address.removeprefix("http://"))
    connection.putrequest("POST", PREDICT)
    connection.putheader("Content-Type", "image/png")
    connection.putheader("Content-Length", "99999999999")
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert f"at most {MAX_BODY}" in json.load(answer)["error"]
    connection.close()


def test_a_body_without_a_length_is_read_up_to_the_limit_only(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(RAW_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(MAX_BODY // 10_000 + 1):
            connection.sendall(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_chunked_body_within_the_limit_is_answered(service: Service) -> None:
    answer = service.post(PREDICT, iter([FILES[3][:20], FILES[3][20:]]))
    assert answer.json()["predictions"][0][0]["label"] == "3"


def test_too_many_images_are_a_413(service: Service) -> None:
    texts = [TEXTS[0]] * 13
    assert service.post(PREDICT, json.dumps({"images": texts}), JSON).status_code == 413
    assert service.post("/invocations", json.dumps({"instances": texts}), JSON).status_code == 413
    files = [("images", ("0.png", FILES[0], "image/png"))] * 13
    assert requests.post(f"{service.address}{PREDICT}", files=files, timeout=20).status_code == 413


PART = b'--x\r\nContent-Disposition: form-data; name="%b"; filename="a"\r\n\r\n\r\n'


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (PART % b"images" * 1000, 413, "more than 12 images"),
        (PART.replace(b"filename", b"comment") % b"top_k" * 1000, 413, "more than 12 images and 20 options"),
        (PART % (b"a" * 100_000), 400, "a broken multipart body"),
        (b"--x\r\n" + b"A: b\r\n" * 10_000 + b"\r\n\r\n--x--", 400, "a broken multipart body"),
        (PART % b"images" + b"\r\n--" * 40_000, 400, "a multipart body that was cut off"),
        (b"\r\n" * 90_000, 400, "a multipart body that was cut off"),
    ],
    ids=["files", "options", "a long header", "many headers", "almost an end", "nothing"],
)
def test_a_form_of_countless_parts_or_headers_is_refused(
    service: Service, body: bytes, status: int, reason: str
) -> None:
    answer = service.post(PREDICT, body, "multipart/form-data; boundary=x")
    assert (answer.status_code, answer.json()["error"][: len(reason)]) == (status, reason)


@pytest.mark.parametrize("image", ["[],", "1,", '"a",', "[[[[[[[[]]]]]]]],"])
@pytest.mark.parametrize("path", [PREDICT, "/invocations"])
def test_json_of_countless_values_is_refused_before_it_is_read(
    service: Service, path: str, image: str
) -> None:
    name = "images" if path == PREDICT else "instances"
    count = (MAX_BODY - 100) // len(image)
    body = f'{{"{name}": [[{image * count}0]]}}'
    answer = service.post(path, body, JSON)
    assert answer.status_code == 413
    assert answer.headers["Connection"] == "close"
    message = answer.json()["error" if path == PREDICT else "message"]
    assert message.startswith("more lists and values than 12 images have")


def test_twelve_digits_of_numbers_each_in_a_list_of_its_own_are_not_too_many(service: Service) -> None:
    digit = draw_band(4)[:, :, None].tolist()
    answer = service.post(PREDICT, json.dumps({"images": [digit] * 12}).replace(" ", ""), JSON)
    assert [best[0]["label"] for best in answer.json()["predictions"]] == ["4"] * 12


def test_a_name_as_long_as_headers_may_be_is_not_told_in_full(service: Service) -> None:
    answer = service.post(f"/models/{'a' * 50_000}/predict", FILES[0])
    assert answer.status_code == 404
    assert len(answer.content) < 1100


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: -5",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\n\r\nxyz",
    ],
)
def test_a_length_that_makes_no_sense_is_a_400_and_ends_the_connection(service: Service, head: bytes) -> None:
    answer = send_raw(service, RAW_HEAD + head + b"\r\n\r\nhello")
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_a_body_shorter_or_longer_than_it_says_is_no_picture_and_no_second_request(service: Service) -> None:
    short = RAW_HEAD + b"Connection: close\r\nContent-Length: 20\r\n\r\n" + FILES[3]
    assert send_raw(service, short).count(b"HTTP/1.1 400 ") == 1
    # Its end never comes, and nobody is there to be told.
    assert send_raw(service, RAW_HEAD + b"Content-Length: 2000\r\n\r\n" + FILES[3], ends=True) == b""


def test_requests_that_do_not_wait_for_answers_are_answered_in_their_order(
    service: Service, predictor: Predictor
) -> None:
    sent = b"".join(RAW_HEAD + b"Content-Length: %d\r\n\r\n" % len(file) + file for file in FILES * 20)
    end = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = send_raw(service, sent + end)
    labels = re.findall(rb'"predictions":\[\[{"label":"(\d)"', answers)
    assert b"".join(labels) == b"0123456789" * 20
    assert answers.endswith(b'{"live":true}')


# The token


@pytest.mark.parametrize(
    "path", ["/models", "/metrics", "/docs", "/openapi.json", "/models/nothing", "/elsewhere"]
)
def test_without_the_token_nothing_is_told(guarded: Service, path: str) -> None:
    for given in (None, "Bearer wrong", "Bearer", f"Basic {TOKEN}", TOKEN):
        headers = {} if given is None else {"Authorization": given.encode()}
        answer = guarded.get(path, headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert guarded.post("/invocations", b"{}", JSON).status_code == 401


def test_with_the_token_all_is_answered(guarded: Service) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.post(PREDICT, FILES[0], headers=headers).status_code == 200
    assert guarded.get("/models", headers=headers).status_code == 200


def test_probes_need_no_token(guarded: Service) -> None:
    assert guarded.get("/livez").status_code == 200
    assert guarded.get("/readyz").status_code == 200


@pytest.mark.parametrize("token", ["", "two words", "with its file's end\n", "\n", "Sésame", "nul\0"])
def test_a_token_that_not_every_client_can_send_is_refused_at_the_start(token: str) -> None:
    with pytest.raises(ValueError, match="MODELYARD_TOKEN of visible ASCII characters") as refused:
        Settings(token=token)
    assert not token.strip() or token not in str(refused.value)


def test_the_token_is_never_shown() -> None:
    assert "secret" not in repr(Settings(token="secret"))  # noqa: S106  # the test's own


# What is told


def test_readiness_says_what_is_wrong_while_the_rest_is_served(service: Service) -> None:
    answer = service.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "problems": ["broken@champion: version 1 cannot be loaded"]}


def test_what_cannot_be_written_or_has_no_end_is_told_all_the_same(tmp_path: Path) -> None:
    digit_bundle(tmp_path / "mnist" / "1")
    digit_bundle(tmp_path / STRANGE / "1")
    service = Service(tmp_path)
    [problem, *_, last] = problems = service.get("/readyz").json()["problems"]
    assert (len(problems), len(problem), last) == (21, 300, "and 980 more")
    strange = {model["name"]: model for model in service.get("/models").json()}[STRANGE]
    [version] = strange["versions"]
    assert (version["size_bytes"], version["metrics"]) == (None, {"right": 0.5})
    metrics = service.get("/metrics")
    assert metrics.status_code == 200
    assert f'modelyard_version_loaded{{model="{STRANGE}",version="1"}} 1.0' in metrics.text
    service.stop()


def test_models_are_listed(service: Service) -> None:
    listed = {model["name"]: model for model in service.get("/models").json()}
    assert set(listed) == {"broken", "colours", "mnist", "overflowing"}
    assert listed["mnist"]["aliases"] == {"champion": 1}


def test_metrics_count_requests_by_model_version_and_status(service: Service) -> None:
    def read() -> dict[str, float]:
        lines = service.get("/metrics").text.splitlines()
        return {
            name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")
        }

    good = 'modelyard_requests_total{model="mnist",status="200",version="1"}'
    seconds = 'modelyard_request_seconds_count{model="mnist",status="200",version="1"}'
    unknown = 'modelyard_requests_total{model="",status="404",version=""}'
    service.post(PREDICT, FILES[0])
    service.post("/models/made-up/predict", FILES[0])
    before = read()
    service.post(PREDICT, FILES[0])
    service.post("/models/made-up-too/predict", FILES[0])
    after = read()
    for name in (good, seconds, unknown):
        assert after[name] == before[name] + 1
    assert not any("made-up" in name for name in after)
    assert after["modelyard_in_flight"] == 1
    assert after["modelyard_problems"] == 1
    assert after['modelyard_version_loaded{model="mnist",version="1"}'] == 1


def test_every_request_leaves_one_line_with_its_id_and_nothing_of_the_image(folder: Path) -> None:
    service = Service(folder)
    given = service.post(PREDICT, FILES[3], headers={"X-Request-ID": "order-66"})
    made = service.post("/models/mnist/predict?top_k=x", FILES[3], headers={"X-Request-ID": 'a"b c'})
    body = json.dumps({"instances": [TEXTS[3], "what?"]})
    service.post("/invocations", body, JSON, headers={"X-Request-ID": "third"})
    service.get("/livez", headers={"X-Request-ID": "probe-1"})
    assert service.stop() == 0
    lines = {line["id"]: line for line in map(json.loads, service.lines)}
    assert given.headers["X-Request-ID"] == "order-66"
    line = lines["order-66"]
    assert (line["model"], line["version"], line["status"], line["images"]) == ("mnist", 1, 200, 1)
    assert (line["method"], line["path"], line["body_bytes"]) == ("POST", PREDICT, len(FILES[3]))
    assert lines[made.headers["X-Request-ID"]]["status"] == 400
    assert lines["third"]["status"] == 400
    assert (lines["probe-1"]["path"], lines["probe-1"]["status"]) == ("/livez", 200)
    assert TEXTS[3][:30] not in "".join(service.lines)


def test_the_documentation_loads_nothing_from_elsewhere(service: Service) -> None:
    page = service.get("/docs").text
    assert "https://" not in page
    for path in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert service.get(f"/{path}").status_code == 200, path
    assert "swagger-ui-bundle.js" in page


def test_the_documentation_may_run_its_own_scripts_only(service: Service) -> None:
    page = service.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    assert policy["script-src"] == "'self'"
    assert "<script>" not in page.text
    assert (policy["default-src"], policy["frame-ancestors"]) == ("'none'", "'none'")
    assert page.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/models", "/metrics", "/docs", "/openapi.json"])
def test_head_is_answered_as_get_is_without_the_body(service: Service, path: str) -> None:
    asked = requests.head(f"{service.address}{path}", timeout=20)
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["Content-Type"] == service.get(path).headers["Content-Type"]


def test_only_what_answers_get_answers_head(service: Service) -> None:
    assert requests.head(f"{service.address}{PREDICT}", timeout=20).status_code == 405
    assert requests.head(f"{service.address}/elsewhere", timeout=20).status_code == 404
    assert service.post("/livez").headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/models/", "/docs/", "/livez/", "/swagger-ui"])
def test_a_path_with_a_slash_too_many_leads_nowhere(service: Service, path: str) -> None:
    answer = service.get(path, allow_redirects=False, headers={"Host": "elsewhere.example"})
    assert (answer.status_code, "Location" in answer.headers) == (404, False)


@pytest.mark.parametrize(("path", "status"), [("/livez", 200), (PREDICT, 405), ("/elsewhere", 404)])
def test_no_answer_is_stored_or_taken_for_another_type(service: Service, path: str, status: int) -> None:
    answer = service.get(path)
    assert answer.status_code == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_openapi_document_describes_every_endpoint(service: Service) -> None:
    document = service.get("/openapi.json").json()
    models = [f"/v2/models/{{name}}{version}" for version in ("", "/versions/{version}")]
    assert set(document["paths"]) == {
        *("/v2", "/v2/health/live", "/v2/health/ready"),
        *(f"{model}{end}" for model in models for end in ("", "/ready", "/infer")),
        "/models/{name}/predict",
        "/models/{name}/versions/{version}/predict",
        "/models/{name}/aliases/{alias}/predict",
        "/models/{name}/versions/{version}/samples",
        "/invocations",
        "/models",
        "/livez",
        "/readyz",
        "/metrics",
    }
    body = document["paths"]["/models/{name}/predict"]["post"]["requestBody"]["content"]
    assert set(body) == {"image/png", "image/jpeg", "multipart/form-data", JSON}
    assert service.get("/docs").status_code == 200


# Starting


def test_serving_imports_neither_tensorflow_nor_pandas_nor_mlflow() -> None:
    code = (
        "import sys, modelyard.service.server, modelyard.cli\n"
        "print(sorted({'tensorflow', 'pandas', 'mlflow', 'keras'} & sys.modules.keys()))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_help_needs_nothing_but_argparse() -> None:
    code = (
        "import sys\nfrom modelyard.cli import main\n"
        "try: main(['serve', '--help'])\n"
        "except SystemExit: print(sorted({'fastapi', 'numpy', 'uvicorn', 'mlflow'} & sys.modules.keys()))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--max-body-bytes" in shown.stdout
    assert shown.stdout.strip().endswith("[]")


def test_a_port_that_is_taken_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--port", port]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"modelyard: cannot listen on 127.0.0.1, port {port}")
    assert told.count("\n") == 1


@pytest.mark.parametrize("option", [("--deadline-s", "inf"), ("--max-queued", "-1")])
def test_a_limit_out_of_range_is_told_in_one_line(
    option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *option]) == 1
    assert re.fullmatch("modelyard: expected .*\n", capsys.readouterr().err)


def test_a_user_without_a_home_folder_is_asked_for_one_for_the_copy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find_nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", find_nobody)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert main(["serve", "--port", "0"]) == 1
    told = "modelyard: this user has no home folder: name a folder for the local copy with --copy\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf, 1e400, 86_401.0])
@pytest.mark.parametrize("name", ["headers_s", "deadline_s", "keep_alive_s"])
def test_seconds_are_above_0_and_a_day_at_most(name: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"expected {name} of 0.001 to 86400, got"):
        Settings(**{name: seconds})


@pytest.mark.parametrize("limit", [{"max_items": 0}, {"drain_s": -1.0}, {"drain_s": math.inf}])
def test_other_limits_are_not_below_their_least(limit: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected "):
        Settings(**limit)


def test_several_processes_answer_and_count_together(folder: Path) -> None:
    service = Service(folder, workers=2)
    assert [service.post(PREDICT, FILES[0]).status_code for _ in range(20)] == [200] * 20
    line = 'modelyard_requests_total{model="mnist",status="200",version="1"} 20.0'
    ends_at = time.monotonic() + 20
    # The process that answered last may not have counted yet.
    while line not in service.get("/metrics").text:
        assert time.monotonic() < ends_at
    assert service.stop() == 0
