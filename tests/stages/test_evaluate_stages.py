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
from conftest import ROOT
from modelyard.errors import ModelyardError
from modelyard.evaluation.latency import measure_latency, name_processor
from modelyard.evaluation.reference import read_reference
from modelyard.evaluation.reports import read_predictions
from modelyard.evaluation.served import ask_bundle, find_bundles
from modelyard.files import write_json
from modelyard.images.crops import cut_out
from modelyard.images.pictures import Pictures, write_pictures
from modelyard.inference.bundle import read_bundle
from modelyard.inference.decoding.images import Limits, decode
from modelyard.inference.fits import fit_pixels
from modelyard.inference.input_figures import input_figures
from modelyard.inference.predictor import Predictor
from modelyard.nesting import flatten
from modelyard.params import Params
from picture_folders import hold_files
from tflite_models import encode

PIPELINES = ROOT / "pipelines"
PICTURES = 67  # a prime number: a dropped remainder would show
WRONG = {12: 5, 40: 1}  # by index: the label of a picture that shows another digit
CLASSES = tuple("0123456789")
TRAINED = {
    "bundles": "bundles/trained",
    "test": "data/test.npz",
    "source": "data/source",
    "recent": "data/recent.npz",
    "additions": "data/additions",
    "dataset": "data/dataset.json",
    "reports": "reports/trained",
    "metrics": "reports/trained.json",
}
IMPORTED = {
    "bundles": "bundles/imported",
    "samples": "models/imported/samples",
    "answers": "proofs/imported.npz",
    "reports": "reports/imported",
    "metrics": "reports/imported.json",
}
COLOURS = {"sea.jpg": (10, 20, 220), "apple.jpg": (230, 10, 10), "grass.png": (20, 200, 30)}

Run = Callable[[str, dict[str, str]], str]


