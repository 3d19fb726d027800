"""What the registry knows of a version: its own numbers, its own predictions, no other's."""

import math
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import Metric

from evaluated_registry import CLASSES, PICTURES, RIGHT, EvaluatedRegistry
from modelyard.errors import ModelyardError
from modelyard.evaluation.reports import Predictions, write_predictions
from modelyard.registry.evidence import Evidence, read_evidence
from modelyard.registry.kept_files import read_kept_predictions
from modelyard.registry.versions import find_version

WRONG = (1, *RIGHT[1:])


@pytest.fixture
def registry(tmp_path: Path) -> EvaluatedRegistry:
    return EvaluatedRegistry(tmp_path / "registry")


def test_a_version_is_read_with_all_that_is_known_of_it(registry: EvaluatedRegistry) -> None:
    run_id = registry.start_run({"train.epochs": "2"})
    number = registry.evaluate(WRONG, run_id=run_id)
    registry.point(number, "champion")
    registry.point(number, "best")
    evidence = read(registry, "champion")
    assert (evidence.uri, evidence.run_id, evidence.aliases) == (
        "models:/mnist/1",
        run_id,
        ("best", "champion"),
    )
    assert evidence.params == {"train.epochs": "2"}
    assert evidence.metrics["test/accuracy"] == pytest.approx(11 / 12)
    assert evidence.metrics["train/loss"] == 0.5
    assert (evidence.dataset, evidence.dataset_digest) == ("mnist-test", PICTURES.digest)
    assert abs(datetime.now(UTC) - evidence.created).total_seconds() < 600


def test_two_versions_of_one_run_keep_their_own_numbers_and_predictions(registry: EvaluatedRegistry) -> None:
    run_id = registry.start_run()
    registry.evaluate(RIGHT, run_id=run_id)
    registry.evaluate(WRONG, run_id=run_id)
    first, second = read(registry, "1"), read(registry, "2")
    assert (first.metrics["test/errors"], second.metrics["test/errors"]) == (0, 1)
    answers = [
        read_kept_predictions(registry.tracking, one)[0].probabilities.argmax(axis=1)
        for one in (first, second)
    ]
    assert [tuple(one.tolist()) for one in answers] == [RIGHT, WRONG]


def test_predictions_come_with_the_names_of_their_classes(registry: EvaluatedRegistry) -> None:
    registry.evaluate()
    kept, classes = read_kept_predictions(registry.tracking, read(registry, "1"))
    assert classes == CLASSES
    assert kept.digest == PICTURES.digest
    np.testing.assert_array_equal(kept.labels, PICTURES.labels)


def test_what_was_measured_later_on_other_data_is_left_out(registry: EvaluatedRegistry) -> None:
    registry.evaluate()
    log(registry, "test/accuracy", 0.5, digest="f" * 36)
    assert read(registry, "1").metrics["test/accuracy"] == 1.0


def test_the_latest_of_two_measurements_counts(registry: EvaluatedRegistry) -> None:
    registry.evaluate()
    log(registry, "latency/p50_ms", 0.2, digest=PICTURES.digest[:36])
    assert read(registry, "1").metrics["latency/p50_ms"] == 0.2


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinity_is_left_out(registry: EvaluatedRegistry, value: float) -> None:
    registry.evaluate()
    log(registry, "test/log_loss", value, digest=PICTURES.digest[:36])
    assert "test/log_loss" not in read(registry, "1").metrics


def test_a_version_without_a_run_has_no_parameters_and_no_predictions(
    registry: EvaluatedRegistry, tmp_path: Path
) -> None:
    registry.client.create_registered_model("mnist")
    registry.client.create_model_version("mnist", tmp_path.as_uri())
    evidence = read(registry, "1")
    assert (evidence.run_id, evidence.params, evidence.metrics) == (None, {}, {})
    with pytest.raises(ModelyardError, match=r"models:/mnist/1: expected .* in its run \(it has none\)"):
        read_kept_predictions(registry.tracking, evidence)


