"""Pure measures of a classifier's probabilities against labels.

SciPy and scikit-learn have most of them, and the tests compare with theirs; importing those would take longer
than the commands that need the measures.

`probabilities` is (n, classes), float32 or float64, each row 0..1 with the sum 1; `labels` is (n,), integers
0..classes-1. The first answer is the class of the highest probability; a tie goes to the lower class.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures.shares import wilson_interval

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Integers: TypeAlias = npt.NDArray[np.integer[Any]]

ROW_SUM_TOLERANCE = 1e-3
# What is more unlike the training pictures than 99 of 100 validation pictures is called unlike them.
UNLIKE = 0.99
# scikit-learn clips at the machine epsilon of the probabilities' type; a served model answers in float32.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Calibration:
    """Confidence beside accuracy, bin by bin."""

    edges: Floats  # (bins + 1,), the bins' bounds, 0..1; a bin excludes its lower bound
    counts: Integers  # (bins,), how many first answers have a score in the bin
    confidence: Floats  # (bins,), their mean score; NaN in an empty bin
    accuracy: Floats  # (bins,), the share of them that is right; NaN in an empty bin
    error: float  # the expected calibration error, 0..1


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1 of every class, each (classes,) and 0..1, and `support`, its count of labels.

    A ratio without a denominator (a class never answered, or without a label) is 0, never NaN.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    support: Integers
    macro_f1: float

    def by_class(self, names: Sequence[str]) -> dict[str, dict[str, float]]:
        """Return `{"7": {"precision": 0.99, "recall": 0.98, "f1": 0.985}}`, in the order of `names`."""
        columns = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {
            name: {measure: float(column[place]) for measure, column in columns.items()}
            for place, name in enumerate(names)
        }


def check_probabilities(probabilities: Floats, origin: str = "the probabilities") -> None:
    """Raise ModelyardError unless this is (n, classes), not empty, finite, 0..1, each row with the sum 1."""
    if probabilities.ndim != 2 or not probabilities.size:
        raise ModelyardError(
            f"{origin}: expected the shape (images, classes), at least one of each, got {probabilities.shape}"
        )
    _refuse_rows(~np.isfinite(probabilities).all(axis=1), f"{origin}: expected finite numbers", probabilities)
    outside = (probabilities < -ROW_SUM_TOLERANCE) | (probabilities > 1 + ROW_SUM_TOLERANCE)
    _refuse_rows(outside.any(axis=1), f"{origin}: expected numbers from 0 to 1", probabilities)
    sums = probabilities.sum(axis=1, dtype=np.float64)
    uneven = abs(sums - 1) > ROW_SUM_TOLERANCE
    _refuse_rows(uneven, f"{origin}: expected rows with the sum 1 (a softmax)", sums[:, None])


def check_answers(probabilities: Floats, labels: Integers) -> None:
    """Raise ModelyardError unless `labels` has a class for each row of probabilities."""
    check_probabilities(probabilities)
    images, classes = probabilities.shape
    if labels.shape != (images,) or not np.issubdtype(labels.dtype, np.integer):
        raise ModelyardError(
            f"the labels: expected {images} integers, one for every row of probabilities, "
            f"got {labels.dtype} of the shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= classes:
        wrong = int(np.flatnonzero((labels < 0) | (labels >= classes))[0])
        raise ModelyardError(
            f"the labels: expected 0..{classes - 1}, for the model has {classes} outputs, "
            f"got {labels[wrong]} at {wrong}: is this the model of this data?"
        )


def measure_unlike(unlikeness: Floats, right: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Return the share of pictures (n,) that are unlike the training pictures, and of the errors among them.

    Without errors, the second is left out.
    """
    unlike = unlikeness >= UNLIKE
    found = {"share": float(unlike.mean())}
    return found if right.all() else {**found, "errors": float(unlike[~right].mean())}


def label_losses(probabilities: Floats, labels: Integers) -> Floats:
    """Return each image's -ln(probability of the label), (n,), in nats; their mean is the log loss.

    A probability under the epsilon of float32 (1.2e-7) counts as that: one hopeless image costs 15.9, not
    infinity.
    """
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    losses: Floats = -np.log(of_label.clip(SMALLEST_PROBABILITY, 1.0))
    return losses


