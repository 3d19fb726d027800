"""evaluate: compare the imported network's bundles with their source on sample pictures, served."""

from argparse import Namespace

from modelyard.evaluation.measures.agreement import read_answers
from modelyard.evaluation.reference import REFERENCE, write_reference
from modelyard.evaluation.served import find_bundles
from modelyard.evaluation.source_evaluation import evaluate_against_source
from modelyard.files import replace_folder, write_json
from modelyard.images.crops import read_samples
from modelyard.params import Params
from modelyard.plots.evaluations import plot_source
from modelyard.plots.small_samples import keep_samples
from modelyard.stages.stage import run_stage


def evaluate_imported(paths: Namespace, params: Params) -> None:
    """Write for each precision its numbers, a picture of its answers, and what was measured."""
    samples = read_samples(paths.samples, params.package.proof_pictures)
    source, metrics = read_answers(paths.answers), {}
    with replace_folder(paths.reports) as reports:
        for bundle in find_bundles(paths.bundles):
            evaluation = evaluate_against_source(bundle, samples, source, params.evaluate)
            metrics[bundle.name] = evaluation.metrics()
            plot_source(reports / bundle.name / "plots", evaluation)
            keep_samples(reports / bundle.name, ((path.name, path.read_bytes()) for path in samples.paths))
            write_reference(reports / bundle.name / REFERENCE, evaluation.served.reference())
            write_json(reports / bundle.name / "report.json", evaluation.report())
            print(evaluation.summarize())
    write_json(paths.metrics, metrics)


if __name__ == "__main__":
    run_stage(evaluate_imported, "bundles", "samples", "answers", "reports", "metrics")
