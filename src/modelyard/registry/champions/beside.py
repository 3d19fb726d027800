"""A version beside the champion: on the same test images, and on the pictures that came in recently."""

from dataclasses import dataclass
from functools import cached_property

from modelyard.errors import ModelyardError
from modelyard.evaluation.labelled_evaluation import predict_recent
from modelyard.evaluation.measures.paired import PairedTest, mcnemar
from modelyard.evaluation.reports import Predictions
from modelyard.images.pictures import ADDITIONS, LIMITS, Pictures, read_pictures
from modelyard.inference.bundle import BundleError
from modelyard.inference.predictor import Predictor
from modelyard.registry.artifacts import fetch_bundle
from modelyard.registry.evidence import Evidence, read_evidence
from modelyard.registry.kept_files import keeps_recent, read_kept_predictions, read_recent_predictions
from modelyard.registry.versions import find_version
from modelyard.repository import find_root
from modelyard.tracking.store import Store

# As dvc.yaml names it.
RECENT_SPLIT = "recent.npz"


@dataclass(frozen=True)
class Beside:
    """Compares a version with the champion, which is read when it is first needed.

    In both comparisons the version is the first. Each raises ModelyardError if what it needs is missing.
    """

    store: Store
    evidence: Evidence
    champion_number: int

    @cached_property
    def champion(self) -> Evidence:
        """What is known of the champion."""
        version = find_version(self.store.client, self.evidence.name, str(self.champion_number))
        return read_evidence(self.store, version)

    def compare(self) -> PairedTest:
        """Compare the answers to the test images, one by one."""
        (ours, _), (theirs, _) = (
            read_kept_predictions(self.store, one) for one in (self.evidence, self.champion)
        )
        return mcnemar(ours, theirs)

    def compare_recent(self) -> PairedTest | None:
        """Compare the answers to the recent pictures of the version's evaluation; None if it had none.

        A champion that was evaluated before these pictures came in is asked about them now; they must be in
        this repository.
        """
        if not keeps_recent(self.store, self.evidence):
            return None
        ours = read_recent_predictions(self.store, self.evidence)
        if keeps_recent(self.store, self.champion):
            theirs = read_recent_predictions(self.store, self.champion)
            if theirs.digest == ours.digest:
                return mcnemar(ours, theirs)
        return mcnemar(ours, self._ask_champion(_find_recent(ours.digest)))

    def _ask_champion(self, pictures: Pictures) -> Predictions:
        uri, version = self.champion.uri, str(self.champion.version)
        bundle = fetch_bundle(self.store, find_version(self.store.client, self.champion.name, version))
        labels = [label.name for label in bundle.labels]
        if labels != list(pictures.classes):
            raise ModelyardError(f"{uri}: expected the classes of the recent pictures, got others")
        try:
            return predict_recent(Predictor(bundle, limits=LIMITS), pictures)[0]
        except BundleError as error:
            raise ModelyardError(f"{uri}: {error}") from None


def _find_recent(digest: str) -> Pictures:
    data = find_root() / "data"
    pictures = read_pictures(data / RECENT_SPLIT, data / ADDITIONS)
    if pictures.digest != digest:
        raise ModelyardError(
            f"data/{RECENT_SPLIT}: expected the recent pictures {digest[:12]} that the version was evaluated "
            f"on, got {pictures.digest[:12]}: `dvc checkout` or `make repro` brings them"
        )
    return pictures
