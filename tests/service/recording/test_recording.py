"""What the service records of its answers, and that no answer depends on it."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import requests
from pyarrow import parquet

from modelyard.cli import main
from modelyard.inference.bundle import read_bundle
from modelyard.inference.input_figures import input_figures
from modelyard.inference.predictor import Predictor
from modelyard.monitoring.tables.schema import ANSWERS, LABELS, METADATA_KEY
from modelyard.service.http.metrics import SHARED
from modelyard.service.recording.ids.marked_ids import Ids
from service_process import Service
from tflite_models import digit_bundle, digit_model, draw_band, encode, photo_bundle

FILES = [encode(draw_band(digit)) for digit in range(10)]
PREDICT = "/models/mnist/predict"
JSON = "application/json"
TEXT = base64.b64encode(FILES[1]).decode()
TOKEN = "open-sesame!"  # noqa: S105  # the test's own
LACKS_ROWS = "the record lacks rows: more came than can be recorded"
AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def folder(served: Path) -> Path:
    digit_bundle(served / "mnist" / "2", digit_model(10.0))
    photo_bundle(served / "colours" / "1")
    return served


def list_parts(place: Path, table: str = "answers") -> list[Path]:
    return sorted(place.glob(f"{table}/*/*/*"))


def read_rows(place: Path, table: str = "answers") -> list[dict[str, Any]]:
    """Return all rows as pandas reads them, in the order of their time."""
    frame = pd.read_parquet(place / table)
    return frame.sort_values(["time", "index"]).to_dict("records")


@pytest.fixture(scope="module")
def recorded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a service with two workers leaves of a few requests: answers, labels, pictures, metrics."""
    place = tmp_path_factory.mktemp("place")
    service = Service(folder, workers=2, recording={"place": str(place), "images": 1.0})
    found: dict[str, Any] = {"place": place}
    try:
        found["one"] = service.post(f"{PREDICT}?top_k=1", FILES[3])
        texts = [base64.b64encode(FILES[4]).decode(), draw_band(5).tolist(), "no picture"]
        body = json.dumps({"images": texts, "on_error": "return"})
        found["three"] = service.post(PREDICT, body, JSON, headers={"X-Request-ID": "mine"})
        found["colour"] = service.post(
            "/models/colours/predict", encode(np.full((40, 60, 3), 9, np.uint8), "JPEG"), "image/jpeg"
        )
        service.post(PREDICT, b"no picture")
        found["labelled"] = [
            service.post("/feedback", json.dumps({"id": id_, "index": index, "label": label}), JSON)
            for id_, index, label in [
                (found["one"].headers["x-request-id"], 0, "8"),
                (found["one"].headers["x-request-id"], 0, "3"),
            ]
        ]
        found["metrics"] = service.get("/metrics").text
    finally:
        assert service.stop() == 0, service.errors
    found["rows"] = read_rows(place)
    return found


def test_each_image_that_was_answered_is_a_row(recorded: dict[str, Any], folder: Path) -> None:
    one, four, five, colour = recorded["rows"]
    assert one["request_id"] == recorded["one"].headers["x-request-id"]
    assert [four["request_id"], five["request_id"]] == ["mine", "mine"]
    assert (one["model"], one["version"], one["role"], one["index"]) == ("mnist", "1", "answer", 0)
    [answers] = Predictor(read_bundle(folder / "mnist" / "1")).predict([FILES[3]])
    assert [one["label"], *one["next_labels"]] == [answer["label"] for answer in answers]
    assert [one["score"], *one["next_scores"]] == pytest.approx(
        [answer["score"] for answer in answers], abs=1e-7
    )
    assert (one["sha256"], one["bytes"]) == (hashlib.sha256(FILES[3]).hexdigest(), len(FILES[3]))
    assert (four["sha256"], four["label"], four["index"]) == (hashlib.sha256(FILES[4]).hexdigest(), "4", 0)
    assert (five["mode"], five["label"], five["index"]) == ("array", "5", 1)
    assert five["sha256"] == hashlib.sha256(draw_band(5).tobytes()).hexdigest()
    assert (colour["model"], colour["mode"], colour["width"], colour["height"]) == ("colours", "RGB", 60, 40)
    assert all(0 < row["ms"] < 10_000 for row in recorded["rows"])
    now = pd.Timestamp.now("UTC")
    assert all(now - pd.Timedelta("10min") < row["time"] <= now for row in recorded["rows"])


