"""The pictures of an evaluation, and the tables that `dvc plots` draws from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelyard.evaluation.digit_evaluation import DigitEvaluation
from modelyard.evaluation.measures import calibration, confusion_matrix
from modelyard.evaluation.photo_evaluation import PhotoEvaluation
from modelyard.evaluation.reports import write_confusion, write_reliability
from modelyard.plots.charts import plot_confusion, plot_reliability
from modelyard.plots.gallery import AnsweredPhoto, plot_answers, plot_mistakes


def plot_digit_evaluation(folder: Path, evaluation: DigitEvaluation, source: Mapping[str, Any]) -> None:
    """Write confusion matrix, reliability and worst mistakes; `source` is the data's source.json."""
    labels, probabilities = evaluation.digits.labels, evaluation.probabilities
    model = f"{evaluation.bundle.name} ({evaluation.bundle.precision})"
    subject = f"{model} on the {len(labels):,} test images of {source['name']}"
    confusion = confusion_matrix(probabilities, labels)
    curve = calibration(probabilities, labels, evaluation.evaluate.bins)
    wrong = int(confusion.sum() - confusion.trace())
    plot_confusion(folder / "confusion_matrix.png", confusion, evaluation.names, subject)
    plot_reliability(folder / "reliability.png", curve, subject)
    plot_mistakes(folder / "mistakes.png", evaluation.digits.images, evaluation.worst, wrong, subject)
    write_confusion(folder / "confusion.csv", probabilities, labels, evaluation.names)
    write_reliability(folder / "reliability.csv", curve)


def plot_photo_evaluation(folder: Path, evaluation: PhotoEvaluation) -> None:
    """Write a picture of every photo beside its answers."""
    bundle = evaluation.predictor.bundle
    photos = [
        AnsweredPhoto(name, evaluation.predictor.decode(image), answers)
        for name, image, answers in zip(
            evaluation.names, evaluation.images, evaluation.answers(), strict=True
        )
    ]
    plot_answers(folder / "top5.png", photos, f"{bundle.name} ({bundle.precision}): the best answers")
