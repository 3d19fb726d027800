"""The evaluation of a photo model without labelled data: agreement with its source, answers to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.evaluation.agreement import Answers, measure_agreement
from modelyard.evaluation.latency import Latency, measure_latency
from modelyard.evaluation.reports import describe_bundle, digest_files, packaging_proof
from modelyard.evaluation.served import answer_images, load_predictor, read_images
from modelyard.inference.predictor import Predictor
from modelyard.params import Evaluate

ANSWERS = 5


@dataclass(frozen=True)
class PhotoEvaluation:
    """What a bundle did with the sample photos.

    Attributes:
        predictor: of the bundle that was measured.
        names: of the photos' files.
        images: the files' bytes, in the order of `names`.
        agreement: see `agreement.measure_agreement`.
        load_ms: see `served.load_predictor`.
        latency: of the first photo's file, decoded and answered.
    """

    predictor: Predictor
    names: Sequence[str]
    images: Sequence[bytes]
    agreement: dict[str, float]
    load_ms: float
    latency: Latency

    def metrics(self) -> dict[str, Any]:
        """All numbers, nested; no accuracy, for these photos have no labels. See `nesting.flatten`.

        What the JPEG decoder alone changes (`agreement/decoder_max_difference`) is known from packaging,
        where the source could be asked; all else is measured here.
        """
        return {
            "agreement": packaging_proof(self.predictor.bundle) | self.agreement,
            "latency": {"p50_ms": self.latency.p50_ms, "p99_ms": self.latency.p99_ms},
            "load_ms": self.load_ms,
            "size_bytes": self.predictor.bundle.size_bytes,
        }

    def report(self, samples: Path) -> dict[str, Any]:
        """What was measured on what, and the five best answers to every photo of the folder `samples`."""
        return {
            "bundle": describe_bundle(self.predictor.bundle),
            "dataset": {
                "name": "sample-photos",
                "digest": digest_files(self.names, self.images),
                "source": samples.as_posix(),
                "images": len(self.names),
            },
            "latency": {"input": self.names[0], "runs": self.latency.runs},
            "answers": dict(zip(self.names, self.answers(), strict=True)),
        }

    def answers(self) -> list[Any]:
        """The five best answers to every photo, as `Predictor.predict` ranks them."""
        return self.predictor.predict(self.images, top_k=ANSWERS)


def evaluate_photo_bundle(
    folder: Path, samples: Path, source: Answers, evaluate: Evaluate
) -> PhotoEvaluation:
    """Ask the bundle in `folder` for the very files that its source has answered.

    Raises:
        ModelyardError: a file is missing or no image, the bundle is not whole, or its answers are none.
    """
    images = read_images(samples, source.names)
    predictor, load_ms = load_predictor(folder, images[0])
    latency = measure_latency(
        lambda: predictor.predict(images[:1]), evaluate.latency_runs, evaluate.latency_warmup
    )
    served = answer_images(predictor, images, [str(samples / name) for name in source.names])
    answered = [place for place, label in enumerate(predictor.bundle.labels) if label.name is not None]
    agreement = measure_agreement(source.probabilities, served, answered)
    return PhotoEvaluation(predictor, source.names, images, agreement, load_ms, latency)
