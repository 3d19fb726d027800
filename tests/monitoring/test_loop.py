"""The whole loop: serve, a shift, an alarm, labels, collected pictures, a shadow, a champion, quiet.

Two services record in one place, in a bucket. The new version is fitted by the test, for the stages
that train are tested elsewhere.
"""

import base64
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
import requests
import yaml
from numpy.typing import NDArray
from PIL import Image

import tflite_models
from conftest import compose_values
from live_answers import CLASSES, Answered, class_means, home_writers, other_writers
from modelyard.cli.main import main
from modelyard.evaluation.labelled_evaluation import evaluate_labelled
from modelyard.evaluation.reference import write_reference
from modelyard.evaluation.reports import write_predictions
from modelyard.files import write_json
from modelyard.images.additions.additions import add_pictures
from modelyard.images.dataset import Dataset
from modelyard.images.pictures import PixelPictures, read_pictures, write_pictures
from modelyard.inference.bundle import Label
from modelyard.nesting import flatten
from modelyard.packaging.writing import write_bundle
from modelyard.params import validate_params
from service_process import run_serve
from small_registry import SmallRegistry
from team_server import run_s3

PLACE = "s3://answers/loop"
ORDER = np.random.default_rng(3).permutation(1797)
FIRST, LATER = other_writers().take(ORDER[:800]), other_writers().take(ORDER[800:1200])
HOME = home_writers().take(np.arange(400))


def as_pictures(answered: Answered) -> PixelPictures:
    return PixelPictures(answered.labels.astype(np.uint8), CLASSES, answered.levels)


def as_files(answered: Answered) -> list[bytes]:
    files = []
    for levels in answered.levels:
        stream = io.BytesIO()
        Image.fromarray(levels).save(stream, "PNG")
        files.append(stream.getvalue())
    return files


class Loop:
    """A repository, a registry, and a place in a bucket."""

    def __init__(self, repository: Path, registry: SmallRegistry) -> None:
        self.repository, self.registry, self.environment = repository, registry, {}
        values = compose_values()
        values["monitor"] |= {"tables": PLACE, "recent": 0.5}
        values["data"]["gate"] = {
            "metrics": {"test/accuracy": {"min": "majority"}},
            "max_accuracy_drop": None,
            "allow_dirty": True,
        }
        values["evaluate"] |= {"latency_runs": 10, "latency_warmup": 1}
        values["evaluate"]["corruptions"]["pictures"] = 0
        (repository / "params.yaml").write_text(yaml.safe_dump(values))
        self.params = validate_params(values)
        write_pictures(repository / "data/test.npz", as_pictures(HOME))

    def register(self, means: NDArray[np.float64], recent: Any = None) -> int:
        """Register a network that compares with the mean of each class, evaluated as the stage does it."""
        how = replace(tflite_models.DIGIT, fit="smooth")
        bias = tuple((-(means**2).sum(axis=1) / 8).tolist())
        bundle = write_bundle(
            self.repository / f"bundle-{abs(hash(bias))}",
            model=tflite_models.build((28, 28, 1), (means.T / 4).astype(np.float32), bias),
            name="mnist",
            precision="float32",
            labels=[Label(name) for name in CLASSES],
            preprocessing=how,
            provenance={},
        )
        version = self.registry.add_bundle(bundle)
        dataset = Dataset("mnist", CLASSES, how, "made", "CC0", {})
        evaluation = evaluate_labelled(
            bundle.folder, as_pictures(HOME), dataset, self.params.evaluate, recent
        )
        report = self.repository / f"report-{version}"
        write_predictions(report / "predictions.npz", evaluation.predictions)
        write_json(report / "report.json", evaluation.report())
        write_reference(report / "reference.npz", evaluation.served.reference())
        if evaluation.recent and evaluation.recent_reference:
            write_predictions(report / "recent.npz", evaluation.recent)
            write_reference(report / "recent_reference.npz", evaluation.recent_reference)
        run_id = self.registry.client.get_model_version("mnist", str(version)).run_id
        self.registry.client.log_artifacts(run_id, str(report), "evaluation")
        self.registry.log_metrics(version, flatten(evaluation.metrics(), "/"))
        self.registry.client.set_model_version_tag(
            "mnist", str(version), "evaluation.digest", evaluation.predictions.digest
        )
        return version

    def serve(self, answered: Answered, services: int, *options: str) -> None:
        """Let each of the services answer a part, and record it."""
        files = as_files(answered)
        with ExitStack() as running:
            addresses = [
                running.enter_context(
                    run_serve(
                        self.registry.uri, self.repository / f"copy-{number}", "--record", PLACE, *options
                    )
                )
                for number in range(services)
            ]
            for number, address in enumerate(addresses):
                chosen = files[number::services]
                for start in range(0, len(chosen), 50):
                    self._ask(address, chosen[start : start + 50])

    def _ask(self, address: str, files: Sequence[bytes]) -> None:
        instances = [base64.b64encode(file).decode() for file in files]
        answer = requests.post(f"{address}/invocations", json={"instances": instances}, timeout=60)
        assert answer.status_code == 200, answer.text


