"""The gate on recent pictures: a version must be as good as the champion on what came in lately."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tflite_models
from conftest import compose_values
from modelyard.evaluation.reports import Predictions, write_predictions
from modelyard.images.pictures import PictureFiles, write_pictures
from modelyard.params import validate_params
from modelyard.registry.champions.promotion import RefusedError, promote
from modelyard.tracking.store import Store
from picture_folders import hold_files
from small_registry import SmallRegistry

GATE = validate_params(compose_values()).data.gate
CLASSES = tuple(f"{digit}a" for digit in range(10))
LABELS = np.arange(20, dtype=np.uint8) % 10


@pytest.fixture
def registry(tmp_path: Path) -> SmallRegistry:
    """Version 1 is champion and was never asked about recent pictures; version 2 wants to be."""
    registry = SmallRegistry(tmp_path / "registry")
    for mark in ("a", "b"):
        registry.measure(registry.add(mark=mark))
    registry.point(1)
    return registry


@pytest.fixture
def recent(repository: Path) -> PictureFiles:
    """Twenty bands, one of which has a label that no network can know."""
    labels = LABELS.copy()
    labels[3] = 8
    files = [tflite_models.encode(tflite_models.draw_band(int(digit))) for digit in LABELS]
    held = hold_files(repository / "data/additions", files, labels, CLASSES)
    write_pictures(repository / "data/recent.npz", held)
    return held


def keep_recent(registry: SmallRegistry, version: int, recent: PictureFiles, wrong: int) -> None:
    """Let a version have answered the recent pictures, so many of them wrongly."""
    answers = recent.labels.copy()
    answers[:wrong] = (answers[:wrong] + 1) % 10
    probabilities = np.full((20, 10), 0.01, np.float32)
    probabilities[np.arange(20), answers] = 0.91
    run_id = registry.client.get_model_version("mnist", str(version)).run_id
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recent.npz")
        write_predictions(path, Predictions(recent.labels, probabilities, recent.digest))
        registry.client.log_artifact(run_id, str(path), "evaluation")


def ask(registry: SmallRegistry) -> Any:
    try:
        decision = promote(Store(registry.client, registry.uri), "mnist", "2", GATE)
    except RefusedError as error:
        decision = error.decision
    assert decision
    return decision, {rule.rule: rule for rule in decision.rules}.get("recent/accuracy")


def test_the_champion_is_asked_about_pictures_that_came_after_it(
    registry: SmallRegistry, recent: PictureFiles
) -> None:
    keep_recent(registry, 2, recent, wrong=0)
    decision, rule = ask(registry)
    assert decision.moved
    assert (rule.passed, rule.wanted) == (True, "right on as many recent pictures as the champion")
    assert rule.found.startswith("of 20 recent pictures, right on 1 where the champion is wrong, wrong on 0")


def test_a_version_that_is_worse_on_recent_pictures_is_refused(
    registry: SmallRegistry, recent: PictureFiles
) -> None:
    keep_recent(registry, 2, recent, wrong=2)
    decision, rule = ask(registry)
    assert not decision.moved
    assert not rule.passed
    assert "right on 1 where the champion is wrong, wrong on 2 where it is right" in rule.found


def test_what_the_champion_answered_before_is_not_asked_again(
    registry: SmallRegistry, recent: PictureFiles, repository: Path
) -> None:
    (repository / "data/recent.npz").unlink()
    keep_recent(registry, 1, recent, wrong=5)
    keep_recent(registry, 2, recent, wrong=4)
    decision, rule = ask(registry)
    assert decision.moved
    assert "right on 1 where the champion is wrong, wrong on 0" in rule.found


def test_pictures_that_are_not_here_fail_the_rule(
    registry: SmallRegistry, recent: PictureFiles, repository: Path
) -> None:
    keep_recent(registry, 2, recent, wrong=0)
    write_pictures(repository / "data/recent.npz", recent.take(np.arange(5)))
    decision, rule = ask(registry)
    assert not decision.moved
    assert "expected the recent pictures" in rule.found


def test_without_recent_pictures_nothing_is_asked(registry: SmallRegistry, repository: Path) -> None:
    decision, rule = ask(registry)
    assert decision.moved
    assert rule is None
