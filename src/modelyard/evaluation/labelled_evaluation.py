"""The evaluation on labelled pictures: how often a bundle is right, and the record of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.evaluation.measures.classification import (
    ClassScores,
    Floats,
    Integers,
    check_answers,
    class_scores,
    confusion_matrix,
    measure_answers,
    measure_unlike,
)
from modelyard.evaluation.measures.shares import wilson_interval
from modelyard.evaluation.reference import Reference, make_reference
from modelyard.evaluation.reports import Predictions, describe_bundle, packaging_proof
from modelyard.evaluation.robustness import Robustness, measure_robustness
from modelyard.evaluation.served import Served, answer_files, ask_bundle
from modelyard.images.dataset import Dataset
from modelyard.images.pictures import Pictures
from modelyard.inference.predictor import Predictor
from modelyard.params import Evaluate


@dataclass(frozen=True)
class Mistake:
    """A wrong first answer, with the image's index and the names of both classes."""

    index: int
    truth: str
    answer: str
    score: float


def worst_mistakes(
    probabilities: Floats, labels: Integers, names: Sequence[str], limit: int
) -> tuple[Mistake, ...]:
    """Return at most `limit` mistakes, the highest score first; of equals, the lower index."""
    check_answers(probabilities, labels)
    answers = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(answers != labels)
    scores = probabilities.max(axis=1)
    worst = wrong[np.argsort(-scores[wrong], kind="stable")][:limit]
    return tuple(
        Mistake(int(index), names[labels[index]], names[answers[index]], float(scores[index]))
        for index in worst
    )


@dataclass(frozen=True)
class LabelledEvaluation:
    """What a bundle answered to the test pictures of a dataset."""

    served: Served
    pictures: Pictures
    dataset: Dataset
    evaluate: Evaluate
    robustness: Robustness | None = None  # None if conf/evaluate asks for none
    # Of pictures that were collected from live answers; None without any.
    recent: Predictions | None = None
    recent_reference: Reference | None = None

    @property
    def predictions(self) -> Predictions:
        """What is kept to compare this bundle with another."""
        names = tuple(self.pictures.name(place) for place in range(len(self.pictures)))
        return Predictions(self.pictures.labels, self.served.probabilities, self.pictures.digest, names)

    @property
    def scores(self) -> ClassScores:
        """Precision, recall and F1, class by class: for a table, not among the metrics."""
        return class_scores(confusion_matrix(self.served.probabilities, self.pictures.labels))

    @property
    def worst(self) -> Sequence[Mistake]:
        """The mistakes to show, the most confident first."""
        probabilities, labels = self.served.probabilities, self.pictures.labels
        return worst_mistakes(probabilities, labels, self.dataset.classes, self.evaluate.mistakes)

    def metrics(self) -> dict[str, Any]:
        """All numbers, nested; `nesting.flatten` gives them the names that MLflow shows.

        `agreement` is what packaging measured on the validation split, if the bundle has a proof.
        """
        probabilities, labels = self.served.probabilities, self.pictures.labels
        unlikeness, right = self.served.unlikeness, probabilities.argmax(axis=1) == labels
        proof = packaging_proof(self.served.bundle)
        return {
            "test": measure_answers(probabilities, labels, self.evaluate.bins),
            **({"robustness": self.robustness.metrics()} if self.robustness else {}),
            **({"recent": measure_recent(self.recent)} if self.recent else {}),
            **({"unlike": measure_unlike(unlikeness, right)} if unlikeness is not None else {}),
            **self.served.costs(),
            **({"agreement": proof} if proof else {}),
        }

    def report(self) -> dict[str, Any]:
        """What was measured on what, and the worst mistakes."""
        scores, recent = self.scores, self.recent
        of_recent = {"images": len(recent.labels), "digest": recent.digest} if recent else None
        return {
            "bundle": describe_bundle(self.served.bundle),
            "dataset": {
                "name": f"{self.dataset.name}-test",
                "digest": self.pictures.digest,
                "source": self.dataset.source,
                "images": len(self.pictures),
            },
            **({"recent": of_recent} if of_recent else {}),
            "images_per_class": dict(zip(self.dataset.classes, scores.support.tolist(), strict=True)),
            "classes": scores.by_class(self.dataset.classes),
            **self.served.circumstances(),
            **({"robustness": self.robustness.report()} if self.robustness else {}),
            "mistakes": [
                {**asdict(mistake), "name": self.pictures.name(mistake.index)} for mistake in self.worst
            ],
        }

    def summarize(self) -> str:
        """Say in one line how good it is."""
        metrics = self.metrics()
        test = metrics["test"]
        recent = (
            f"; {metrics['recent']['accuracy']:.2%} of {len(self.recent.labels):,} recent ones"
            if self.recent
            else ""
        )
        return (
            f"{self.served.bundle.name} ({self.served.bundle.precision}): {test['accuracy']:.2%} of "
            f"{len(self.pictures):,} test images (95 % interval {test['accuracy_low']:.2%} to "
            f"{test['accuracy_high']:.2%}; {test['majority']:.2%} are of one class){recent}, "
            f"{self.served.latency.p50_ms:.2f} ms an image{self._summarize_robustness()}"
        )

    def _summarize_robustness(self) -> str:
        if self.robustness is None:
            return ""
        found = self.robustness.metrics()
        return (
            f"; {found['mean_accuracy']:.1%} on corrupted ones, worst {found['worst_accuracy']:.1%} "
            f"({self.robustness.worst})"
        )


def predict_recent(predictor: Predictor, recent: Pictures) -> tuple[Predictions, Reference]:
    """Return what a bundle answers to recent pictures: to compare it with another, and with live answers."""
    names = tuple(recent.name(place) for place in range(len(recent)))
    probabilities, figures, unlikeness = answer_files(predictor, recent)
    labels = [label.name for label in predictor.bundle.labels]
    predictions = Predictions(recent.labels, probabilities, recent.digest, names)
    return predictions, make_reference(probabilities, figures, labels, unlikeness)


def measure_recent(recent: Predictions) -> dict[str, float]:
    """Return the accuracy on recent pictures, 0..1, with its 95 % interval."""
    right = int((recent.probabilities.argmax(axis=1) == recent.labels).sum())
    low, high = wilson_interval(right, len(recent.labels))
    return {"accuracy": right / len(recent.labels), "accuracy_low": low, "accuracy_high": high}


def evaluate_labelled(
    folder: Path, pictures: Pictures, dataset: Dataset, evaluate: Evaluate, recent: Pictures | None = None
) -> LabelledEvaluation:
    """Ask the bundle in `folder` about every picture, each as a file, as its users will.

    `recent` are pictures that were collected from live answers, if there are any. Raises ModelyardError if
    there are no pictures, one cannot be read, or the bundle is damaged, has other labels than the dataset, or
    cannot answer.
    """
    served = ask_bundle(folder, pictures, evaluate, classes=dataset.classes)
    robustness = measure_robustness(served, pictures, evaluate.corruptions)
    found = predict_recent(served.predictor, recent) if recent is not None and len(recent) else (None, None)
    return LabelledEvaluation(served, pictures, dataset, evaluate, robustness, *found)