def test_an_older_version_is_read_where_the_shared_folder_is_its_own(registry: EvaluatedRegistry) -> None:
    registry.evaluate(WRONG, folder="evaluation")
    found, _ = read_kept_predictions(registry.tracking, read(registry, "1"))
    assert found.probabilities.argmax(axis=1).tolist() == list(WRONG)


def test_an_older_version_whose_predictions_a_later_one_overwrote_is_refused(
    registry: EvaluatedRegistry,
) -> None:
    run_id = registry.start_run()
    registry.evaluate(WRONG, run_id=run_id, folder="evaluation")
    registry.evaluate(RIGHT, run_id=run_id, folder="evaluation")
    with pytest.raises(ModelyardError, match="models:/mnist/1: expected the predictions of the bundle 0"):
        read_kept_predictions(registry.tracking, read(registry, "1"))
    assert read_kept_predictions(registry.tracking, read(registry, "2"))[0].digest == PICTURES.digest


@pytest.mark.parametrize("name", ["predictions.npz", "report.json"])
def test_a_version_whose_file_is_gone_is_refused(registry: EvaluatedRegistry, name: str) -> None:
    (registry.kept(registry.evaluate()) / name).unlink()
    with pytest.raises(ModelyardError, match=r"there is no such file: evaluate the same bundle and register"):
        read_kept_predictions(registry.tracking, read(registry, "1"))


def test_a_tag_that_leads_out_of_its_run_reads_nothing(registry: EvaluatedRegistry, tmp_path: Path) -> None:
    kept = registry.kept(registry.evaluate())
    outside = Path(shutil.copytree(kept, tmp_path / "outside"))
    relative = os.path.relpath(outside, kept.parent)
    for tag in (str(outside), relative, f"evaluation/../{relative}", f"%2e%2e/{relative}", outside.as_uri()):
        registry.client.set_model_version_tag("mnist", "1", "evaluation.artifacts", tag)
        told = rf"expected {re.escape(tag)}/predictions.npz in its run .*, but there is no such file: "
        with pytest.raises(ModelyardError, match=told):
            read_kept_predictions(registry.tracking, read(registry, "1"))


def test_predictions_of_other_data_than_the_version_names_are_refused(registry: EvaluatedRegistry) -> None:
    path = registry.kept(registry.evaluate()) / "predictions.npz"
    write_predictions(
        path, Predictions(PICTURES.labels, np.eye(10, dtype=np.float32)[PICTURES.labels], "f" * 64)
    )
    with pytest.raises(ModelyardError, match=r"as its tags say, its predictions.npz is of f{12}:"):
        read_kept_predictions(registry.tracking, read(registry, "1"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("predictions.npz", b"PK nothing", r"models:/mnist/1: predictions\.npz: expected an \.npz"),
        ("report.json", b"{", r"models:/mnist/1: expected a report\.json with bundle"),
        ("report.json", b'{"bundle": {}}', "expected a report.json with bundle"),
    ],
)
def test_a_damaged_file_is_refused(
    registry: EvaluatedRegistry, name: str, content: bytes, message: str
) -> None:
    (registry.kept(registry.evaluate()) / name).write_bytes(content)
    with pytest.raises(ModelyardError, match=message):
        read_kept_predictions(registry.tracking, read(registry, "1"))


def read(registry: EvaluatedRegistry, reference: str) -> Evidence:
    return read_evidence(registry.tracking, find_version(registry.client, "mnist", reference))


def log(registry: EvaluatedRegistry, key: str, value: float, digest: str) -> None:
    version = find_version(registry.client, "mnist", "1")
    metric = Metric(key, value, 2000, 0, version.tags["model_id"], "mnist-test", digest, version.run_id)
    registry.client.log_batch(version.run_id, metrics=[metric])