@pytest.fixture
def loop(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    registry = SmallRegistry(tmp_path / "registry")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    with run_s3() as url:
        for name, value in (keys | {"AWS_ENDPOINT_URL": url}).items():
            monkeypatch.setenv(name, value)
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="answers")
        yield Loop(repository, registry)


def label(answered: Answered) -> None:
    """Say in a CSV what the pictures show, by the digests of their files."""
    files = zip(as_files(answered), answered.labels, strict=True)
    lines = [f"{hashlib.sha256(file).hexdigest()},{known}" for file, known in files]
    Path("labels.csv").write_text("sha256,label\n" + "\n".join(lines))
    assert main(["label", "mnist", "labels.csv"]) == 0


def monitor(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = main(["monitor", "mnist", "--since", "1h", "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def test_a_shift_leads_to_a_champion_that_is_quiet(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    loop.registry.point(loop.register(class_means()))
    loop.serve(FIRST, 2, "--record-images", "1.0")
    code, found = monitor(capsys)
    [section] = found["versions"]
    assert (code, section["version"], section["images"], found["skipped"]["parts"]) == (1, "1", 800, {})

    label(FIRST)
    assert main(["collect", "mnist", "--out", "data/additions"]) == 0
    test = read_pictures(Path("data/test.npz"), Path("data/source"))
    splits = add_pictures({"train": test.take([0]), "validation": test, "test": test}, Path("data/additions"))
    training, recent = splits["train"], splits["recent"]
    write_pictures(Path("data/recent.npz"), recent)
    levels = np.stack([training.pixels(place, grey=True) for place in range(len(training))])
    learned = [levels[training.labels == one].reshape(-1, 784).mean(axis=0) / 255 for one in range(10)]

    challenger = loop.register(np.array(learned), recent)
    loop.registry.point(challenger, "challenger")
    # The challenger is looked for after the first answers, and needs spare time, which the drain gives it.
    loop.serve(LATER, 2, "--shadow", "challenger", "--drain-s", "2")
    label(LATER)
    _, found = monitor(capsys)
    [pairs] = [section["shadow_of"]["1"] for section in found["versions"] if section["role"] == "shadow"]
    assert pairs["only_shadow"] > pairs["only_answer"]
    assert pairs["p_value"] < 0.001

    assert main(["promote", "mnist", "challenger", "--reason", "new writers"]) == 0
    loop.serve(LATER, 1)
    code, found = monitor(capsys, "--version", str(challenger))
    [section] = [section for section in found["versions"] if section["role"] == "answer"]
    assert section["compared_with"] == "recent set"
    assert (code, section["images"]) == (0, 400), section["findings"]
