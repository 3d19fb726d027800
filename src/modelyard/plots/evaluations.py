"""The pictures of an evaluation, and the tables that `dvc plots` draws from."""

from pathlib import Path

from modelyard.evaluation.labelled_evaluation import LabelledEvaluation
from modelyard.evaluation.measures.classification import calibration, confusion_matrix
from modelyard.evaluation.reports import write_confusion, write_reliability
from modelyard.evaluation.source_evaluation import ANSWERS, SourceEvaluation
from modelyard.images.samples import read_label
from modelyard.inference.origin import describe_origin
from modelyard.plots.confusion import plot_confusion
from modelyard.plots.contact_sheet import AnsweredPicture, count_right, plot_contact_sheet
from modelyard.plots.gallery import plot_mistakes
from modelyard.plots.previews import FOLDER as PREVIEWS
from modelyard.plots.previews import preview_answers, preview_confusion, preview_mistakes
from modelyard.plots.reliability import plot_reliability
from modelyard.plots.robustness import plot_robustness

# Nobody looks at more.
MOST_ANSWERED = 12


def plot_labelled(folder: Path, evaluation: LabelledEvaluation) -> None:
    """Write confusion matrix, reliability and worst mistakes, and previews of them."""
    pictures, probabilities = evaluation.pictures, evaluation.served.probabilities
    labels, classes = pictures.labels, evaluation.dataset.classes
    subject = f"{describe_origin(evaluation.served.bundle)}, on {len(labels):,} test images"
    confusion = confusion_matrix(probabilities, labels)
    curve = calibration(probabilities, labels, evaluation.evaluate.bins)
    wrong = int(confusion.sum() - confusion.trace())
    plot_confusion(folder / "confusion_matrix.png", confusion, classes, subject)
    plot_reliability(folder / "reliability.png", curve, subject)
    plot_mistakes(folder / "mistakes.png", pictures, evaluation.worst, wrong, subject)
    preview_confusion(folder / PREVIEWS / "confusion_matrix.png", confusion, classes)
    preview_mistakes(folder / PREVIEWS / "mistakes.png", pictures, evaluation.worst)
    write_confusion(folder / "confusion.csv", probabilities, labels, classes)
    write_reliability(folder / "reliability.csv", curve)


def show_robustness(folder: Path, evaluation: LabelledEvaluation) -> None:
    """Write the table and the picture of corruptions; nothing if they were not asked for."""
    found, pictures = evaluation.robustness, evaluation.pictures
    if found is not None:
        folder.mkdir(parents=True, exist_ok=True)
        found.write(folder / "accuracy.csv")
        tested = f"{len(pictures):,} test images of {evaluation.dataset.name}"
        subject = f"{describe_origin(evaluation.served.bundle)}, on {tested}"
        plot_robustness(folder / "accuracy.png", found, pictures, subject)


def plot_source(folder: Path, evaluation: SourceEvaluation) -> None:
    """Write a picture of the sample pictures beside their answers."""
    bundle = evaluation.served.bundle
    names = [label.name for label in bundle.labels if label.name is not None]
    pictures = [
        AnsweredPicture(name, pixels, answers, read_label(name, names))
        for (name, pixels), answers in zip(evaluation.samples.cuts, evaluation.answers(), strict=False)
    ][:MOST_ANSWERED]
    title = f"{describe_origin(bundle)}{count_right(pictures)}"
    plot_contact_sheet(folder / "top5.png", [(title, pictures)], ANSWERS - 1)
    preview_answers(folder / PREVIEWS / "top5.png", pictures)
