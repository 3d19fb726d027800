"""The two stages that evaluate, run as DVC runs them, on bundles with a real LiteRT model."""

import csv
import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import tflite_models
from modelyard.images.dataset import Digits, write_digits
from modelyard.errors import ModelyardError
from modelyard.evaluation.latency import measure_latency
from modelyard.evaluation.reports import read_predictions
from modelyard.evaluation.served import answer_images, encode_pngs
from modelyard.inference.predictor import Predictor
from modelyard.nesting import flatten

PIPELINES = Path(__file__).resolve().parent.parent / "pipelines"
DIGITS = 67  # a prime number: a dropped remainder would show
WRONG = {12: 5, 40: 1}  # by index: the label of an image that shows another digit
DIGIT_PATHS = {
    "bundle": "bundles/mnist",
    "test": "test.npz",
    "source": "source.json",
    "metrics": "reports/metrics.json",
    "plots": "reports/plots",
    "predictions": "reports/predictions.npz",
    "report": "reports/report.json",
}
PHOTO_PATHS = {
    "bundle": "bundles/colours",
    "samples": "samples",
    "answers": "answers.npz",
    "metrics": "reports/metrics.json",
    "plots": "reports/plots",
    "report": "reports/report.json",
}
COLOURS = {"sea.jpg": (10, 20, 220), "apple.jpg": (230, 10, 10), "grass.png": (20, 200, 30)}

Run = Callable[[str, dict[str, str]], str]


