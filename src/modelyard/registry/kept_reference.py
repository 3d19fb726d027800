"""What a version keeps to compare live pictures with, fetched from its run."""

from dataclasses import dataclass
from typing import Literal

from modelyard.evaluation.reference import (
    RECENT_REFERENCE,
    REFERENCE,
    Reference,
    make_reference,
    read_reference,
)
from modelyard.registry.evidence import Evidence, list_kept, read_kept, read_kept_predictions
from modelyard.tracking.store import Store

FIRST_ANSWERS_ONLY = "it keeps no figures of its test pictures: `make repro` evaluates it again"


@dataclass(frozen=True)
class Kept:
    """A version's reference, of which pictures it is, and what it lacks, in words; empty if nothing."""

    reference: Reference
    accuracy: float | None  # 0..1; None without labels
    of: Literal["test set", "recent set"]
    lacks: str = ""


def read_kept_reference(store: Store, evidence: Evidence, fewest: int) -> Kept:
    """Return the reference of a version's recent pictures, if there are `fewest`, else that of its test set.

    A version from before references were kept has its predictions: labels and scores come from these.

    Raises:
        ModelyardError: it keeps neither, or they cannot be read.
    """
    kept = list_kept(store, evidence)
    if RECENT_REFERENCE in kept:
        recent = read_kept(store, evidence, RECENT_REFERENCE, read_reference)
        if recent.images >= fewest:
            return Kept(recent, evidence.metrics.get("recent/accuracy"), "recent set")
    accuracy = evidence.metrics.get("test/accuracy")
    if REFERENCE in kept:
        return Kept(read_kept(store, evidence, REFERENCE, read_reference), accuracy, "test set")
    predictions, classes = read_kept_predictions(store, evidence)
    reference = make_reference(predictions.probabilities, None, classes)
    return Kept(reference, accuracy, "test set", FIRST_ANSWERS_ONLY)
