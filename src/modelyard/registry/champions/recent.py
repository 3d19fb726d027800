"""Two versions on the recent pictures: is the new one as good as the champion on what came in recently?"""

from modelyard.errors import ModelyardError
from modelyard.evaluation.labelled_evaluation import predict_recent
from modelyard.evaluation.measures.paired import PairedTest, mcnemar
from modelyard.evaluation.reports import Predictions
from modelyard.images.pictures import ADDITIONS, LIMITS, Pictures, read_pictures
from modelyard.inference.bundle import BundleError
from modelyard.inference.predictor import Predictor
from modelyard.registry.artifacts import fetch_bundle
from modelyard.registry.evidence import Evidence, keeps_recent, read_recent_predictions
from modelyard.registry.versions import find_version
from modelyard.repository import find_root
from modelyard.tracking.store import Store

# As dvc.yaml names it.
RECENT_SPLIT = "recent.npz"


def compare_recent(store: Store, evidence: Evidence, champion: Evidence) -> PairedTest | None:
    """Test a version beside the champion on the recent pictures of its evaluation; None if it had none.

    A champion that was evaluated before these pictures came in is asked about them now.

    Raises:
        ModelyardError: the champion cannot be asked, or the pictures are not in this repository.
    """
    if not keeps_recent(store, evidence):
        return None
    ours = read_recent_predictions(store, evidence)
    if keeps_recent(store, champion):
        theirs = read_recent_predictions(store, champion)
        if theirs.digest == ours.digest:
            return mcnemar(ours, theirs)
    return mcnemar(ours, _ask(store, champion, _find_recent(ours.digest)))


def _find_recent(digest: str) -> Pictures:
    data = find_root() / "data"
    pictures = read_pictures(data / RECENT_SPLIT, data / ADDITIONS)
    if pictures.digest != digest:
        raise ModelyardError(
            f"data/{RECENT_SPLIT}: expected the recent pictures {digest[:12]} that the version was evaluated "
            f"on, got {pictures.digest[:12]}: `dvc checkout` or `make repro` brings them"
        )
    return pictures


def _ask(store: Store, champion: Evidence, pictures: Pictures) -> Predictions:
    bundle = fetch_bundle(store, find_version(store.client, champion.name, str(champion.version)))
    labels = [label.name for label in bundle.labels]
    if labels != list(pictures.classes):
        raise ModelyardError(f"{champion.uri}: expected the classes of the recent pictures, got others")
    try:
        return predict_recent(Predictor(bundle, limits=LIMITS), pictures)[0]
    except BundleError as error:
        raise ModelyardError(f"{champion.uri}: {error}") from None
