"""Versions in a real SQLite registry: found again, never doubled, named by aliases, fetched whole."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import mlflow
import numpy as np
import pytest
import yaml
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path
from PIL import Image

import tflite_models
from conftest import clean_environment, compose_values
from forked_programs import MLFLOW, run_programs
from made_training import describe
from modelyard.errors import ModelyardError
from modelyard.evaluation.reports import Predictions, describe_bundle, write_predictions
from modelyard.inference.bundle import Bundle
from modelyard.packaging.writing import write_bundle
from modelyard.params import Gate, Params
from modelyard.params.published import Limit
from modelyard.registry.artifacts import fetch_bundle, fetch_network
from modelyard.registry.champions.decisions import Kind
from modelyard.registry.champions.history import History
from modelyard.registry.evidence import read_evidence
from modelyard.registry.kept_files import read_kept_predictions
from modelyard.registry.pruning import prune_version
from modelyard.registry.publishing.publication import Publication, Role, read_publications
from modelyard.registry.publishing.registration import publish, publishing
from modelyard.registry.version_facts import FACTS, read_version_facts
from modelyard.registry.versions import create_version, list_versions, resolve_version, use_stand_in
from modelyard.tracking.runs import training_run
from modelyard.tracking.store import Tracking, open_tracking
from small_registry import leave_database
from tracking_server import TrackingServer

METRICS = {
    "test": {"accuracy": 0.99, "accuracy_low": 0.98, "accuracy_high": 0.995, "errors": 1},
    "agreement": {"same_first": 1.0, "max_difference": 1e-6},
    "latency": {"p50_ms": 0.1, "p99_ms": 0.2},
    "load_ms": 3.0,
    "size_bytes": 1_651_929,
}
DATASET: dict[str, Any] = {
    "name": "mnist-test",
    "digest": "d" * 64,
    "source": "https://example.org/mnist.npz",
    "images": 67,
}
# Of one precision, in the place of METRICS.
MEASURED: dict[str, object] = {}
Make = Callable[..., Publication]


@pytest.fixture
def tracking(repository: Path) -> Tracking:
    leave_database(repository / "mlflow.db")
    return open_tracking("digits")


@pytest.fixture
def make(repository: Path, tracking: Tracking, params: Params) -> Make:
    return partial(make_publication, repository, tracking, params)


def test_a_version_says_where_it_came_from_and_how_good_it_is(tracking: Tracking, make: Make) -> None:
    publication = make()
    publish(tracking, publication)
    version = resolve_version(tracking.client, "models:/mnist/1")
    assert version.tags["content_key"] == publication.bundle.content_key
    # The decision that made it champion is not of its publication.
    assert version.tags.keys() - {"champion_by"} == {
        "content_key",
        "model_id",
        "precision",
        "size_bytes",
        "published",
    }
    facts = read_version_facts(tracking, version)
    assert facts["data.digest"] == publication.bundle.provenance["training"]["run"]["tags"]["data.digest"]
    assert facts["licence"] == "CC BY-SA 3.0"
    assert version.description.startswith(
        "cnn, 99.00 %, 1 error of 67 test images (95 % interval 98.00% to 99.50%)"
    )
    assert "1,651,929 bytes" in version.description
    assert tracking.client.get_registered_model("mnist").description == publication.card.about
    model = tracking.client.get_logged_model(version.tags["model_id"])
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "mnist", "version": 1}]


def test_the_card_and_its_picture_lie_beside_the_model(tracking: Tracking, make: Make) -> None:
    publication = make()
    picture = publication.report / "plots" / "mistakes.png"
    Image.new("L", (8, 8), 200).save(picture)
    version = publish(tracking, publication)
    model = fetch_bundle(tracking, version).folder.parent.parent
    assert (model / "MLmodel").is_file()
    assert (model / "README.md").read_text().startswith("# mnist, version 1\n\ncnn, 99.00 %, 1 error of")
    assert "(mistakes.png)" in (model / "README.md").read_text()
    assert (model / "mistakes.png").read_bytes() == picture.read_bytes()


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


def test_a_name_that_conf_does_not_know_is_refused_before_anything_is_published(make: Make) -> None:
    with pytest.raises(
        ModelyardError, match=r"expected a bundle of inception-v3 or .* or mnist, .* got letters"
    ):
        make("letters", trained=False)


def test_a_bundle_that_was_not_evaluated_is_refused(make: Make, params: Params, repository: Path) -> None:
    bundles = make().bundle.folder.parent
    reports = repository / "reports" / bundles.name
    reports.with_name(f"{reports.name}.json").write_text(json.dumps({"int8": METRICS}))
    with pytest.raises(ModelyardError, match=r"\.json: expected float32, .* got int8: `dvc repro`"):
        list(read_publications("trained", bundles, reports, repository, params))
    reports.with_name(f"{reports.name}.json").unlink()
    with pytest.raises(ModelyardError, match=r"\.json: expected the metrics of an evaluation"):
        list(read_publications("trained", bundles, reports, repository, params))


def test_a_role_without_bundles_has_nothing_to_publish(params: Params, repository: Path) -> None:
    nowhere = repository / "nowhere"
    assert list(read_publications("imported", nowhere, nowhere, nowhere, params)) == []


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
    assert read_version_facts(tracking, version)["evaluation.artifacts"] == folder
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
    facts = read_version_facts(tracking, version)
    folder = facts["evaluation.artifacts"]
    forget_facts(tracking, version)
    for tag in facts.keys() - version.tags.keys() - {"evaluation.artifacts", "evaluation.record"}:
        tracking.client.set_model_version_tag("mnist", version.version, tag, facts[tag])
    tracking.client.set_model_version_tag("mnist", version.version, "git.commit", "c" * 40)
    kept = mlflow.artifacts.download_artifacts(run_id=version.run_id, artifact_path="evaluation")
    shutil.rmtree(kept)
    publish(tracking, make())
    found = resolve_version(tracking.client, "models:/mnist/1")
    told = read_version_facts(tracking, found)
    assert (told["evaluation.artifacts"], told["git.commit"]) == (folder, "c" * 40)
    # What was a tag of it is in the file.
    assert found.tags.keys() - {"champion_by"} == {
        "content_key",
        "model_id",
        "precision",
        "size_bytes",
        "published",
    }
    assert first_score(tracking, found) == 0.20


def test_what_is_measured_anew_takes_the_place_of_what_was(
    tracking: Tracking, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = publish(tracking, make(trained=False, name="inception-v3"))
    monkeypatch.setitem(METRICS, "load_ms", 7.0)
    monkeypatch.setitem(METRICS, "extra", 1.0)
    monkeypatch.setitem(DATASET, "digest", "e" * 64)
    again = make(trained=False, name="inception-v3")
    publish(tracking, again)
    found = resolve_version(tracking.client, "models:/inception-v3/1")
    evidence = read_evidence(tracking, found)
    assert evidence.dataset_digest == "e" * 64
    assert (evidence.metrics["load_ms"], evidence.metrics["extra"]) == (7.0, 1.0)
    assert tracking.client.get_run(version.run_id).data.metrics["load_ms"] == 7.0
    assert read_kept_predictions(tracking, evidence)[0].digest == "e" * 64
    assert "7.00 ms" in found.description
    readme = fetch_bundle(tracking, found).folder.parent.parent / "README.md"
    assert "7.00 ms" in readme.read_text()
    assert "e" * 64 in readme.read_text()


def test_what_was_measured_already_is_not_written_again(
    tracking: Tracking, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = make().bundle.provenance["training"]
    publish(tracking, make(training=training))
    publish(tracking, make())
    writes = Mock(side_effect=AssertionError("written"))
    for name in (
        "log_batch",
        "log_artifacts",
        "log_model_artifact",
        "log_image",
        "set_model_version_tag",
        "update_model_version",
        "set_tag",
    ):
        monkeypatch.setattr(type(tracking.client), name, writes)
    publish(tracking, make(training=training))
    writes.assert_not_called()


def test_an_evaluation_that_was_cut_off_is_kept_by_the_next_register(
    tracking: Tracking, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = make().bundle.provenance["training"]
    publish(tracking, make(training=training))
    monkeypatch.setitem(METRICS, "load_ms", 7.0)
    with monkeypatch.context() as killed:
        killed.setattr(type(tracking.client), "log_artifacts", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            publish(tracking, make(training=training))
    publish(tracking, make(training=training))
    found = resolve_version(tracking.client, "models:/mnist/1")
    assert "7.00 ms" in found.description
    assert read_version_facts(tracking, found)["evaluation.record"] == make(training=training).evaluated


def test_a_thousand_classes_are_logged_in_batches_that_mlflow_takes(
    tracking: Tracking, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = {f"class {place}": {"precision": 0.5, "recall": 0.5, "f1": 0.5} for place in range(1000)}
    monkeypatch.setitem(METRICS, "class", classes)
    version = publish(tracking, make(trained=False))
    metrics = read_evidence(tracking, version).metrics
    assert len([name for name in metrics if name.startswith("class/")]) == 3000


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
        "from modelyard.registry.publishing.publication import *\n"
        "from modelyard.registry.publishing.registration import *\n"
        "from modelyard.tracking.store import open_tracking\n"
        "bundles, reports = map(Path, sys.argv[1:3])\n"
        "tracking = open_tracking('digits')\n"
        "with publishing(60):\n"
        "    params = load_params(sys.argv[3])\n"
        "    found = read_publications('imported', bundles, reports, Path('none'), params)\n"
        "    print(*[publish(tracking, publication).version for _, publication in found])"
    )
    (repository / "params.yaml").write_text(yaml.safe_dump(compose_values()))
    (repository / "register.py").write_text(script)
    paths = [publication.bundle.folder.parent, publication.report.parent, repository / "params.yaml"]
    program = {"folder": str(repository), "arguments": ["register.py", *map(str, paths)]}
    for code, output in run_programs([[program, program]], clean_environment(), MLFLOW):
        assert (code, output.splitlines()[-1:]) == (0, ["1"]), output
    assert len(list_versions(tracking.client, "mnist")) == 1


def test_a_version_that_two_machines_made_at_once_is_kept_once(tracking: Tracking, make: Make) -> None:
    """Two machines share no lock: the second's search came before the first's version."""
    first = publish(tracking, make())
    second = create_version(tracking.client, "mnist", first.run_id, first.tags, "")
    assert second.version == first.version
    assert [version.version for version in list_versions(tracking.client, "mnist")] == [first.version]


@pytest.mark.parametrize("tag", [None, "m-00000000000000000000000000000000"])
def test_a_logged_model_is_found_whatever_the_tag_that_names_it_says(
    tracking: Tracking, make: Make, monkeypatch: pytest.MonkeyPatch, tag: str | None
) -> None:
    version, client = publish(tracking, make()), tracking.client
    if tag is None:
        client.delete_model_version_tag("mnist", version.version, "model_id")
    else:
        client.set_model_version_tag("mnist", version.version, "model_id", tag)
    changed = resolve_version(client, "models:/mnist/1")
    assert read_version_facts(tracking, changed)["evaluation.artifacts"]
    monkeypatch.setitem(METRICS, "load_ms", 7.0)
    assert publish(tracking, make()).version == version.version
    assert client.get_logged_model(version.tags["model_id"]).metrics is not None
    prune_version(tracking, changed)
    with pytest.raises(MlflowException, match="not found"):
        client.get_logged_model(version.tags["model_id"])


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


def test_what_a_person_calls_a_twin_becomes_the_name_of_the_version_that_stays(
    tracking: Tracking, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    first = publish(tracking, make())
    content = {"content_key": first.tags["content_key"]}
    twin = tracking.client.create_model_version("mnist", first.source, tags=content)
    tracking.client.set_registered_model_alias("mnist", "exhibition", str(twin.version))
    publish(tracking, make())
    assert [version.version for version in list_versions(tracking.client, "mnist")] == [first.version]
    assert int(tracking.client.get_registered_model("mnist").aliases["exhibition"]) == first.version
    assert (
        "mnist@exhibition is moved from version 2, which is removed, to version 1" in capsys.readouterr().err
    )


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


def measure_int8(monkeypatch: pytest.MonkeyPatch, p50_ms: float, same_first: float = 1.0) -> None:
    """Let int8 be measured otherwise than float32, which takes 0.1 ms."""
    agreement = {"same_first": same_first, "max_difference": 0.1}
    monkeypatch.setitem(
        MEASURED, "int8", {**METRICS, "agreement": agreement, "latency": {"p50_ms": p50_ms, "p99_ms": 9.0}}
    )


def test_int8_becomes_champion_where_it_is_close_to_its_source_and_faster_on_this_machine(
    tracking: Tracking, make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure_int8(monkeypatch, p50_ms=0.05)
    publish(tracking, make("inception-v3", "float32", 20.0, trained=False))
    publish(tracking, make("inception-v3", "int8", 21.0, trained=False))
    assert resolve_version(tracking.client, "models:/inception-v3@champion").tags["precision"] == "int8"
    reason = History(tracking, "inception-v3").read().decisions[-1].reason
    assert reason.endswith("an image takes 0.05 ms in int8, 0.10 ms in float32")
    assert "inception-v3 (int8) takes the place of float32: as close" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("p50_ms", "same_first", "why"),
    [
        (0.05, 0.5, "further from its source than package.int8 allows: the same first answer on 50.00%"),
        (0.095, 1.0, "not faster here by more than a tenth: an image takes 0.10 ms in int8, 0.10 ms"),
        (0.2, 1.0, "not faster here by more than a tenth: an image takes 0.20 ms in int8, 0.10 ms"),
    ],
)
def test_int8_that_is_further_away_or_not_faster_stays_challenger(
    tracking: Tracking,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    p50_ms: float,
    same_first: float,
    why: str,
) -> None:
    measure_int8(monkeypatch, p50_ms, same_first)
    publish(tracking, make("inception-v3", "float32", 20.0, trained=False))
    publish(tracking, make("inception-v3", "int8", 21.0, trained=False))
    assert resolve_version(tracking.client, "models:/inception-v3@champion").tags["precision"] == "float32"
    assert resolve_version(tracking.client, "models:/inception-v3@challenger").tags["precision"] == "int8"
    assert f"stays behind float32: {why}" in capsys.readouterr().out


def test_int8_alone_is_the_first_of_its_name(
    tracking: Tracking, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure_int8(monkeypatch, p50_ms=0.5)
    publish(tracking, make("inception-v3", "int8", 21.0, trained=False))
    assert History(tracking, "inception-v3").read().decisions[-1].reason == "the first of its name"


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
    open_gate = Gate(metrics={}, max_accuracy_drop=None, allow_dirty=True)
    closed_gate = open_gate.model_copy(update={"metrics": {"test/accuracy": Limit(min=1.0)}})
    publish(tracking, make(gain=20.0))
    publish(tracking, replace(make(gain=21.0), gate=open_gate))
    refused = replace(make(gain=22.0), gate=closed_gate)
    publish(tracking, refused)
    publish(tracking, refused)
    refused = "mnist: version 3 does not become champion, because it fails test/accuracy"
    assert refused in capsys.readouterr().out
    past = History(tracking, "mnist").read()
    assert [(one.kind, one.version, one.moved) for one in past.decisions] == [
        (Kind.REGISTER, 1, True),
        (Kind.PROMOTE, 2, True),
        (Kind.PROMOTE, 3, False),
    ]
    assert past.champion == 2


def test_the_gate_is_asked_where_conf_says_so(tracking: Tracking, params: Params, repository: Path) -> None:
    asking = params.model_copy(update={"registry": params.registry.model_copy(update={"auto_promote": True})})
    assert make_publication(repository, tracking, params).gate is None
    assert make_publication(repository, tracking, asking).gate == params.data.gate
    stand_in = make_publication(
        repository, tracking, asking, "inception-v3-content-safety", gain=22.0, trained=False
    )
    assert stand_in.gate == params.pretrained.gate


def test_an_unknown_version_is_answered_with_those_there_are(tracking: Tracking, make: Make) -> None:
    publish(tracking, make())
    for uri, message in (
        ("models:/mnist", "expected models:/NAME@ALIAS"),
        ("models:/digits@champion", "no version of 'digits' is registered; registered are: mnist"),
        ("models:/mnist@best", "expected an alias of mnist, one of challenger, champion"),
        ("models:/mnist/9", "expected a version of mnist, one of 1"),
    ):
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


def forget_facts(tracking: Tracking, version: ModelVersion) -> None:
    """Leave a version without its file, as older modelyards registered it."""
    model = tracking.client.get_logged_model(version.tags["model_id"])
    Path(local_file_uri_to_path(model.artifact_location), FACTS).unlink()


def first_score(tracking: Tracking, version: ModelVersion) -> float:
    kept, _ = read_kept_predictions(tracking, read_evidence(tracking, version))
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
    role: Role = "trained" if trained else "imported"
    bundles, reports = (repository / kind / f"{name}-{gain}" for kind in ("bundles", "reports"))
    source = {"source": "https://example.org", "licence": "MIT", "stand_in_for": None, "recognised": "panda"}
    provenance = {"training": training or _train(tracking, params)} if trained else {"source": source}
    shutil.rmtree(bundles, ignore_errors=True)
    bundle = _write_bundle(bundles / precision, name, precision, gain, provenance)
    report = reports / precision
    (report / "plots").mkdir(parents=True, exist_ok=True)
    reports.with_name(f"{reports.name}.json").write_text(
        json.dumps({"float32": METRICS, "int8": METRICS} | MEASURED)
    )
    facts = {"bundle": describe_bundle(bundle), "dataset": DATASET, "images_per_class": {"0": 1, "1": 1}}
    (report / "report.json").write_text(json.dumps(facts))
    probabilities = np.array([[gain, 100 - gain], [0, 100]], np.float32) / 100
    predictions = Predictions(np.array([0, 1], np.uint8), probabilities, DATASET["digest"])
    write_predictions(report / "predictions.npz", predictions)
    (report / "plots" / "confusion_matrix.png").write_bytes(tflite_models.encode(np.zeros((2, 2), np.uint8)))
    network = repository / "models" / bundles.name / "model.keras"
    if trained:
        network.parent.mkdir(parents=True, exist_ok=True)
        network.write_text("a network")
    [(_, publication)] = read_publications(role, bundles, reports, network, params)
    return publication


def _train(tracking: Tracking, params: Params) -> dict[str, object]:
    description = describe(params)
    history = [{"loss": 0.5}]
    with training_run(tracking, description) as run:
        run.log_epoch(0, history[0])
    return {"run_id": run.run_id, "history": history, "run": asdict(description)}


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
