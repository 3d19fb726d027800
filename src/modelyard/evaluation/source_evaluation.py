"""The evaluation without labels: how far a bundle's answers are from its source's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.evaluation.measures.agreement import measure_agreement, pick_answers
from modelyard.evaluation.measures.classification import Floats
from modelyard.evaluation.reports import describe_bundle, packaging_proof
from modelyard.evaluation.served import Served, ask_bundle
from modelyard.images.crops import Samples
from modelyard.inference.ranking import find_named
from modelyard.params import Evaluate

ANSWERS = 5


@dataclass(frozen=True)
class SourceEvaluation:
    """What a bundle answered to the sample pictures and their cut-outs."""

    served: Served
    samples: Samples
    agreement: dict[str, float]  # as `agreement.measure_agreement` returns it

    def metrics(self) -> dict[str, Any]:
        """All numbers, nested; no accuracy, because these pictures have no labels. See `nesting.flatten`.

        Only packaging can ask the source what the decoder alone changes (`agreement/decoder_max_difference`).
        """
        return {
            "agreement": packaging_proof(self.served.bundle) | self.agreement,
            **self.served.costs(),
        }

    def report(self) -> dict[str, Any]:
        """What was measured on what, and the five best answers to every sample picture."""
        names = [path.name for path in self.samples.paths]
        return {
            "bundle": describe_bundle(self.served.bundle),
            "dataset": {
                "name": "sample-pictures",
                "digest": self.samples.digest,
                "source": self.samples.paths[0].parent.as_posix(),
                "images": len(self.samples),
            },
            **self.served.circumstances(),
            "answers": dict(zip(names, self.answers(), strict=True)),
        }

    def answers(self) -> list[Any]:
        """The five best answers to every sample picture, as `Predictor.predict` ranks them."""
        files = (path.read_bytes() for path in self.samples.paths)
        return self.served.predictor.predict(files, top_k=ANSWERS)

    def summarize(self) -> str:
        """Say in one line how close it is to its source."""
        found = self.agreement
        return (
            f"{self.served.bundle.name} ({self.served.bundle.precision}): its source's first answer on "
            f"{found['same_first']:.0%} of {found['images']} pictures (different ones: {found['answers']}), "
            f"largest difference {found['max_difference']:.1e}, {self.served.latency.p50_ms:.1f} ms an image"
        )


def evaluate_against_source(
    folder: Path, samples: Samples, source: Mapping[str, Floats], evaluate: Evaluate
) -> SourceEvaluation:
    """Ask the bundle in `folder` about the pictures that its source has answered, each as a file.

    Raises ModelyardError if the source has not answered a picture, or the bundle is damaged or cannot answer.
    """
    expected = pick_answers(source, [samples.name(place) for place in range(len(samples))])
    served = ask_bundle(folder, samples, evaluate)
    answered = find_named(label.name for label in served.bundle.labels)
    return SourceEvaluation(served, samples, measure_agreement(expected, served.probabilities, answered))
