"""95 % intervals of a test set's measures, from the kept predictions."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from modelyard.evaluation.measures.classification import (
    Floats,
    Integers,
    confusion_matrix,
    label_losses,
    name_classes,
)
from modelyard.evaluation.measures.shares import NORMAL_QUANTILE_975, wilson_interval
from modelyard.evaluation.reports import Predictions

Interval: TypeAlias = tuple[float, float]
# With this many test sets drawn, the interval's ends vary by about 1 % of its width.
RESAMPLES = 2000
# Limits the counts drawn at once; a thousand classes would take gigabytes otherwise.
MOST_DRAWN = 1_000_000


def measure_intervals(predictions: Predictions, classes: Sequence[str]) -> dict[str, Interval]:
    """Return the 95 % intervals of the metrics that have one, under MLflow's names for them.

    Shares (accuracy, and each class's precision and recall) and the count of errors have Wilson's interval;
    the log loss, a mean over many images, the normal one; the macro F1 percentiles of resampled test sets
    (Efron, 1979). The calibration error has none, because resampling makes it larger.
    """
    confusion = confusion_matrix(predictions.probabilities, predictions.labels)
    images, right = int(confusion.sum()), int(confusion.trace())
    low, high = wilson_interval(right, images)
    return {
        "test/accuracy": (low, high),
        "test/errors": (images * (1 - high), images * (1 - low)),
        "test/log_loss": _log_loss_interval(predictions),
        "test/macro_f1": _macro_f1_interval(confusion),
        **_class_intervals(confusion, classes),
    }


def _log_loss_interval(predictions: Predictions) -> Interval:
    losses = label_losses(predictions.probabilities, predictions.labels)
    mean, margin = float(losses.mean()), NORMAL_QUANTILE_975 * float(losses.std()) / math.sqrt(len(losses))
    return max(0.0, mean - margin), mean + margin


def _macro_f1_interval(confusion: Integers) -> Interval:
    """Draw test sets from this one, the same ones every time."""
    rows, columns = confusion.nonzero()
    counts = confusion[rows, columns]
    random = np.random.default_rng(0)
    batch = max(1, MOST_DRAWN // len(counts))
    drawn = [
        _macro_f1(
            random.multinomial(counts.sum(), counts / counts.sum(), size), rows, columns, len(confusion)
        )
        for size in [batch] * (RESAMPLES // batch) + [RESAMPLES % batch]
    ]
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return float(low), float(high)


def _macro_f1(counts: Integers, rows: Integers, columns: Integers, classes: int) -> Floats:
    """Compute `class_scores(...).macro_f1` of many matrices at once: their cells (n, cells) to (n,)."""
    right, both = (np.zeros((classes, len(counts))) for _ in range(2))
    np.add.at(both, rows, counts.T)
    np.add.at(both, columns, counts.T)
    right[rows[rows == columns]] = counts.T[rows == columns]
    f1 = np.divide(2 * right, both, out=np.zeros_like(right), where=both > 0)
    mean: Floats = f1.sum(axis=0) / (both > 0).sum(axis=0)
    return mean


def _class_intervals(confusion: Integers, classes: Sequence[str]) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    for place, name in enumerate(name_classes(classes)):
        right = int(confusion[place, place])
        for measure, axis in (("recall", 1), ("precision", 0)):
            trials = int(confusion.sum(axis=axis)[place])
            if trials:
                found[f"class/{name}/{measure}"] = wilson_interval(right, trials)
    return found
