"""What the service records of its answers, and that no answer depends on it."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from modelyard.inference.bundle import read_bundle
from modelyard.inference.input_figures import input_figures
from modelyard.inference.predictor import Predictor
from modelyard.monitoring.tables.schema import ANSWERS, LABELS, METADATA_KEY
from service_process import Service
from tflite_models import digit_bundle, digit_model, draw_band, encode, photo_bundle

FILES = [encode(draw_band(digit)) for digit in range(10)]
PREDICT = "/models/mnist/predict"
JSON = "application/json"


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


def read_counts(text: str, name: str) -> dict[str, float]:
    return {labels: float(value) for labels, value in re.findall(rf"^{name}{{(.*?)}} (\S+)$", text, re.M)}


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
    assert [one["score"], *one["next_scores"]] == pytest.approx([answer["score"] for answer in answers])
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
