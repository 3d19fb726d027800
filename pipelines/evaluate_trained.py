"""evaluate: measure the trained network's bundles on the test pictures, as they will be served."""

from argparse import Namespace

from modelyard.evaluation.labelled_evaluation import evaluate_labelled
from modelyard.evaluation.reference import RECENT_REFERENCE, REFERENCE, write_reference
from modelyard.evaluation.reports import write_classes, write_predictions
from modelyard.evaluation.served import find_bundles
from modelyard.files import replace_folder, write_json
from modelyard.images.dataset import read_dataset
from modelyard.images.pictures import read_pictures
from modelyard.images.samples import choose_samples
from modelyard.params import Params
from modelyard.plots.evaluations import plot_labelled, show_robustness
from modelyard.plots.small_samples import MOST, keep_samples
from modelyard.stages.stage import run_stage


def evaluate_trained(paths: Namespace, params: Params) -> None:
    """Write for each precision its numbers, plots, predictions, and what was measured."""
    pictures, dataset = read_pictures(paths.test, paths.source), read_dataset(paths.dataset)
    recent = read_pictures(paths.recent, paths.additions)
    metrics = {}
    with replace_folder(paths.reports) as reports:
        for bundle in find_bundles(paths.bundles):
            evaluation = evaluate_labelled(bundle, pictures, dataset, params.evaluate, recent)
            metrics[bundle.name] = evaluation.metrics()
            report = reports / bundle.name
            plot_labelled(report / "plots", evaluation)
            show_robustness(report / "robustness", evaluation)
            keep_samples(report, choose_samples(pictures, MOST))
            write_predictions(report / "predictions.npz", evaluation.predictions)
            write_classes(report / "classes.csv", evaluation.scores, dataset.classes)
            if evaluation.recent and evaluation.recent_reference:
                write_predictions(report / "recent.npz", evaluation.recent)
                write_reference(report / RECENT_REFERENCE, evaluation.recent_reference)
            write_reference(report / REFERENCE, evaluation.served.reference())
            write_json(report / "report.json", evaluation.report())
            print(evaluation.summarize())
    write_json(paths.metrics, metrics)


if __name__ == "__main__":
    run_stage(
        evaluate_trained, "bundles", "test", "source", "recent", "additions", "dataset", "reports", "metrics"
    )