def test_the_figures_of_a_row_are_those_of_the_pixels_that_the_network_saw(recorded: dict[str, Any]) -> None:
    one = recorded["rows"][0]
    levels = draw_band(3)
    expected = input_figures(levels[None, :, :, None])[0]
    named = ("mean", "spread", "ink", "saturated", "edges")
    assert [one[f"input_{name}"] for name in named] == pytest.approx(expected.tolist(), abs=1e-6)
    assert one["input_mean"] == pytest.approx(levels.mean() / 255, abs=1e-6)


def test_a_part_says_what_it_holds_and_has_the_columns_of_the_contract(recorded: dict[str, Any]) -> None:
    for table in (ANSWERS, LABELS):
        for part in list_parts(recorded["place"], table.name):
            schema = parquet.read_schema(part)
            assert schema.metadata[METADATA_KEY] == table.mark
            assert schema.names == list(table.columns)
            assert re.fullmatch(r"part-\d{8}T\d{6}Z-[\w-]+-\d+-[0-9a-f]{12}\.parquet", part.name)


def test_pictures_are_kept_under_their_digest_once(recorded: dict[str, Any]) -> None:
    kept = [path for path in recorded["place"].glob("images/*/*/*") if path.is_file()]
    assert {path.stem for path in kept} == {
        row["sha256"] for row in recorded["rows"] if row["mode"] != "array"
    }
    for path in kept:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
        assert path.parent.name == path.stem[:2]


def test_labels_are_kept_both_where_an_answer_gets_two(recorded: dict[str, Any]) -> None:
    assert [answer.status_code for answer in recorded["labelled"]] == [202, 202]
    first, last = read_rows(recorded["place"], "labels")
    assert [first["label"], last["label"]] == ["8", "3"]
    assert first["request_id"] == last["request_id"] == recorded["rows"][0]["request_id"]
    assert (last["version"], last["source"], last["sha256"]) == ("1", "feedback", "")
    told = recorded["labelled"][1].json()
    assert told == {"id": last["request_id"], "index": 0, "label": "3", "model": "mnist", "version": 1}


def test_metrics_count_first_labels_and_scores_of_recorded_answers(folder: Path, tmp_path: Path) -> None:
    service = Service(folder, recording={"place": str(tmp_path)})
    try:
        for digit in (3, 3, 4):
            assert service.post(PREDICT, FILES[digit]).ok
        told = wait_for(service, 'modelyard_answers_total{label="4"')
    finally:
        service.stop()
    assert 'modelyard_answers_total{label="3",model="mnist",version="1"} 2.0' in told
    assert 'modelyard_scores_bucket{le="0.9",model="mnist",version="1"} 0.0' in told
    assert 'modelyard_scores_count{model="mnist",version="1"} 3.0' in told


def wait_for(service: Service, text: str) -> str:
    """Return /metrics once it has a text."""
    for _ in range(400):
        told = service.get("/metrics").text
        if text in told:
            return told
        time.sleep(0.05)
    raise AssertionError(f"{text} is not in {told}")


# Labels


@pytest.fixture(scope="module")
def guarded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(folder, token=TOKEN, recording={"place": str(tmp_path_factory.mktemp("place"))})
    yield service
    service.stop()


def give_feedback(service: Service, fields: Any, kind: str = JSON, **options: Any) -> requests.Response:
    body = fields if isinstance(fields, str) else json.dumps(fields)
    return service.post("/feedback", body, kind, **{"headers": AUTHORIZATION, **options})


def test_an_id_that_a_client_chose_is_taken(guarded: Service) -> None:
    headers = AUTHORIZATION | {"X-Request-ID": "chosen-by-me"}
    assert guarded.post(PREDICT, FILES[1], headers=headers).headers["x-request-id"] == "chosen-by-me"
    assert give_feedback(guarded, {"id": "chosen-by-me", "label": "1"}).status_code == 202


def test_an_id_that_was_never_given_is_refused(guarded: Service) -> None:
    given = guarded.post(PREDICT, FILES[1], headers=AUTHORIZATION).headers["x-request-id"]
    head, _, tail = given.rpartition("-")
    forged = f"{head}-{'0' if tail[0] != '0' else '1'}{tail[1:]}"
    of_more = given.replace("-1-1-", "-1-9-")
    of_another_token = Ids("another").make("mnist", 1, 1)
    listed = guarded.get("/models", headers=AUTHORIZATION).headers["x-request-id"]
    for unknown in (forged, of_more, of_another_token, listed, "what", ""):
        answer = give_feedback(guarded, {"id": unknown, "index": 0, "label": "1"})
        assert (answer.status_code, "never given" in answer.text) == (404, True), unknown
    assert give_feedback(guarded, {"id": given, "index": 0, "label": "1"}).status_code == 202


