"""An ensemble of networks that are fitted already: the average of what each of them answered."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.training.outcome import measure_accuracy, name_kept
from benchmarks.training.runs import Run


def average_runs(runs: Sequence[Run], folder: Path) -> Run:
    """Make the run that an ensemble of these networks would have been.

    Args:
        runs: two or more of the same preset, fitted one after the other: times, steps and weights are added.
        folder: where the probabilities of the runs were kept.
    """
    kept = []
    for run in runs:
        with np.load(name_kept(folder, run.name, run.seed), allow_pickle=False) as arrays:
            kept.append(dict(arrays))
    accuracy = {
        part: measure_accuracy(np.mean([one[part] for one in kept], axis=0), kept[0][f"{part}_labels"])
        for part in ("validation", "test")
    }
    return Run(
        name=f"ensemble of {len(runs)} {runs[0].name}",
        seed=None,
        fit_s=sum(run.fit_s for run in runs),
        import_s=runs[0].import_s,
        epochs=(),
        val_accuracy=accuracy["validation"],
        test_accuracy=accuracy["test"],
        weights=sum(run.weights for run in runs),
        steps=sum(run.steps for run in runs),
        flops=sum(run.flops for run in runs),
        peak_rss_mb=max(run.peak_rss_mb for run in runs),
    )
