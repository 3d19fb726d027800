"""What a version showed when it was evaluated, which live pictures are compared with."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from modelyard.evaluation.reference import (
    RECENT_REFERENCE,
    REFERENCE,
    Reference,
    make_reference,
    read_reference,
)
from modelyard.monitoring.statistics import Grid
from modelyard.registry.evidence import Evidence
from modelyard.registry.kept_files import list_kept, read_kept, read_kept_predictions
from modelyard.tracking.store import Store

FIRST_ANSWERS_ONLY = "it keeps no figures of its test pictures: `make repro` evaluates it again"


@dataclass(frozen=True)
class Measured:
    """A version's reference, of which pictures it is, and what it lacks, in words; empty if nothing."""

    reference: Reference
    accuracy: float | None  # 0..1; None without labels
    of: Literal["test set", "recent set"] = "test set"
    lacks: str = ""

    @property
    def right(self) -> int | None:
        """On how many pictures it was right; None without labels."""
        return None if self.accuracy is None else round(self.accuracy * self.reference.images)

    @cached_property
    def grids(self) -> dict[str, Grid]:
        """The grid of each sample."""
        images, samples = self.reference.images, self.reference.samples
        return {name: Grid(sample, images) for name, sample in samples.items() if len(sample)}


def read_measured(store: Store, evidence: Evidence, fewest: int) -> Measured:
    """Return what a version showed on its recent pictures, if there are `fewest`, else on its test set.

    An older version keeps no reference: its labels and scores come from its predictions. Raises
    ModelyardError if it keeps neither, or they cannot be read.
    """
    kept = list_kept(store, evidence)
    if RECENT_REFERENCE in kept:
        recent = read_kept(store, evidence, RECENT_REFERENCE, read_reference)
        if recent.images >= fewest:
            return Measured(recent, evidence.metrics.get("recent/accuracy"), "recent set")
    accuracy = evidence.metrics.get("test/accuracy")
    if REFERENCE in kept:
        return Measured(read_kept(store, evidence, REFERENCE, read_reference), accuracy)
    predictions, classes = read_kept_predictions(store, evidence)
    reference = make_reference(predictions.probabilities, None, classes)
    return Measured(reference, accuracy, lacks=FIRST_ANSWERS_ONLY)