def test_labels_and_indexes_that_there_are_not_are_refused(guarded: Service) -> None:
    given = guarded.post(PREDICT, FILES[1], headers=AUTHORIZATION).headers["x-request-id"]
    expected = "label: expected one of the 10 of mnist, got another"
    for label in ("10", "seven", ""):
        assert give_feedback(guarded, {"id": given, "label": label}).json() == {"error": expected}
    for index, expected in (
        (1, "index: expected 0 to 0, got 1"),
        (-1, "index: expected a whole number from 0"),
    ):
        answer = give_feedback(guarded, {"id": given, "index": index, "label": "1"})
        assert (answer.status_code, answer.json()) == (400, {"error": expected})


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("{}", JSON, 400),
        ("[]", JSON, 400),
        ("{", JSON, 400),
        ('{"id": "a", "index": 0, "label": "1", "more": 1}', JSON, 400),
        ('{"id": 1, "label": "1"}', JSON, 400),
        ('{"id": "a", "index": true, "label": "1"}', JSON, 400),
        ('{"id": "a", "label": 1}', JSON, 400),
        ('{"id": "a", "label": "1"}', "text/plain", 415),
        (f'{{"id": "{"a" * 5000}", "label": "1"}}', JSON, 413),
    ],
)
def test_feedback_that_is_none_is_refused(guarded: Service, body: str, kind: str, status: int) -> None:
    assert give_feedback(guarded, body, kind).status_code == status


def test_feedback_needs_the_token_too(guarded: Service) -> None:
    assert give_feedback(guarded, {"id": "a", "label": "1"}, headers={}).status_code == 401


def test_without_a_record_there_is_no_feedback(folder: Path, tmp_path: Path) -> None:
    service = Service(folder)
    try:
        given = service.post(PREDICT, FILES[1]).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{16}", given)
        assert service.post("/feedback", json.dumps({"id": given, "label": "1"}), JSON).status_code == 404
        assert "/feedback" not in service.get("/openapi.json").json()["paths"]
    finally:
        service.stop()


def test_a_client_s_id_is_found_in_the_table_by_another_process(folder: Path, tmp_path: Path) -> None:
    recording = {"place": str(tmp_path)}
    first = Service(folder, recording=recording)
    first.post(PREDICT, json.dumps({"images": [TEXT, TEXT]}), JSON, headers={"X-Request-ID": "from-a-client"})
    first.stop()
    [part] = list_parts(tmp_path)
    (part.parent / "part-torn.parquet").write_bytes(part.read_bytes()[:1000])
    second = Service(folder, recording=recording)
    try:
        told = [
            second.post("/feedback", json.dumps({"id": id_, "index": index, "label": "1"}), JSON)
            for id_, index in [("from-a-client", 1), ("from-a-client", 2), ("from-nobody", 0)]
        ]
    finally:
        second.stop()
    assert [answer.status_code for answer in told] == [202, 400, 404]


# Faults


