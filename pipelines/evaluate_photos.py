"""evaluate_photos: compare a photo bundle with its source on the sample photos, as it will be served."""

from argparse import Namespace

from modelyard.evaluation.agreement import read_answers
from modelyard.evaluation.photo_evaluation import evaluate_photo_bundle
from modelyard.files import write_json
from modelyard.params import Params
from modelyard.plots.evaluations import plot_photo_evaluation
from modelyard.stage import run_stage


def evaluate_photos(paths: Namespace, params: Params) -> None:
    """Write numbers, a picture of the answers, and what was measured on what."""
    source = read_answers(paths.answers)
    evaluation = evaluate_photo_bundle(paths.bundle, paths.samples, source, params.evaluate)
    plot_photo_evaluation(paths.plots, evaluation)
    write_json(paths.report, evaluation.report(paths.samples))
    write_json(paths.metrics, evaluation.metrics())
    bundle, agreement = evaluation.predictor.bundle, evaluation.agreement
    print(
        f"{bundle.name} ({bundle.precision}): its source's first answer on {agreement['same_first']:.0%} of "
        f"{agreement['images']} photos, largest difference {agreement['max_difference']:.1e}, "
        f"{evaluation.latency.p50_ms:.1f} ms an image"
    )


if __name__ == "__main__":
    run_stage(evaluate_photos, "bundle", "samples", "answers", "metrics", "plots", "report")
