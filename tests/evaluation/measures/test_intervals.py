"""The intervals of a test set's measures: around the measure, and as wide as the images are few."""

import numpy as np
import pytest

from modelyard.evaluation.measures.classification import measure_answers
from modelyard.evaluation.measures.intervals import measure_intervals
from modelyard.evaluation.measures.shares import wilson_interval
from modelyard.evaluation.reports import Predictions

CLASSES = ("a", "b", "c")


def test_an_interval_encloses_its_measure() -> None:
    predictions = predict(images=600)
    measured = measure_answers(predictions.probabilities, predictions.labels, bins=10)
    intervals = measure_intervals(predictions, CLASSES)
    for name in ("accuracy", "errors", "log_loss", "macro_f1"):
        low, high = intervals[f"test/{name}"]
        assert low < measured[name] < high
    assert intervals["test/accuracy"] == (measured["accuracy_low"], measured["accuracy_high"])


def test_errors_are_bounded_as_accuracy_is() -> None:
    intervals = measure_intervals(predict(images=600), CLASSES)
    low, high = intervals["test/accuracy"]
    assert intervals["test/errors"] == pytest.approx((600 * (1 - high), 600 * (1 - low)))


@pytest.mark.parametrize("name", ["test/accuracy", "test/log_loss", "test/macro_f1"])
def test_a_hundred_times_the_images_make_a_tenth_of_the_width(name: str) -> None:
    few, many = (measure_intervals(predict(images), CLASSES)[name] for images in (600, 60_000))
    assert (few[1] - few[0]) / (many[1] - many[0]) == pytest.approx(10, rel=0.15)


def test_the_same_predictions_have_the_same_intervals() -> None:
    assert measure_intervals(predict(60), CLASSES) == measure_intervals(predict(60), CLASSES)


def test_recall_is_of_a_class_and_precision_of_an_answer() -> None:
    labels, answers = np.array([0, 0, 0, 0, 1, 1], np.uint8), [0, 0, 0, 1, 1, 0]
    intervals = measure_intervals(Predictions(labels, np.eye(3, dtype=np.float32)[answers], ""), CLASSES)
    assert intervals["class/a/recall"] == wilson_interval(3, 4)
    assert intervals["class/a/precision"] == wilson_interval(3, 4)
    assert intervals["class/b/recall"] == wilson_interval(1, 2)
    assert "class/c/recall" not in intervals


def test_a_test_set_of_many_classes_is_resampled_in_batches_to_the_same_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = measure_intervals(predict(600), CLASSES)["test/macro_f1"]
    monkeypatch.setattr("modelyard.evaluation.measures.intervals.MOST_DRAWN", 1000)
    assert measure_intervals(predict(600), CLASSES)["test/macro_f1"] == pytest.approx(whole)


def predict(images: int) -> Predictions:
    """A third of each class; two of ten answers go to the next class, each with a score of its own."""
    labels = (np.arange(images) % 3).astype(np.uint8)
    answers = np.where(np.arange(images) // 3 % 10 < 8, labels, (labels + 1) % 3)
    scores = 0.4 + 0.5 * (np.arange(images) // 30 % 10) / 10
    probabilities = np.repeat(((1 - scores) / 2)[:, None], 3, axis=1)
    probabilities[np.arange(images), answers] = scores
    return Predictions(labels, probabilities.astype(np.float32), "d" * 64)
