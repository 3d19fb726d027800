"""Fits that were measured: a line of training.csv each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TEXTBOOK = "textbook"


@dataclass(frozen=True)
class Run:
    """One fit, in a process of its own.

    Attributes:
        network: the preset, or "textbook".
        seed: of the training; the split is always the same. None where several networks answer together.
        fit_s: from making the network to its last weight: graphs, all epochs, and a preset's validation.
        import_s: of TensorFlow, before that.
        test_accuracy: of the final network on all test images, 0..1; `val_accuracy` on validation images.
        epochs: of all members of an ensemble, as `steps`.
        weights: of the network, including those that are not trained.
        gflop: billions of operations in all steps, as `count_training_flops` counts them.
        peak_rss_mb: the most memory of the process until the fit ended, in MB of 1,000,000 bytes.
        seconds_and_val_accuracy_of_epochs: such as "1.5:0.9712 2.9:0.9804"; seconds since the fit began.
    """

    network: str
    seed: int | None
    fit_s: float
    import_s: float
    test_accuracy: float
    val_accuracy: float
    epochs: int
    steps: int
    weights: int
    gflop: float
    peak_rss_mb: float
    seconds_and_val_accuracy_of_epochs: str


def average_runs(runs: Sequence[Run], folder: Path) -> Run:
    """Return the run that an ensemble of these networks would have been; `folder` has their probabilities."""
    kept = []
    for run in runs:
        with np.load(name_kept(folder, run.network, run.seed), allow_pickle=False) as arrays:
            kept.append(dict(arrays))
    validation, test = (
        measure_accuracy(np.mean([one[part] for one in kept], axis=0), kept[0][f"{part}_labels"])
        for part in ("validation", "test")
    )
    return replace(
        runs[0],
        network=f"ensemble of {len(runs)} {runs[0].network}",
        seed=None,
        test_accuracy=test,
        val_accuracy=validation,
        epochs=0,
        peak_rss_mb=max(run.peak_rss_mb for run in runs),
        seconds_and_val_accuracy_of_epochs="",
        **{key: sum(getattr(run, key) for run in runs) for key in ("fit_s", "steps", "weights", "gflop")},
    )


def read_epochs(text: str) -> NDArray[np.float64]:
    """Read `seconds_and_val_accuracy_of_epochs`: (epochs, 2)."""
    return np.array([pair.split(":") for pair in text.split()], np.float64).reshape(-1, 2)


def measure_accuracy(probabilities: NDArray[np.floating], labels: NDArray[np.unsignedinteger]) -> float:
    """Return the share of rows (n, classes) whose largest value is at the label (n,), 0..1."""
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def name_kept(folder: Path, network: str, seed: int | None) -> Path:
    """Return the file for the probabilities of a run."""
    return folder / f"{network}-{seed}.npz"