@pytest.fixture
def run(repository: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a script in the repository, and give the message it stops with: none when all is well."""
    values["evaluate"] |= {"latency_runs": 12, "latency_warmup": 1, "mistakes": 1}
    values["evaluate"]["corruptions"]["pictures"] = 0
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
def pictures(repository: Path) -> Pictures:
    """Files with bands that the tiny model reads, two with a wrong label; beside them, its bundle."""
    tflite_models.digit_bundle(repository / "bundles/trained/float32")
    shown = np.arange(PICTURES) % 10
    labels = shown.astype(np.uint8)
    labels[list(WRONG)] = list(WRONG.values())
    # Grey ones and ones in colour.
    files = [
        encode(np.repeat(tflite_models.draw_band(int(digit))[:, :, None], 3, axis=2))
        if place % 2
        else encode(tflite_models.draw_band(int(digit)))
        for place, digit in enumerate(shown)
    ]
    held = hold_files(repository / "data/source", files, labels, CLASSES)
    write_pictures(repository / "data/test.npz", held)
    write_pictures(repository / "data/recent.npz", held.take([]))
    write_record(repository, CLASSES)
    return held


def write_record(repository: Path, classes: tuple[str, ...]) -> None:
    record = {
        "name": "bands",
        "classes": list(classes),
        "input": {"fit": "mnist", "height": 28, "width": 28, "channels": 1},
        "source": "https://example.org/",
        "licence": "MIT",
    }
    write_json(repository / "data/dataset.json", record)


@pytest.fixture
def samples(repository: Path) -> Predictor:
    """Plain colours, with the answers of a source that differs a little."""
    predictor = Predictor(tflite_models.photo_bundle(repository / "bundles/imported/float32"))
    folder = repository / IMPORTED["samples"]
    folder.mkdir(parents=True)
    for name, colour in COLOURS.items():
        Image.new("RGB", (90, 60), colour).save(folder / name)
    write_answers(repository, predictor)
    return predictor


def write_answers(repository: Path, predictor: Predictor) -> None:
    """Answer what packaging answers: the pictures in the order of their names, then their cut-outs."""
    paths = sorted((repository / IMPORTED["samples"]).iterdir())
    cuts = cut_out([(path.name, decode(path.read_bytes(), Limits())) for path in paths], 60)
    scores = [predictor.ask(predictor.prepare(pixels)).scores for _, pixels in cuts]
    answers = np.stack(scores).astype(np.float64)
    answers[1, :2] += [-2e-5, 2e-5]
    file = repository / IMPORTED["answers"]
    file.parent.mkdir(parents=True, exist_ok=True)
    # In another order: they are found by name.
    names = np.array([name for name, _ in cuts])
    np.savez(file, names=names[::-1], probabilities=answers[::-1])


def read_metrics(repository: Path, role: str, precision: str = "float32") -> dict[str, Any]:
    metrics = json.loads((repository / f"reports/{role}.json").read_text())[precision]
    return flatten(metrics, "/")


def read_report(repository: Path, role: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((repository / f"reports/{role}/float32/report.json").read_text())
    return report


def test_a_bundle_is_measured_on_every_test_picture_as_a_file(
    repository: Path, pictures: Pictures, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate_trained.py", TRAINED) == ""
    assert "mnist (float32): 97.01% of 67 test images (95 % interval " in capsys.readouterr().out
    metrics = read_metrics(repository, "trained")
    assert metrics["test/errors"] == len(WRONG)
    assert metrics["test/accuracy"] == 65 / 67
    assert metrics["test/accuracy_low"] < 65 / 67 < metrics["test/accuracy_high"]
    assert metrics["test/majority"] == 8 / 67
    # A two has the label 5: seven of eight fives are found, six of seven answers "2" are right.
    classes = read_report(repository, "trained")["classes"]
    assert classes["5"]["recall"] == pytest.approx(7 / 8)
    assert classes["2"]["precision"] == pytest.approx(6 / 7)
    table = (repository / "reports/trained/float32/classes.csv").read_text().splitlines()
    assert table[0] == "class,images,precision,recall,f1"
    assert table[6].startswith("5,8,")
    # They are many, and would stand before what matters.
    assert not [name for name in metrics if name.startswith("class/")]
    assert metrics["latency/p50_ms"] <= metrics["latency/p99_ms"]
    assert metrics["load_ms"] > 0
    content = ("model.tflite", "labels.json", "preprocessing.json")
    folder = repository / "bundles/trained/float32"
    assert metrics["size_bytes"] == sum((folder / name).stat().st_size for name in content)


def test_every_precision_that_there_is_has_a_report_and_one_that_is_gone_leaves_none(
    repository: Path, pictures: Pictures, run: Run
) -> None:
    tflite_models.digit_bundle(repository / "bundles/trained/int8")
    assert run("evaluate_trained.py", TRAINED) == ""
    both = read_metrics(repository, "trained", "int8"), read_metrics(repository, "trained")
    assert both[0]["test/accuracy"] == both[1]["test/accuracy"]
    (repository / "bundles/trained/int8").rename(repository / "elsewhere")
    assert run("evaluate_trained.py", TRAINED) == ""
    assert [path.name for path in (repository / "reports/trained").iterdir()] == ["float32"]
    assert list(json.loads((repository / "reports/trained.json").read_text())) == ["float32"]


def test_the_report_says_what_was_measured_on_what_and_where_it_went_wrong(
    repository: Path, pictures: Pictures, run: Run
) -> None:
    assert run("evaluate_trained.py", TRAINED) == ""
    report = read_report(repository, "trained")
    assert report["dataset"] == {
        "name": "bands-test",
        "digest": pictures.digest,
        "source": "https://example.org/",
        "images": PICTURES,
    }
    assert len(report["bundle"]["content_key"]) == 64
    assert sum(report["images_per_class"].values()) == PICTURES
    assert report["latency"] == {"input": "one PNG of 28x28 pixels", "runs": 12}
    assert report["processor"] == name_processor() != ""
    [worst] = report["mistakes"]  # evaluate.mistakes is 1
    assert worst["index"] in WRONG
    assert worst["name"] == pictures.name(worst["index"])
    assert int(worst["truth"]) == WRONG[worst["index"]]
    assert int(worst["answer"]) == worst["index"] % 10


def test_the_predictions_are_kept_with_the_pictures_names_and_are_the_same_bytes_again(
    repository: Path, pictures: Pictures, run: Run
) -> None:
    assert run("evaluate_trained.py", TRAINED) == ""
    path = repository / "reports/trained/float32/predictions.npz"
    first = path.read_bytes()
    predictions = read_predictions(path)
    np.testing.assert_array_equal(predictions.labels, pictures.labels)
    assert predictions.probabilities.dtype == np.float32
    assert predictions.probabilities.shape == (PICTURES, 10)
    assert predictions.digest == pictures.digest
    assert predictions.names == tuple(pictures.name(place) for place in range(PICTURES))
    assert run("evaluate_trained.py", TRAINED) == ""
    assert path.read_bytes() == first


def test_the_recorded_scores_are_those_that_the_file_is_answered_with(
    repository: Path, pictures: Pictures, run: Run
) -> None:
    assert run("evaluate_trained.py", TRAINED) == ""
    kept = read_predictions(repository / "reports/trained/float32/predictions.npz").probabilities
    predictor = Predictor(read_bundle(repository / "bundles/trained/float32"))
    for place, answer in enumerate(predictor.predict([pictures.file(n) for n in range(PICTURES)], top_k=10)):
        scores = {label["id"]: label["score"] for label in answer}  # type: ignore[index]
        assert [scores[output] for output in range(10)] == [round(float(one), 7) for one in kept[place]]


def test_the_plots_are_three_pictures_two_previews_and_two_tables(
    repository: Path, pictures: Pictures, run: Run
) -> None:
    write_record(repository, CLASSES)
    assert run("evaluate_trained.py", TRAINED) == ""
    folder = repository / "reports/trained/float32/plots"
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")) == [
        "confusion.csv",
        "confusion_matrix.png",
        "mistakes.png",
        "previews/confusion_matrix.png",
        "previews/mistakes.png",
        "reliability.csv",
        "reliability.png",
    ]
    samples = sorted(path.name for path in (repository / "reports/trained/float32/samples").iterdir())
    assert samples == [f"{digit:02}-label-{digit}.png" for digit in range(10)]
    with (folder / "confusion.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["actual"]) for row in rows] == pictures.labels.tolist()
    assert sum(row["actual"] != row["predicted"] for row in rows) == len(WRONG)
    with (folder / "reliability.csv").open() as file:
        assert sum(int(row["images"]) for row in csv.DictReader(file)) == PICTURES


def test_corrupted_pictures_leave_a_few_metrics_a_table_and_a_picture(
    repository: Path, pictures: Pictures, run: Run, values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    # A tenth of 65, since they are files.
    values["evaluate"]["corruptions"] |= {"pictures": 65, "kinds": ["jpeg", "line"]}
    (repository / "params.yaml").write_text(yaml.safe_dump(values))
    assert run("evaluate_trained.py", TRAINED) == ""
    folder, report = repository / "reports/trained/float32/robustness", read_report(repository, "trained")
    metrics, found = read_metrics(repository, "trained"), report["robustness"]
    assert (found["pictures"], metrics["robustness/answers"]) == (7, 14)
    assert metrics["robustness/worst_accuracy"] == found["kinds"][found["worst"]["kind"]]
    assert metrics["robustness/mean_accuracy"] == sum(found["kinds"].values()) / 2
    with (folder / "accuracy.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], row["strength"]) for row in rows][:2] == [("none", "0"), ("jpeg", "1")]
    assert sum(int(row["pictures"]) for row in rows) == 7 + 14
    with Image.open(folder / "accuracy.png") as picture:
        assert picture.format == "PNG"
    assert "on corrupted ones, worst " in capsys.readouterr().out


def test_a_bundle_with_other_labels_than_the_datasets_classes_is_refused_before_it_is_asked(
    repository: Path, pictures: Pictures, run: Run
) -> None:
    write_record(repository, CLASSES[::-1])
    (repository / "data/source" / pictures.name(0)).unlink()
    write_pictures(repository / "data/test.npz", pictures.take([1, 2]))
    message = run("evaluate_trained.py", TRAINED)
    assert "expected labels that are the dataset's classes, in the same order (9, 8, 7, " in message
    assert "the bundle has 0, 1, 2, " in message


def test_a_test_picture_that_has_changed_or_is_gone_is_named(
    repository: Path, pictures: Pictures, run: Run
) -> None:
    (repository / "data/source" / pictures.name(5)).write_bytes(b"another")
    assert f"{pictures.name(5)} has changed" in run("evaluate_trained.py", TRAINED)
    (repository / "data/source" / pictures.name(5)).unlink()
    assert f"{pictures.name(5)}: No such file" in run("evaluate_trained.py", TRAINED)


def test_pictures_larger_than_a_server_takes_by_default_are_measured_too(
    repository: Path, pictures: Pictures, params: Params
) -> None:
    large = encode(np.zeros((5100, 5000), np.uint8), compress_level=1)
    held = hold_files(repository / "large", [large], np.zeros(1, np.uint8), CLASSES)
    served = ask_bundle(
        repository / "bundles/trained/float32",
        held,
        params.evaluate.model_copy(update={"latency_runs": 1, "latency_warmup": 0}),
    )
    assert served.timed == "one PNG of 5000x5100 pixels"
    assert served.probabilities.shape == (1, 10)


def test_what_packaging_has_proved_is_among_the_metrics_without_what_it_did_not_measure(
    repository: Path, pictures: Pictures, run: Run
) -> None:
    proof = {"images": 5000, "max_difference": 1e-7, "same_first": 1.0, "decoder_max_difference": None}
    add_proof(repository / "bundles/trained/float32", proof)
    assert run("evaluate_trained.py", TRAINED) == ""
    metrics = json.loads((repository / "reports/trained.json").read_text())["float32"]
    assert metrics["agreement"] == {"images": 5000, "max_difference": 1e-7, "same_first": 1.0}


def test_the_agreement_is_measured_again_and_only_the_decoders_share_is_taken_over(
    repository: Path, samples: Predictor, run: Run
) -> None:
    proof = {"images": 999, "max_difference": 0.9, "same_first": 0.1, "decoder_max_difference": 0.03}
    add_proof(repository / "bundles/imported/float32", proof)
    assert run("evaluate_imported.py", IMPORTED) == ""
    metrics = read_metrics(repository, "imported")
    assert metrics["agreement/decoder_max_difference"] == 0.03
    assert (metrics["agreement/images"], metrics["agreement/same_first"]) == (60, 1.0)


def add_proof(folder: Path, proof: dict[str, float | None]) -> None:
    path = folder / "provenance.json"
    about = json.loads(path.read_text())
    about["provenance"]["proof"] = proof
    path.write_text(json.dumps(about))


def test_a_bundle_is_compared_with_its_source_on_the_same_pictures_and_cut_outs(
    repository: Path, samples: Predictor, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate_imported.py", IMPORTED) == ""
    said = capsys.readouterr().out
    assert "first answer on 100% of 60 pictures (different ones: 3), largest difference 2.0e-05" in said
    metrics = read_metrics(repository, "imported")
    assert metrics["agreement/same_first"] == 1
    assert metrics["agreement/answers"] == 3
    assert metrics["agreement/max_difference"] == pytest.approx(2e-5, rel=1e-3)
    assert not [name for name in metrics if "accuracy" in name]
    report = read_report(repository, "imported")
    assert list(report["answers"]) == ["apple.jpg", "grass.png", "sea.jpg"]
    assert report["answers"]["apple.jpg"][0]["label"] == "red"
    assert report["dataset"]["images"] == 60
    assert report["latency"]["input"] == "one JPEG of 90x60 pixels"
    assert (repository / "reports/imported/float32/plots/previews/top5.png").is_file()
    with Image.open(repository / "reports/imported/float32/plots/top5.png") as picture:
        assert picture.format == "PNG"
    kept = (repository / "reports/imported/float32/samples").iterdir()
    assert sorted(path.name for path in kept) == ["apple.jpg", "grass.png", "sea.jpg"]


def test_other_sample_pictures_make_another_digest_of_the_data(
    repository: Path, samples: Predictor, run: Run
) -> None:
    assert run("evaluate_imported.py", IMPORTED) == ""
    before = read_report(repository, "imported")["dataset"]["digest"]
    Image.new("RGB", (90, 60), (20, 190, 30)).save(repository / IMPORTED["samples"] / "grass.png")
    write_answers(repository, samples)
    assert run("evaluate_imported.py", IMPORTED) == ""
    assert read_report(repository, "imported")["dataset"]["digest"] != before


def test_a_picture_that_the_source_has_not_answered_is_named(
    repository: Path, samples: Predictor, run: Run
) -> None:
    Image.new("RGB", (90, 60)).save(repository / IMPORTED["samples"] / "night.jpg")
    message = run("evaluate_imported.py", IMPORTED)
    assert "expected the source's answer to night.jpg" in message
    assert "package the bundle again" in message


@pytest.mark.parametrize(("script", "paths"), [("trained", TRAINED), ("imported", IMPORTED)])
def test_an_evaluation_imports_neither_tensorflow_nor_mlflow(
    script: str, paths: dict[str, str], pictures: Pictures, samples: Predictor, run: Run
) -> None:
    command = [sys.executable, "-X", "importtime", str(PIPELINES / f"evaluate_{script}.py"), *options(paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "numpy" in imported
    assert not imported & {"tensorflow", "keras", "mlflow", "pandas", "sklearn", "matplotlib.pyplot"}


def test_a_bundle_that_is_not_whole_is_named(repository: Path, pictures: Pictures, run: Run) -> None:
    (repository / "bundles/trained/float32/model.tflite").unlink()
    message = run("evaluate_trained.py", TRAINED)
    assert "the bundle bundles/trained/float32 cannot answer" in message
    assert not (repository / "reports/trained").exists()


def test_no_bundles_are_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(ModelyardError, match=r"expected a bundle in .*nowhere, but there is none"):
        find_bundles(tmp_path / "nowhere")


def test_a_model_that_answers_nan_is_not_measured(repository: Path, pictures: Pictures, run: Run) -> None:
    broken = tflite_models.digit_model(gain=1e40)
    tflite_models.digit_bundle(repository / "bundles/trained/float32", broken)
    assert "NaN" in run("evaluate_trained.py", TRAINED)


def test_a_broken_sample_picture_is_named(repository: Path, samples: Predictor, run: Run) -> None:
    (repository / IMPORTED["samples"] / "apple.jpg").write_text("<html>404</html>")
    message = run("evaluate_imported.py", IMPORTED)
    assert "samples/apple.jpg: expected a PNG or JPEG" in message


def test_no_sample_pictures_are_an_error(repository: Path, samples: Predictor, run: Run) -> None:
    for path in (repository / IMPORTED["samples"]).iterdir():
        path.unlink()
    assert "expected sample pictures in models/imported/samples" in run("evaluate_imported.py", IMPORTED)


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


def test_predictions_of_before_names_were_kept_are_read(tmp_path: Path) -> None:
    half = np.full((1, 2), 0.5, np.float32)
    np.savez(tmp_path / "p.npz", labels=np.array([1]), probabilities=half, digest=np.array("d"))
    assert read_predictions(tmp_path / "p.npz").names is None


def test_no_pictures_are_nothing_to_measure_with(
    repository: Path, pictures: Pictures, params: Params
) -> None:
    with pytest.raises(ModelyardError, match="got none"):
        ask_bundle(repository / "bundles/trained/float32", pictures.take([]), params.evaluate)


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


def test_a_bundle_keeps_what_live_pictures_are_compared_with(
    run: Run, pictures: Pictures, repository: Path
) -> None:
    assert run("evaluate_trained.py", TRAINED) == ""
    reference = read_reference(repository / "reports/trained/float32/reference.npz")
    assert reference.images == sum(reference.labels.values()) == PICTURES
    inputs = fit_pixels("mnist", pictures.pixels(0, grey=True), 28, 28)[None]
    assert abs(reference.samples["mean"] - input_figures(inputs)[0, 0]).min() < 1e-6
    assert reference.samples["score"].tolist() == sorted(reference.samples["score"].tolist())
    assert "recent" not in json.loads((repository / "reports/trained.json").read_text())["float32"]


def test_recent_pictures_are_measured_apart(run: Run, pictures: Pictures, repository: Path) -> None:
    (repository / "data/additions").symlink_to(repository / "data/source")
    write_pictures(repository / "data/recent.npz", pictures.take(np.arange(10, 20)))
    assert run("evaluate_trained.py", TRAINED) == ""
    measured = json.loads((repository / "reports/trained.json").read_text())["float32"]
    # One of these ten has a wrong label.
    assert measured["recent"]["accuracy"] == 0.9
    assert measured["recent"]["accuracy_low"] < 0.9 < measured["recent"]["accuracy_high"]
    assert measured["test"]["accuracy"] == 1 - 2 / PICTURES
    kept = read_predictions(repository / "reports/trained/float32/recent.npz")
    assert len(kept.labels) == 10
    assert read_reference(repository / "reports/trained/float32/recent_reference.npz").images == 10
    report = json.loads((repository / "reports/trained/float32/report.json").read_text())
    assert report["recent"] == {"images": 10, "digest": kept.digest}
