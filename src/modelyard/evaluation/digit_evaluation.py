"""The evaluation of a digit model: what is measured of it, and the record of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modelyard.evaluation.latency import Latency, measure_latency
from modelyard.evaluation.measures import (
    Floats,
    class_scores,
    confusion_matrix,
    measure_answers,
    measure_classes,
)
from modelyard.evaluation.mistakes import Mistake, worst_mistakes
from modelyard.evaluation.reports import (
    Predictions,
    describe_bundle,
    packaging_proof,
)
from modelyard.evaluation.served import answer_images, encode_pngs, load_predictor
from modelyard.images.dataset import Digits
from modelyard.inference.bundle import Bundle
from modelyard.params import Evaluate


@dataclass(frozen=True)
class DigitEvaluation:
    """What a bundle did with the test images.

    Attributes:
        bundle: what was measured.
        names: of its outputs, in order.
        digits: the test images.
        probabilities: (n, outputs), float32, of every test image.
        load_ms: see `served.load_predictor`.
        latency: of one PNG, decoded and answered.
        evaluate: the parameters it was measured with.
    """

    bundle: Bundle
    names: tuple[str, ...]
    digits: Digits
    probabilities: Floats
    load_ms: float
    latency: Latency
    evaluate: Evaluate

    @property
    def predictions(self) -> Predictions:
        """What is kept for comparing this bundle with another."""
        return Predictions(self.digits.labels, self.probabilities, self.digits.digest)

    def metrics(self) -> dict[str, Any]:
        """All numbers, nested; `nesting.flatten` gives them the names that MLflow shows.

        `agreement` is what packaging has measured on the validation images; it is left out where the bundle
        brings no proof.
        """
        labels, bundle = self.digits.labels, self.bundle
        measured = {
            "test": measure_answers(self.probabilities, labels, self.evaluate.bins),
            "class": measure_classes(confusion_matrix(self.probabilities, labels), self.names),
            "latency": {"p50_ms": self.latency.p50_ms, "p99_ms": self.latency.p99_ms},
            "load_ms": self.load_ms,
            "size_bytes": bundle.size_bytes,
        }
        proof = packaging_proof(bundle)
        return measured | ({"agreement": proof} if proof else {})

    def report(self, source: Mapping[str, Any]) -> dict[str, Any]:
        """What was measured on what, and the worst mistakes; `source` is the data's source.json."""
        scores = class_scores(confusion_matrix(self.probabilities, self.digits.labels))
        return {
            "bundle": describe_bundle(self.bundle),
            "dataset": {
                "name": f"{source['name']}-test",
                "digest": self.digits.digest,
                "source": source["source"],
                "images": len(self.digits),
            },
            "images_per_class": dict(zip(self.names, scores.support.tolist(), strict=True)),
            "latency": {"input": "one PNG", "runs": self.latency.runs},
            "mistakes": [asdict(mistake) for mistake in self.worst],
        }

    @property
    def worst(self) -> tuple[Mistake, ...]:
        """The mistakes to show, the surest first."""
        return worst_mistakes(self.probabilities, self.digits.labels, self.names, self.evaluate.mistakes)


def evaluate_digit_bundle(folder: Path, digits: Digits, evaluate: Evaluate) -> DigitEvaluation:
    """Ask the bundle in `folder` for every digit, each as a PNG, as its users will.

    Raises:
        ModelyardError: there are no digits, the bundle is not whole, or its answers are none.
    """
    images = encode_pngs(digits.images)
    predictor, load_ms = load_predictor(folder, images[0])
    latency = measure_latency(
        lambda: predictor.predict(images[:1]), evaluate.latency_runs, evaluate.latency_warmup
    )
    probabilities = answer_images(predictor, images, [f"test image {place}" for place in range(len(images))])
    names = tuple(label.name or f"output {place}" for place, label in enumerate(predictor.bundle.labels))
    return DigitEvaluation(predictor.bundle, names, digits, probabilities, load_ms, latency, evaluate)