def confusion_matrix(probabilities: Floats, labels: Integers) -> Integers:
    """Count every pair of label (row) and first answer (column): (classes, classes), int64."""
    check_answers(probabilities, labels)
    classes = probabilities.shape[1]
    pairs = labels.astype(np.int64) * classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def class_scores(confusion: Integers) -> ClassScores:
    """Return precision, recall and F1 from a confusion matrix (rows are labels).

    The macro F1 is the mean over the classes that occur as a label or as an answer, as in scikit-learn's
    f1_score(average="macro", zero_division=0). Sources: van Rijsbergen, Information Retrieval, 1979, chapter
    7; Opitz and Burst, arXiv:1911.03347, "averaged F1".
    """
    right = confusion.diagonal().astype(np.float64)
    support, answered = confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = _ratio(2 * right, support + answered)
    occurs = (support + answered) > 0
    return ClassScores(
        precision=_ratio(right, answered),
        recall=_ratio(right, support),
        f1=f1,
        support=support,
        macro_f1=float(f1[occurs].mean()) if occurs.any() else 0.0,
    )


def calibration(probabilities: Floats, labels: Integers, bins: int) -> Calibration:
    """Compare the first answers' scores with how often they are right, in `bins` bins of equal width.

    The error is the sum over the bins of count / n * |accuracy - confidence|. Source: Guo, Pleiss, Sun and
    Weinberger, On calibration of modern neural networks, arXiv:1706.04599, eq. 3. Raises ModelyardError for
    what `check_answers` refuses, and for fewer than one bin.
    """
    check_answers(probabilities, labels)
    if bins < 1:
        raise ModelyardError(f"the calibration: expected at least 1 bin, got {bins}")
    edges = np.linspace(0.0, 1.0, bins + 1)
    scores = probabilities.max(axis=1).astype(np.float64)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    place = np.searchsorted(edges[1:-1], scores)
    counts = np.bincount(place, minlength=bins)
    score_sums, right_sums = (np.bincount(place, weights, minlength=bins) for weights in (scores, right))
    with np.errstate(invalid="ignore"):
        confidence, accuracy = score_sums / counts, right_sums / counts
    error = float(abs(right_sums - score_sums).sum() / len(labels))
    return Calibration(edges, counts, confidence, accuracy, error)


def measure_answers(probabilities: Floats, labels: Integers, bins: int) -> dict[str, float]:
    """Return the section `test` of metrics.json.

    `accuracy` has a 95 % interval, `accuracy_low` to `accuracy_high`; `errors` counts wrong first answers;
    `majority` is the share of the most common class, the accuracy of always answering it.
    """
    confusion = confusion_matrix(probabilities, labels)
    images, right = int(confusion.sum()), int(confusion.trace())
    low, high = wilson_interval(right, images)
    return {
        "accuracy": right / images,
        "accuracy_low": low,
        "accuracy_high": high,
        "errors": images - right,
        "majority": int(confusion.sum(axis=1).max()) / images,
        "log_loss": float(label_losses(probabilities, labels).mean()),
        "calibration_error": calibration(probabilities, labels, bins).error,
        "macro_f1": class_scores(confusion).macro_f1,
    }


def measure_classes(confusion: Integers, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return precision, recall and F1 of every class, under the name that metrics use for it."""
    return class_scores(confusion).by_class(name_classes(names))


def name_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Return each class's name for use in a metric's: MLflow takes only letters, digits, spaces and `_-./`.

    A name with other characters gets the class's number too, so that no two are alike.
    """
    plain = ["/".join(_plain(part) for part in name.split("/")) for name in names]
    return tuple(
        name if name == known else f"{known} {place}"
        for place, (name, known) in enumerate(zip(names, plain, strict=True))
    )


def _plain(part: str) -> str:
    """Replace characters, and the parts of a path, that MLflow does not take."""
    return re.sub(r"[^\w\-. ]|^\.{0,2}$", "_", part)


def _ratio(numerator: Floats, denominator: Integers) -> Floats:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


def _refuse_rows(wrong: npt.ArrayLike, expected: str, rows: Floats) -> None:
    faults = np.flatnonzero(wrong)
    if faults.size:
        came = np.array2string(rows[faults[0]], precision=4, threshold=6)
        raise ModelyardError(f"{expected}, got {came} in row {faults[0]}; {faults.size} such rows")