@pytest.fixture
def run(repository: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a script in the repository, and give the message it stops with: none when all is well."""
    values["evaluate"] |= {"latency_runs": 12, "latency_warmup": 1, "mistakes": 1}
    (repository / "params.yaml").write_text(yaml.safe_dump(values))

    def run_script(script: str, paths: dict[str, str]) -> str:
        monkeypatch.setattr(sys, "argv", [script, *options(paths)])
        try:
            runpy.run_path(str(PIPELINES / script), run_name="__main__")
        except SystemExit as stop:
            return str(stop)
        return ""

    return run_script


def options(paths: dict[str, str]) -> list[str]:
    return [part for name, path in paths.items() for part in (f"--{name}", path)]


@pytest.fixture
def digits(repository: Path) -> Digits:
    """Bands that the tiny model reads, two of them with a wrong label; beside it, its bundle."""
    tflite_models.digit_bundle(repository / "bundles/mnist")
    shown = np.arange(DIGITS) % 10
    images = np.stack([tflite_models.draw_band(int(digit)) for digit in shown])
    labels = shown.astype(np.uint8)
    labels[list(WRONG)] = list(WRONG.values())
    digits = Digits(images, labels)
    write_digits(repository / "test.npz", digits)
    (repository / "source.json").write_text(json.dumps({"name": "mnist", "source": "https://example.org/"}))
    return digits


@pytest.fixture
def photos(repository: Path) -> Predictor:
    """Plain colours as files, with the answers of a source that differs a little."""
    predictor = Predictor(tflite_models.photo_bundle(repository / "bundles/colours"))
    (repository / "samples").mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (90, 60), colour).save(repository / "samples" / name)
    files = [(repository / "samples" / name).read_bytes() for name in COLOURS]
    answers = answer_images(predictor, files, list(COLOURS)).astype(np.float64)
    answers[1, :2] += [-2e-5, 2e-5]
    np.savez(repository / "answers.npz", names=np.array(list(COLOURS)), probabilities=answers)
    return predictor


def test_a_digit_bundle_is_measured_on_every_test_image(
    repository: Path, digits: Digits, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate_digits.py", DIGIT_PATHS) == ""
    assert "97.01% of 67 test images (95 % interval " in capsys.readouterr().out
    metrics = flatten(json.loads((repository / "reports/metrics.json").read_text()), "/")
    assert metrics["test/errors"] == len(WRONG)
    assert metrics["test/accuracy"] == 65 / 67
    assert metrics["test/accuracy_low"] < 65 / 67 < metrics["test/accuracy_high"]
    # A two has the label 5: seven of eight fives are found, six of seven answers "2" are right.
    assert metrics["class/5/recall"] == pytest.approx(7 / 8)
    assert metrics["class/2/precision"] == pytest.approx(6 / 7)
    assert metrics["latency/p50_ms"] <= metrics["latency/p99_ms"]
    assert metrics["load_ms"] > 0
    content = ("model.tflite", "labels.json", "preprocessing.json")
    assert metrics["size_bytes"] == sum(
        (repository / "bundles/mnist" / name).stat().st_size for name in content
    )


def test_the_report_says_what_was_measured_on_what_and_where_it_went_wrong(
    repository: Path, digits: Digits, run: Run
) -> None:
    assert run("evaluate_digits.py", DIGIT_PATHS) == ""
    report = json.loads((repository / "reports/report.json").read_text())
    assert report["dataset"] == {
        "name": "mnist-test",
        "digest": digits.digest,
        "source": "https://example.org/",
        "images": DIGITS,
    }
    assert len(report["bundle"]["content_key"]) == 64
    assert sum(report["images_per_class"].values()) == DIGITS
    [worst] = report["mistakes"]  # evaluate.mistakes is 1
    assert worst["index"] in WRONG
    assert int(worst["truth"]) == WRONG[worst["index"]]
    assert int(worst["answer"]) == worst["index"] % 10


def test_the_predictions_are_kept_to_compare_bundles_and_are_the_same_bytes_again(
    repository: Path, digits: Digits, run: Run
) -> None:
    assert run("evaluate_digits.py", DIGIT_PATHS) == ""
    path = repository / "reports/predictions.npz"
    first = path.read_bytes()
    predictions = read_predictions(path)
    np.testing.assert_array_equal(predictions.labels, digits.labels)
    assert predictions.probabilities.dtype == np.float32
    assert predictions.probabilities.shape == (DIGITS, 10)
    assert predictions.digest == digits.digest
    assert run("evaluate_digits.py", DIGIT_PATHS) == ""
    assert path.read_bytes() == first


def test_the_plots_are_three_pictures_and_two_tables(repository: Path, digits: Digits, run: Run) -> None:
    assert run("evaluate_digits.py", DIGIT_PATHS) == ""
    folder = repository / "reports/plots"
    assert sorted(path.name for path in folder.iterdir()) == [
        "confusion.csv",
        "confusion_matrix.png",
        "mistakes.png",
        "reliability.csv",
        "reliability.png",
    ]
    with (folder / "confusion.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["actual"]) for row in rows] == digits.labels.tolist()
    assert sum(row["actual"] != row["predicted"] for row in rows) == len(WRONG)
    with (folder / "reliability.csv").open() as file:
        assert sum(int(row["images"]) for row in csv.DictReader(file)) == DIGITS


def test_a_png_is_answered_as_its_pixels_are(repository: Path, digits: Digits) -> None:
    predictor = Predictor(tflite_models.digit_bundle(repository / "bundles/mnist"))
    from_files = answer_images(predictor, encode_pngs(digits.images), [""] * DIGITS)
    from_pixels = predictor.probabilities(np.stack([predictor.prepare(image) for image in digits.images]))
    np.testing.assert_array_equal(from_files, from_pixels)


def test_what_packaging_has_proved_is_among_the_metrics_without_what_it_did_not_measure(
    repository: Path, digits: Digits, run: Run
) -> None:
    proof = {"images": 5000, "max_difference": 1e-7, "same_first": 1.0, "decoder_max_difference": None}
    add_proof(repository / "bundles/mnist", proof)
    assert run("evaluate_digits.py", DIGIT_PATHS) == ""
    metrics = json.loads((repository / "reports/metrics.json").read_text())
    assert metrics["agreement"] == {"images": 5000, "max_difference": 1e-7, "same_first": 1.0}


def test_the_agreement_of_photos_is_measured_again_and_only_the_decoders_share_is_taken_over(
    repository: Path, photos: Predictor, run: Run
) -> None:
    proof = {"images": 999, "max_difference": 0.9, "same_first": 0.1, "decoder_max_difference": 0.03}
    add_proof(repository / "bundles/colours", proof)
    assert run("evaluate_photos.py", PHOTO_PATHS) == ""
    agreement = json.loads((repository / "reports/metrics.json").read_text())["agreement"]
    assert agreement["decoder_max_difference"] == 0.03
    assert (agreement["images"], agreement["same_first"]) == (3, 1.0)


def add_proof(folder: Path, proof: dict[str, float | None]) -> None:
    path = folder / "provenance.json"
    about = json.loads(path.read_text())
    about["provenance"]["proof"] = proof
    path.write_text(json.dumps(about))


def test_a_photo_bundle_is_compared_with_its_source_on_the_same_files(
    repository: Path, photos: Predictor, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate_photos.py", PHOTO_PATHS) == ""
    assert "first answer on 100% of 3 photos, largest difference 2.0e-05" in capsys.readouterr().out
    metrics = flatten(json.loads((repository / "reports/metrics.json").read_text()), "/")
    assert metrics["agreement/same_first"] == 1
    assert metrics["agreement/max_difference"] == pytest.approx(2e-5, rel=1e-3)
    assert not [name for name in metrics if "accuracy" in name]
    report = json.loads((repository / "reports/report.json").read_text())
    assert list(report["answers"]) == list(COLOURS)
    assert report["answers"]["apple.jpg"][0]["label"] == "red"
    assert report["dataset"]["images"] == 3
    with Image.open(repository / "reports/plots/top5.png") as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize(("script", "paths"), [("digits", DIGIT_PATHS), ("photos", PHOTO_PATHS)])
def test_an_evaluation_imports_neither_tensorflow_nor_mlflow(
    script: str, paths: dict[str, str], digits: Digits, photos: Predictor, run: Run
) -> None:
    command = [sys.executable, "-X", "importtime", str(PIPELINES / f"evaluate_{script}.py"), *options(paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "numpy" in imported
    assert not imported & {"tensorflow", "keras", "mlflow", "pandas", "sklearn", "matplotlib.pyplot"}


def test_a_bundle_that_is_not_whole_is_named(repository: Path, digits: Digits, run: Run) -> None:
    (repository / "bundles/mnist/model.tflite").unlink()
    message = run("evaluate_digits.py", DIGIT_PATHS)
    assert "the bundle bundles/mnist cannot answer" in message
    assert not (repository / "reports").exists()


def test_a_model_that_answers_nan_is_not_measured(repository: Path, digits: Digits, run: Run) -> None:
    tflite_models.digit_bundle(repository / "bundles/mnist", tflite_models.digit_model(gain=1e40))
    assert "NaN" in run("evaluate_digits.py", DIGIT_PATHS)


def test_a_missing_photo_and_a_broken_one_are_named(repository: Path, photos: Predictor, run: Run) -> None:
    (repository / "samples/apple.jpg").write_text("<html>404</html>")
    message = run("evaluate_photos.py", PHOTO_PATHS)
    assert "samples/apple.jpg: expected a PNG or JPEG" in message
    (repository / "samples/apple.jpg").unlink()
    assert "samples/apple.jpg is missing" in run("evaluate_photos.py", PHOTO_PATHS)


def test_predictions_of_another_kind_are_refused_by_file(tmp_path: Path) -> None:
    with pytest.raises(ModelyardError, match=r"p\.npz is missing"):
        read_predictions(tmp_path / "p.npz")
    np.savez(tmp_path / "p.npz", labels=np.array([0]), probabilities=np.array([[0.5, 0.5]]))
    with pytest.raises(ModelyardError, match=r"p\.npz: expected an \.npz with labels"):
        read_predictions(tmp_path / "p.npz")
    np.savez(
        tmp_path / "p.npz", labels=np.array([2]), probabilities=np.array([[0.5, 0.5]]), digest=np.array("")
    )
    with pytest.raises(ModelyardError, match=r"p\.npz: the labels: expected 0\.\.1"):
        read_predictions(tmp_path / "p.npz")


def test_no_images_are_nothing_to_measure_with() -> None:
    with pytest.raises(ModelyardError, match="got none"):
        encode_pngs(np.empty((0, 28, 28), np.uint8))


def test_latency_counts_its_runs_after_the_warm_up() -> None:
    calls: list[int] = []
    latency = measure_latency(lambda: calls.append(1), runs=30, warmup=7)
    assert len(calls) == 37
    assert latency.runs == 30
    assert 0 < latency.p50_ms <= latency.p99_ms


def test_a_model_too_slow_for_the_budget_is_measured_ten_times() -> None:
    calls: list[int] = []
    latency = measure_latency(lambda: calls.append(1), runs=500, warmup=3, budget_s=0.0)
    assert latency.runs == len(calls) == 10
