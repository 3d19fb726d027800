"""Versions in a real SQLite registry: found again, never doubled, named by aliases, fetched whole."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import mlflow
import numpy as np
import pytest
from mlflow.entities.model_registry import ModelVersion

import tflite_models
from conftest import ROOT
from modelyard.images.dataset import Digits
from modelyard.errors import ModelyardError
from modelyard.evaluation.reports import Predictions, describe_bundle, write_predictions
from modelyard.inference.bundle import Bundle, write_bundle
from modelyard.params import Gate, Params
from modelyard.registry.decisions import Kind
from modelyard.registry.evidence import read_evidence, read_predictions_of
from modelyard.registry.history import History
from modelyard.registry.publication import Publication, publish, publishing, read_publication
from modelyard.registry.versions import (
    create_version,
    fetch_bundle,
    fetch_network,
    list_versions,
    resolve_version,
    use_stand_in,
)
from modelyard.tracking.runs import describe_training, training_run
from modelyard.tracking.store import Tracking, open_tracking
from tracking_server import TrackingServer

METRICS = {
    "test": {"accuracy": 0.99, "accuracy_low": 0.98, "accuracy_high": 0.995, "errors": 1},
    "agreement": {"same_first": 1.0, "max_difference": 1e-6},
    "latency": {"p50_ms": 0.1, "p99_ms": 0.2},
    "load_ms": 3.0,
    "size_bytes": 1_651_929,
}
DATASET = {"name": "mnist-test", "digest": "d" * 64, "source": "https://example.org/mnist.npz", "images": 67}
Make = Callable[..., Publication]


@pytest.fixture
def tracking(repository: Path) -> Tracking:
    return open_tracking("digits")


@pytest.fixture
def make(repository: Path, tracking: Tracking, params: Params) -> Make:
    return partial(make_publication, repository, tracking, params)


def test_a_version_says_where_it_came_from_and_how_good_it_is(tracking: Tracking, make: Make) -> None:
    publication = make()
    publish(tracking, publication)
    version = resolve_version(tracking.client, "models:/mnist/1")
    assert version.tags["content_key"] == publication.bundle.content_key
    assert (
        version.tags["data.digest"] == publication.bundle.provenance["training"]["run"]["tags"]["data.digest"]
    )
    assert version.tags["licence"] == "CC BY-SA 3.0"
    assert version.description.startswith(
        "Right on 99.00% of 67 test images (95 % interval 98.00% to 99.50%)"
    )
    assert "1,651,929 bytes" in version.description
    assert tracking.client.get_registered_model("mnist").description == publication.card.about
    model = tracking.client.get_logged_model(version.tags["model_id"])
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "mnist", "version": 1}]


def test_the_card_and_its_picture_lie_beside_the_model(tracking: Tracking, make: Make) -> None:
    publication = make()
    picture = publication.report / "plots" / "mistakes.png"
    picture.write_bytes(b"a picture")
    version = publish(tracking, publication)
    model = fetch_bundle(tracking, version).folder.parent.parent
    assert (model / "MLmodel").is_file()
    assert (model / "README.md").read_text().startswith("# mnist, version 1\n\nRight on 99.00%")
    assert "(mistakes.png)" in (model / "README.md").read_text()
    assert (model / "mistakes.png").read_bytes() == b"a picture"


def test_other_words_in_conf_make_a_new_card_and_the_same_leave_a_hand_edit_alone(
    tracking: Tracking, make: Make
) -> None:
    publication = make()
    version = publish(tracking, publication)
    tracking.client.update_model_version("mnist", version.version, "by hand")
    publish(tracking, publication)
    assert resolve_version(tracking.client, "models:/mnist/1").description == "by hand"
    card = publication.card.model_copy(update={"about": "Other words."})
    publish(tracking, replace(publication, card=card))
    assert "Other words." in resolve_version(tracking.client, "models:/mnist/1").description
    assert "Other words." in (fetch_bundle(tracking, version).folder.parent.parent / "README.md").read_text()


def test_a_model_without_a_card_is_refused_before_anything_is_published(make: Make) -> None:
    with pytest.raises(ModelyardError, match="letters: expected a card of this name in conf/registry"):
        make("letters", trained=False)


def test_metrics_are_linked_to_run_model_and_dataset(tracking: Tracking, make: Make) -> None:
    publication = make()
    version = publish(tracking, publication)
    run = tracking.client.get_run(version.run_id)
    assert run.data.metrics["test/accuracy"] == 0.99
    assert {one.dataset.name for one in run.inputs.dataset_inputs} == {"mnist", "mnist-test"}
    assert run.outputs.model_outputs[0].model_id == version.tags["model_id"]
    model = tracking.client.get_logged_model(version.tags["model_id"])
    accuracy = next(metric for metric in model.metrics if metric.key == "test/accuracy")
    assert (accuracy.value, accuracy.dataset_name, accuracy.dataset_digest) == (0.99, "mnist-test", "d" * 36)
    folder = f"evaluation/float32-{publication.bundle.content_key[:8]}"
    assert version.tags["evaluation.artifacts"] == folder
    pictures = tracking.client.list_artifacts(version.run_id, f"{folder}/plots")
    assert [picture.path for picture in pictures] == [f"{folder}/plots/confusion_matrix.png"]


def test_a_training_that_is_packaged_twice_keeps_both_evaluations(tracking: Tracking, make: Make) -> None:
    first = make("mnist", "float32", 20.0)
    second = make("mnist", "int8", 21.0, training=first.bundle.provenance["training"])
    versions = [publish(tracking, publication) for publication in (first, second)]
    assert versions[0].run_id == versions[1].run_id
    assert [first_score(tracking, version) for version in versions] == [0.20, 0.21]


def test_a_version_of_before_gets_a_folder_of_its_own_when_it_is_registered_again(
    tracking: Tracking, make: Make
) -> None:
    version = publish(tracking, make())
    folder = version.tags["evaluation.artifacts"]
    tracking.client.delete_model_version_tag("mnist", version.version, "evaluation.artifacts")
    kept = mlflow.artifacts.download_artifacts(run_id=version.run_id, artifact_path="evaluation")
    shutil.rmtree(kept)
    publish(tracking, make())
    found = resolve_version(tracking.client, "models:/mnist/1")
    assert found.tags["evaluation.artifacts"] == folder
    assert first_score(tracking, found) == 0.20


def test_the_same_bundle_is_found_again_not_made_again(tracking: Tracking, make: Make) -> None:
    first = publish(tracking, make())
    again = publish(tracking, make())
    assert again.version == first.version
    assert len(list_versions(tracking.client, "mnist")) == 1


def test_another_training_that_came_to_the_same_bundle_gets_the_metrics_too(
    tracking: Tracking, make: Make
) -> None:
    publish(tracking, make())
    again = make()
    publish(tracking, again)
    run = tracking.client.get_run(again.bundle.provenance["training"]["run_id"])
    assert run.data.metrics["test/accuracy"] == 0.99
    assert run.data.tags["same_bundle_as"] == "models:/mnist/1"


def test_two_registers_at_once_make_one_version(tracking: Tracking, make: Make, repository: Path) -> None:
    publication = make(trained=False)
    script = (
        "import sys; from pathlib import Path; from modelyard.params import load_params\n"
        "from modelyard.registry.publication import *; from modelyard.tracking.store import open_tracking\n"
        "bundle, report = map(Path, sys.argv[1:3])\n"
        "tracking = open_tracking('digits')\n"
        "with publishing(60):\n"
        "    publication = read_publication(bundle, report, Path('none'), load_params(sys.argv[3]))\n"
        "    print(publish(tracking, publication).version)"
    )
    paths = [publication.bundle.folder, publication.report, ROOT / "params.yaml"]
    command = [sys.executable, "-c", script, *map(str, paths)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in processes] == ["1", "1"]
    assert len(list_versions(tracking.client, "mnist")) == 1


def test_a_version_that_two_machines_made_at_once_is_kept_once(tracking: Tracking, make: Make) -> None:
    """Two machines share no lock: the second's search came before the first's version."""
    first = publish(tracking, make())
    second = create_version(tracking.client, "mnist", first.run_id, first.tags, "")
    assert second.version == first.version
    assert [version.version for version in list_versions(tracking.client, "mnist")] == [first.version]


def test_a_later_twin_that_a_killed_process_left_gives_way(
    tracking: Tracking, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish(tracking, make())
    with monkeypatch.context() as killed:
        killed.setattr(type(tracking.client), "delete_model_version", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            create_version(tracking.client, "mnist", first.run_id, first.tags, "")
    tracking.client.set_registered_model_alias("mnist", "challenger", "2")
    assert publish(tracking, make()).version == first.version
    assert [version.version for version in list_versions(tracking.client, "mnist")] == [first.version]
    assert int(tracking.client.get_registered_model("mnist").aliases["challenger"]) == 1


def test_a_twin_that_somebody_made_champion_stays(tracking: Tracking, make: Make) -> None:
    first = publish(tracking, make())
    twin = tracking.client.create_model_version(
        "mnist", first.source, tags={"content_key": first.tags["content_key"]}
    )
    tracking.client.set_registered_model_alias("mnist", "champion", str(twin.version))
    publish(tracking, make())
    assert len(list_versions(tracking.client, "mnist")) == 2


def test_the_first_version_becomes_champion_and_the_newest_challenger(tracking: Tracking, make: Make) -> None:
    publish(tracking, make(gain=20.0))
    publish(tracking, make(gain=21.0))
    aliases = tracking.client.get_registered_model("mnist").aliases
    assert {name: int(version) for name, version in aliases.items()} == {"champion": 1, "challenger": 2}


def test_a_champion_chosen_by_hand_stays_when_nothing_is_new(tracking: Tracking, make: Make) -> None:
    publish(tracking, make(gain=20.0))
    publish(tracking, make(gain=21.0))
    tracking.client.set_registered_model_alias("mnist", "champion", "2")
    publish(tracking, make(gain=20.0))
    assert int(tracking.client.get_registered_model("mnist").aliases["champion"]) == 2


def test_int8_becomes_champion_where_it_passes(tracking: Tracking, make: Make) -> None:
    publish(tracking, make("inception-v3", "float32", 20.0, trained=False))
    publish(tracking, make("inception-v3", "int8", 21.0, trained=False))
    assert resolve_version(tracking.client, "models:/inception-v3@champion").tags["precision"] == "int8"


def test_int8_that_does_not_pass_stays_challenger(
    tracking: Tracking, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tracking, make("inception-v3", "float32", 20.0, trained=False))
    monkeypatch.setitem(METRICS["agreement"], "same_first", 0.5)  # type: ignore[arg-type]
    publish(tracking, make("inception-v3", "int8", 21.0, trained=False))
    assert resolve_version(tracking.client, "models:/inception-v3@champion").tags["precision"] == "float32"
    assert resolve_version(tracking.client, "models:/inception-v3@challenger").tags["precision"] == "int8"


def test_a_trained_int8_version_does_not_push_the_champion_aside(tracking: Tracking, make: Make) -> None:
    publish(tracking, make("mnist", "float32", 20.0))
    publish(tracking, make("mnist", "int8", 21.0))
    assert resolve_version(tracking.client, "models:/mnist@champion").tags["precision"] == "float32"


def test_a_publication_that_was_cut_off_is_completed(tracking: Tracking, make: Make) -> None:
    version = publish(tracking, make())
    tracking.client.delete_registered_model_alias("mnist", "champion")
    tracking.client.delete_model_version_tag("mnist", version.version, "published")
    publish(tracking, make())
    assert resolve_version(tracking.client, "models:/mnist@champion").version == version.version
    assert len(list_versions(tracking.client, "mnist")) == 1


def test_a_training_whose_run_is_missing_is_registered_with_a_rebuilt_run(
    tracking: Tracking, make: Make
) -> None:
    publication = make()
    publication.bundle.provenance["training"]["run_id"] = "0" * 32
    version = publish(tracking, publication)
    run = tracking.client.get_run(version.run_id)
    assert run.data.tags["rebuilt_from"] == "0" * 32
    assert run.data.metrics["train/loss"] == 0.5


def test_auto_promote_asks_the_gate_once_about_every_new_version(
    tracking: Tracking, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    open_gate = Gate(**dict.fromkeys(Gate.model_fields, None) | {"allow_dirty": True})
    closed_gate = open_gate.model_copy(update={"min_accuracy": 1.0})
    publish(tracking, make(gain=20.0))
    publish(tracking, replace(make(gain=21.0), gates={"mnist": open_gate}))
    refused = replace(make(gain=22.0), gates={"mnist": closed_gate})
    publish(tracking, refused)
    publish(tracking, refused)
    assert "mnist: version 3 does not become champion, for it fails min_accuracy" in capsys.readouterr().out
    past = History(tracking, "mnist").read()
    assert [(one.kind, one.version, one.moved) for one in past.decisions] == [
        (Kind.REGISTER, 1, True),
        (Kind.PROMOTE, 2, True),
        (Kind.PROMOTE, 3, False),
    ]
    assert past.champion == 2


def test_the_gate_is_asked_where_conf_says_so(tracking: Tracking, params: Params, repository: Path) -> None:
    asking = params.model_copy(update={"registry": params.registry.model_copy(update={"auto_promote": True})})
    assert make_publication(repository, tracking, params).gates is None
    assert make_publication(repository, tracking, asking).gates == params.registry.gates


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("models:/mnist", "expected models:/NAME@ALIAS"),
        ("models:/digits@champion", "no version of 'digits' is registered; registered are: mnist"),
        ("models:/mnist@best", "expected an alias of mnist, one of challenger, champion"),
        ("models:/mnist/9", "expected a version of mnist, one of 1"),
    ],
)
def test_an_unknown_version_is_answered_with_those_there_are(
    tracking: Tracking, make: Make, uri: str, message: str
) -> None:
    publish(tracking, make())
    with pytest.raises(ModelyardError, match=message):
        resolve_version(tracking.client, uri)


def test_latest_is_the_highest_number(tracking: Tracking, make: Make) -> None:
    for gain in (20.0, 21.0):
        publish(tracking, make(gain=gain, trained=False))
    assert int(resolve_version(tracking.client, "models:/mnist/latest").version) == 2


def test_a_fetched_bundle_is_the_one_that_was_published(tracking: Tracking, make: Make) -> None:
    publication = make()
    bundle = fetch_bundle(tracking, publish(tracking, publication))
    assert bundle.content_key == publication.bundle.content_key
    assert bundle.folder != publication.bundle.folder


def test_a_bundle_changed_after_registration_is_refused(tracking: Tracking, make: Make) -> None:
    version = publish(tracking, make())
    labels = fetch_bundle(tracking, version).folder / "labels.json"
    labels.write_text(labels.read_text().replace('"7"', '"1"', 1))
    with pytest.raises(ModelyardError, match="it was changed after registration"):
        fetch_bundle(tracking, version)


def test_a_missing_artifact_is_named(tracking: Tracking, make: Make) -> None:
    version = publish(tracking, make())
    (fetch_bundle(tracking, version).folder / "model.tflite").unlink()
    with pytest.raises(ModelyardError, match=r"models:/mnist/1: .*model\.tflite"):
        fetch_bundle(tracking, version)


def test_the_network_of_a_version_can_be_trained_further(tracking: Tracking, make: Make) -> None:
    publish(tracking, make())
    network = fetch_network(tracking, "models:/mnist@champion")
    assert network is not None
    assert network.read_text() == "a network"


def test_an_imported_version_has_no_network_to_train_further(tracking: Tracking, make: Make) -> None:
    publish(tracking, make(trained=False))
    with pytest.raises(ModelyardError, match="expected a version that was trained here"):
        fetch_network(tracking, "models:/mnist/1")


def test_a_version_travels_through_a_tracking_server(
    repository: Path, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = TrackingServer(tmp_path)
    server.start()
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        tracking = open_tracking("digits")
        publication = make_publication(repository, tracking, params)
        version = publish(tracking, publication)
        assert publish(tracking, publication).version == version.version
        assert fetch_bundle(tracking, version).content_key == publication.bundle.content_key
        assert resolve_version(tracking.client, "models:/mnist@champion").version == version.version
        network = fetch_network(tracking, "models:/mnist/1")
        assert network is not None
        assert network.read_text() == "a network"
    finally:
        server.kill()


def test_a_stand_in_is_used_only_where_the_real_one_is_missing(
    tracking: Tracking, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_ins = {"inception-v3": "stand-in"}
    assert use_stand_in(tracking, "models:/inception-v3@champion", stand_ins) == "models:/stand-in@champion"
    assert "stand-in stands in for it" in capsys.readouterr().err
    publish(tracking, make("inception-v3", trained=False))
    uri = "models:/inception-v3@champion"
    assert use_stand_in(tracking, uri, stand_ins) == uri


def test_a_register_that_does_not_end_is_not_waited_for_for_ever(repository: Path) -> None:
    with publishing(1), pytest.raises(ModelyardError, match="another register still runs"), publishing(0.05):
        pass


def first_score(tracking: Tracking, version: ModelVersion) -> float:
    kept = read_predictions_of(tracking, read_evidence(tracking, version))
    return round(float(kept.probabilities[0, 0]), 6)


def make_publication(
    repository: Path,
    tracking: Tracking,
    params: Params,
    name: str = "mnist",
    precision: str = "float32",
    gain: float = 20.0,
    trained: bool = True,
    training: dict[str, object] | None = None,
) -> Publication:
    """Make what earlier stages would have left for a bundle: a run, a report, a network.

    The gain shows in the predictions; `training` is that of another bundle, made of the same network.
    """
    folder = repository / "bundles" / f"{name}-{precision}-{gain}"
    shutil.rmtree(folder, ignore_errors=True)
    source = {"source": "https://example.org", "licence": "MIT", "stand_in_for": None}
    provenance = {"training": training or _train(tracking, params)} if trained else {"source": source}
    bundle = _write_bundle(folder, name, precision, gain, provenance)
    report = repository / "reports" / folder.name
    (report / "plots").mkdir(parents=True, exist_ok=True)
    (report / "metrics.json").write_text(json.dumps(METRICS))
    facts = {"bundle": describe_bundle(bundle), "dataset": DATASET, "images_per_class": {"0": 1, "1": 1}}
    (report / "report.json").write_text(json.dumps(facts))
    probabilities = np.array([[gain, 100 - gain], [0, 100]], np.float32) / 100
    predictions = Predictions(np.array([0, 1], np.uint8), probabilities, "d" * 64)
    write_predictions(report / "predictions.npz", predictions)
    (report / "plots" / "confusion_matrix.png").write_bytes(tflite_models.encode(np.zeros((2, 2), np.uint8)))
    model = repository / "models" / folder.name
    if trained:
        model.mkdir(parents=True, exist_ok=True)
        (model / "model.keras").write_text("a network")
    return read_publication(bundle.folder, report, model, params)


def _train(tracking: Tracking, params: Params) -> dict[str, object]:
    digits = Digits(np.zeros((67, 28, 28), np.uint8), np.zeros(67, np.uint8))
    source = {"source": "https://example.org/mnist.npz", "licence": "CC BY-SA 3.0"}
    description = describe_training(params, digits, source)
    history = [{"loss": 0.5}]
    with training_run(tracking, description) as run:
        run.log_epoch(0, history[0])
    return {"run_id": run.run_id, "history": history, "run": description.plain()}


def _write_bundle(
    folder: Path, name: str, precision: str, gain: float, provenance: dict[str, object]
) -> Bundle:
    return write_bundle(
        folder,
        model=tflite_models.digit_model(gain),
        name=name,
        precision=precision,
        labels=tflite_models.DIGIT_LABELS,
        preprocessing=tflite_models.DIGIT,
        provenance=provenance,
    )
