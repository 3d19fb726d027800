"""evaluate_digits: measure a digit bundle on MNIST's own test images, as it will be served."""

import json
from argparse import Namespace

from modelyard.evaluation.digit_evaluation import evaluate_digit_bundle
from modelyard.evaluation.reports import write_predictions
from modelyard.files import write_json
from modelyard.images.dataset import read_digits
from modelyard.params import Params
from modelyard.plots.evaluations import plot_digit_evaluation
from modelyard.stage import run_stage


def evaluate_digits(paths: Namespace, params: Params) -> None:
    """Write numbers, pictures, every prediction, and what was measured on what."""
    source = json.loads(paths.source.read_text())
    evaluation = evaluate_digit_bundle(paths.bundle, read_digits(paths.test), params.evaluate)
    metrics = evaluation.metrics()
    plot_digit_evaluation(paths.plots, evaluation, source)
    write_predictions(paths.predictions, evaluation.predictions)
    write_json(paths.report, evaluation.report(source))
    write_json(paths.metrics, metrics)
    test = metrics["test"]
    print(
        f"{evaluation.bundle.name}: {test['accuracy']:.2%} of {len(evaluation.digits):,} test images "
        f"(95 % interval {test['accuracy_low']:.2%} to {test['accuracy_high']:.2%}), "
        f"{evaluation.latency.p50_ms:.2f} ms an image"
    )


if __name__ == "__main__":
    run_stage(evaluate_digits, "bundle", "test", "source", "metrics", "plots", "predictions", "report")
