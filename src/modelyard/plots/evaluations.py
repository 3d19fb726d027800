"""The pictures of an evaluation, and the tables that `dvc plots` draws from."""

from pathlib import Path

from modelyard.evaluation.labelled_evaluation import LabelledEvaluation
from modelyard.evaluation.measures import calibration, confusion_matrix
from modelyard.evaluation.reports import write_confusion, write_reliability
from modelyard.evaluation.source_evaluation import SourceEvaluation
from modelyard.inference.bundle import Bundle
from modelyard.plots.charts import plot_confusion, plot_reliability
from modelyard.plots.gallery import AnsweredPicture, plot_answers, plot_mistakes
from modelyard.plots.robustness import plot_robustness

# Browsers cannot show a larger picture.
MOST_ANSWERED = 12


def plot_labelled(folder: Path, evaluation: LabelledEvaluation) -> None:
    """Write confusion matrix, reliability and worst mistakes."""
    pictures, probabilities = evaluation.pictures, evaluation.served.probabilities
    labels, classes = pictures.labels, evaluation.dataset.classes
    test = f"{len(labels):,} test images of {evaluation.dataset.name}"
    subject = f"{_name(evaluation.served.bundle)} on the {test}"
    confusion = confusion_matrix(probabilities, labels)
    curve = calibration(probabilities, labels, evaluation.evaluate.bins)
    wrong = int(confusion.sum() - confusion.trace())
    plot_confusion(folder / "confusion_matrix.png", confusion, classes, subject)
    plot_reliability(folder / "reliability.png", curve, subject)
    plot_mistakes(folder / "mistakes.png", pictures, evaluation.worst, wrong, subject)
    write_confusion(folder / "confusion.csv", probabilities, labels, classes)
    write_reliability(folder / "reliability.csv", curve)


def show_robustness(folder: Path, evaluation: LabelledEvaluation) -> None:
    """Write the table and the picture of corruptions; nothing if they were not asked for."""
    found, pictures = evaluation.robustness, evaluation.pictures
    if found is not None:
        folder.mkdir(parents=True, exist_ok=True)
        test = f"{len(pictures):,} test images of {evaluation.dataset.name}"
        found.write(folder / "accuracy.csv")
        subject = f"{_name(evaluation.served.bundle)} on the {test}"
        plot_robustness(folder / "accuracy.png", found, pictures, subject)


def plot_source(folder: Path, evaluation: SourceEvaluation) -> None:
    """Write a picture of the sample pictures beside their answers."""
    pairs = zip(evaluation.samples.cuts, evaluation.answers(), strict=False)
    pictures = [AnsweredPicture(*cut, answers) for cut, answers in pairs][:MOST_ANSWERED]
    plot_answers(folder / "top5.png", pictures, f"{_name(evaluation.served.bundle)}: the best answers")


def _name(bundle: Bundle) -> str:
    return f"{bundle.name} ({bundle.precision})"
