"""Files that an evaluation leaves: predictions to test later, tables to plot, what was measured on what."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.arrays import open_arrays, write_arrays
from modelyard.errors import named
from modelyard.evaluation.measures.classification import (
    Calibration,
    ClassScores,
    Floats,
    Integers,
    check_answers,
)
from modelyard.files import write_csv
from modelyard.inference.bundle import Bundle


@dataclass(frozen=True)
class Predictions:
    """What a bundle answered to labelled images, to compare bundles image by image."""

    labels: Integers  # (n,), uint8 or uint16
    probabilities: Floats  # (n, classes), float32
    digest: str  # of the data; only predictions of the same data can be compared
    names: tuple[str, ...] | None = None  # of each image; None in older files


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write an .npz with an array for each attribute; the same predictions give the same bytes."""
    arrays = {
        "labels": predictions.labels,
        "probabilities": predictions.probabilities.astype(np.float32),
        "digest": np.array(predictions.digest),
    }
    if predictions.names is not None:
        arrays["names"] = np.array(predictions.names)
    write_arrays(path, arrays)


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote, running nothing; raise ModelyardError if it is damaged."""
    expected, maker = "an .npz with labels, probabilities and digest", "evaluating a bundle writes it"
    with open_arrays(path, expected, maker, "evaluate again") as arrays:
        names = tuple(map(str, arrays["names"])) if "names" in arrays else None
        found = Predictions(arrays["labels"], arrays["probabilities"], str(arrays["digest"]), names)
    with named(str(path)):
        check_answers(found.probabilities, found.labels)
    return found


def write_confusion(path: Path, probabilities: Floats, labels: Integers, names: Sequence[str]) -> None:
    """Write a CSV with `actual` and `predicted`, a row for each image, as DVC's template wants it."""
    rows = zip(labels, probabilities.argmax(axis=1), strict=True)
    write_csv(path, ("actual", "predicted"), [(names[label], names[answer]) for label, answer in rows])


def write_reliability(path: Path, curve: Calibration) -> None:
    """Write a CSV with `confidence`, `accuracy` and `images`, a row for each bin that has any."""
    rows = zip(curve.confidence, curve.accuracy, curve.counts, strict=True)
    lines = [(f"{confidence:.6f}", f"{accuracy:.6f}", count) for confidence, accuracy, count in rows if count]
    write_csv(path, ("confidence", "accuracy", "images"), lines)


def write_classes(path: Path, scores: ClassScores, names: Sequence[str]) -> None:
    """Write a CSV with `class`, `images`, `precision`, `recall` and `f1`, a row for each class."""
    rows = zip(names, scores.support, scores.precision, scores.recall, scores.f1, strict=True)
    lines = [(name, images, *(f"{share:.4f}" for share in shares)) for name, images, *shares in rows]
    write_csv(path, ("class", "images", "precision", "recall", "f1"), lines)


def describe_bundle(bundle: Bundle) -> dict[str, Any]:
    """Return which bundle was measured."""
    return {"name": bundle.name, "precision": bundle.precision, "content_key": bundle.content_key}


def packaging_proof(bundle: Bundle) -> dict[str, float]:
    """Return how closely packaging found the bundle to agree with its source, as far as it was measured."""
    proof = bundle.provenance.get("proof", {})
    return {name: value for name, value in proof.items() if isinstance(value, int | float)}
