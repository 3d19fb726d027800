"""The two stages at the end, run as DVC runs them: bundles of both roles become versions, and answer."""

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

import tflite_models
from conftest import ROOT
from modelyard.evaluation.reports import describe_bundle
from modelyard.files import write_json
from modelyard.inference.bundle import Bundle
from modelyard.packaging.writing import write_bundle
from picture_texts import watch_texts

REGISTER = {"bundles": "bundles", "reports": "reports", "models": "models", "registered": "registered.json"}
SERVE = {
    "registered": "registered.json",
    "trained": "data/samples",
    "imported": "models/imported/samples",
    "predictions": "served/predictions.json",
    "sheet": "served/contact_sheet.png",
}
STAND_IN = "inception-v3-content-safety"
Run = Callable[[str, dict[str, str]], str]


@pytest.fixture
def run(repository: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Run:
    (repository / "params.yaml").write_text(yaml.safe_dump(values))

    def run_script(script: str, paths: dict[str, str]) -> str:
        options = [part for name, path in paths.items() for part in (f"--{name}", path)]
        monkeypatch.setattr(sys, "argv", [script, *options])
        try:
            runpy.run_path(str(ROOT / "pipelines" / script), run_name="__main__")
        except SystemExit as stop:
            return str(stop)
        return ""

    return run_script


@pytest.fixture
def made(repository: Path) -> None:
    """What earlier stages leave: a trained bundle, and the stand-in in two precisions, int8 the faster."""
    source = {"source": "npm", "licence": "MIT", "stand_in_for": "inception-v3"}
    leave_bundle("trained", "float32", "mnist", {"source": {"source": "here", "name": "small"}})
    for precision, p50_ms in (("float32", 9.0), ("int8", 3.0)):
        leave_bundle("imported", precision, STAND_IN, {"source": source}, p50_ms)
    for folder in (SERVE["trained"], SERVE["imported"]):
        Path(folder).mkdir(parents=True)
    Path(SERVE["trained"], "07-label-7.png").write_bytes(tflite_models.encode(tflite_models.draw_band(7)))
    # Larger than a server takes by default.
    Image.new("RGB", (5100, 5000), (250, 0, 0)).save(Path(SERVE["imported"], "a red field.jpg"))


def leave_bundle(
    role: str, precision: str, name: str, provenance: dict[str, Any], p50_ms: float = 1.0
) -> None:
    folder = Path("bundles", role, precision)
    made = tflite_models.digit_bundle(folder) if role == "trained" else tflite_models.photo_bundle(folder)
    bundle: Bundle = write_bundle(
        folder,
        model=made.model_path.read_bytes(),
        name=name,
        precision=precision,
        labels=made.labels if precision == "float32" else [*made.labels[:-1], made.labels[1]],
        preprocessing=made.preprocessing,
        provenance=provenance,
    )
    metrics = Path("reports", f"{role}.json")
    measured = json.loads(metrics.read_text()) if metrics.exists() else {}
    agreement = {"same_first": 1.0, "max_difference": 0.01, "images": 60, "answers": 3}
    latency = {"p50_ms": p50_ms, "p99_ms": 10.0}
    measured[precision] = {"agreement": agreement, "latency": latency, "load_ms": 1.0, "size_bytes": 9.0}
    write_json(metrics, measured)
    dataset = {"name": "sample-pictures", "digest": "d" * 64, "source": "samples", "images": 60}
    report = Path("reports", role, precision, "report.json")
    write_json(report, {"bundle": describe_bundle(bundle), "dataset": dataset})


def test_bundles_of_both_roles_become_versions_and_the_champions_answer(
    made: None, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = watch_texts(monkeypatch)
    assert run("register.py", REGISTER) == ""
    registered = json.loads(Path("registered.json").read_text())
    assert list(registered) == ["trained/float32", "imported/float32", "imported/int8"]
    named = [(entry["name"], entry["version"], entry["stand_in_for"]) for entry in registered.values()]
    assert named == [("mnist", 1, None), (STAND_IN, 1, "inception-v3"), (STAND_IN, 2, "inception-v3")]
    assert f"{STAND_IN} (int8) takes the place of float32" in capsys.readouterr().out
    assert run("serve.py", SERVE) == ""
    answers = json.loads(Path("served/predictions.json").read_text())
    assert list(answers) == ["models:/mnist/1", f"models:/{STAND_IN}/2"]
    assert answers["models:/mnist/1"]["07-label-7.png"][0]["label"] == "7"
    assert answers[f"models:/{STAND_IN}/2"]["a red field.jpg"][0]["label"] == "red"
    with Image.open("served/contact_sheet.png") as sheet:
        assert sheet.format == "PNG"
    assert {"mnist v1, small, champion: 1 of 1 right", f"{STAND_IN} v2, int8, champion"} <= set(texts)


def test_nothing_to_register_is_an_error(repository: Path, run: Run) -> None:
    assert "expected a bundle in bundles, but there is none" in run("register.py", REGISTER)
    assert not Path("registered.json").exists()
