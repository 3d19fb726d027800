"""What a version keeps to compare live pictures with, fetched from its run."""

import tempfile

from modelyard.errors import ModelyardError
from modelyard.evaluation.reference import REFERENCE, Reference, make_reference, read_reference
from modelyard.registry.evidence import Evidence, fetch_kept, list_kept, read_kept_predictions
from modelyard.tracking.store import Store

FIRST_ANSWERS_ONLY = "it keeps no figures of its test pictures: `make repro` evaluates it again"


def read_kept_reference(store: Store, evidence: Evidence) -> tuple[Reference, str]:
    """Return a version's reference, and what it lacks, in words; empty if nothing.

    A version from before references were kept has its predictions: labels and scores come from these.

    Raises:
        ModelyardError: it keeps neither, or they cannot be read.
    """
    if REFERENCE not in list_kept(store, evidence):
        predictions, classes = read_kept_predictions(store, evidence)
        return make_reference(predictions.probabilities, None, classes), FIRST_ANSWERS_ONLY
    with tempfile.TemporaryDirectory() as folder:
        try:
            return read_reference(fetch_kept(store, evidence, REFERENCE, folder)), ""
        except ModelyardError as error:
            raise ModelyardError(f"{evidence.uri}: {error}".replace(f"{folder}/", "")) from None