def test_a_place_that_cannot_be_written_costs_rows_and_no_answer(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.write_text("a file is in the way")
    service = Service(folder, recording={"place": str(place)})
    try:
        for _ in range(20):
            assert service.post(PREDICT, json.dumps({"images": [TEXT] * 256, "top_k": 1}), JSON).ok
        wait_for(service, "modelyard_problems 1.0")
        told = service.get("/readyz")
        assert told.status_code == 200
        [problem] = told.json()["problems"]
        assert "the record cannot be written (" in problem
        assert str(tmp_path) not in problem
    finally:
        assert service.stop() == 0
    assert any("cannot be written" in line for line in service.errors)


def test_two_services_write_one_table_and_one_that_is_killed_loses_no_row(
    folder: Path, tmp_path: Path
) -> None:
    services = [Service(folder, recording={"place": str(tmp_path)}) for _ in range(2)]
    body = json.dumps({"images": [TEXT] * 256, "top_k": 1})
    try:
        for _ in range(20):
            for service in services:
                assert service.post(PREDICT, body, JSON).ok
        wait_for(services[0], 'modelyard_recorded_total{kind="answer"} 5000.0')
        wait_for(services[0], 'modelyard_answers_total{label="1",model="mnist",version="1"} 5120.0')
        recording = find_recording(services[0])
        counters = Path(recording.environ()[SHARED])
        assert counters.is_dir()
        services[0].process.kill()
        services[0].wait()
        # The process that records writes what it was told, and ends.
        recording.wait(20)
        assert not counters.exists()
    finally:
        assert services[1].stop() == 0
    assert sum(parquet.read_metadata(part).num_rows for part in list_parts(tmp_path)) == 2 * 20 * 256
    assert len({part.name.split("-")[-2] for part in list_parts(tmp_path)}) == 2


def find_recording(service: Service) -> psutil.Process:
    """Return the process that records for a service of one worker."""
    [found] = [
        process
        for process in psutil.Process(service.process.pid).children()
        if "modelyard.service.recording.process" in process.cmdline()
    ]
    return found


def test_where_the_process_that_records_is_killed_answers_go_on_and_lost_rows_are_counted(
    folder: Path, tmp_path: Path
) -> None:
    service = Service(folder, recording={"place": str(tmp_path)})
    try:
        for _ in range(3):
            assert service.post(PREDICT, FILES[3]).ok
        wait_for(service, 'modelyard_answers_total{label="3",model="mnist",version="1"} 3.0')
        recording = find_recording(service)
        assert recording.nice() == min(19, psutil.Process(service.process.pid).nice() + 10)
        # Linux compares priorities within a session only.
        assert os.getsid(recording.pid) == os.getsid(service.process.pid)
        recording.kill()
        for _ in range(100):
            if problems := service.get("/readyz").json()["problems"]:
                break
            time.sleep(0.02)
        assert problems[0] == (
            "the process that records does not run, and is started again; answers are not affected"
        )
        assert service.post(PREDICT, FILES[4]).ok
        wait_for(service, 'modelyard_answers_total{label="4",model="mnist",version="1"} 1.0')
        told = wait_for(service, 'modelyard_record_dropped_total{kind="answer",reason="failed"}')
        assert 'modelyard_record_dropped_total{kind="answer",reason="failed"} 3.0' in told
        for _ in range(100):
            if (problems := service.get("/readyz").json()["problems"]) == [LACKS_ROWS]:
                break
            time.sleep(0.05)
        # For a minute.
        assert problems == [LACKS_ROWS]
    finally:
        assert service.stop() == 0
    assert [row["label"] for row in read_rows(tmp_path)] == ["4"]
    assert sum("the process that records ended (exit code -9)" in line for line in service.errors) == 1


def test_at_sigterm_each_worker_writes_its_last_rows_within_the_grace(folder: Path, tmp_path: Path) -> None:
    service = Service(folder, workers=2, recording={"place": str(tmp_path)})
    headers = {"Connection": "close"}
    try:
        ids = []
        with ThreadPoolExecutor(8) as threads:
            # The service is ready with one worker; the other one may need some seconds more.
            for _ in range(40):
                asked = [threads.submit(service.post, PREDICT, FILES[3], headers=headers) for _ in range(16)]
                ids += [answer.result().headers["x-request-id"] for answer in asked]
                time.sleep(0.1)
        assert list_parts(tmp_path) == []
        started = time.monotonic()
    finally:
        assert service.stop() == 0, service.errors
    # Kubernetes kills after 30 s; a place that hangs is waited for 10 s.
    assert time.monotonic() - started < 20
    assert {row["request_id"] for row in read_rows(tmp_path)} == set(ids)
    assert len({part.name.split("-")[-2] for part in list_parts(tmp_path)}) == 2


def test_a_service_does_not_import_pyarrow_which_the_process_beside_it_needs(tmp_path: Path) -> None:
    program = (
        "import sys, modelyard.cli.commands.serve, modelyard.service.server\n"
        "from prometheus_client import CollectorRegistry\n"
        "from modelyard.service.recording.options import RecordingOptions\n"
        "from modelyard.service.recording.recording import Recording\n"
        "Recording(RecordingOptions('place'), None, CollectorRegistry(), None)\n"
        "print([name for name in ('pyarrow', 'pandas') if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert told.stdout == "[]\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--shadow", "challenger"], "name its place with --record"),
        (["--record-images", "0.1"], "name its place with --record"),
        (["--record", "ftp://somewhere"], "expected a folder or s3://bucket/prefix, got 'ftp://somewhere'"),
        (["--record", "s3://"], "expected s3://bucket/prefix"),
        (["--record", ""], "expected a folder or s3://bucket/prefix, got ''"),
        (["--record-images", "2"], "expected a share from 0 to 1, got '2'"),
        (["--record-images", "nan"], "expected a share from 0 to 1, got 'nan'"),
    ],
)
def test_options_that_record_nothing_are_refused_before_the_service_starts(
    options: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    try:
        code = main(["serve", "--copy", str(tmp_path), *options])
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    assert expected in capsys.readouterr().err
