"""What is measured of a network once it is fitted, with the clock stopped."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.training.flops import count_training_flops
from benchmarks.training.runs import Epoch, Run
from modelyard.files import replace_file
from modelyard.images import examples
from modelyard.images.examples import Examples

if TYPE_CHECKING:
    import keras

DATA = Path("data")
BATCH = 1000


@dataclass(frozen=True)
class Fit:
    """A fit that has ended.

    Attributes:
        name: of the preset, or "textbook".
        members: of the network; each has seen all images in each of its epochs.
        images: that every epoch saw.
        batch_size: of every step but the last of an epoch.
    """

    name: str
    seed: int
    members: int
    images: int
    batch_size: int
    import_s: float
    fit_s: float
    epochs: tuple[Epoch, ...]
    peak_rss_mb: float


def read_examples(data: Path, part: str) -> Examples:
    """Read the `train`, `validation` or `test` part of the data."""
    return examples.read_examples(data / f"{part}.npz")


def measure_outcome(fit: Fit, network: "keras.Model", data: Path, keep: Path | None, scale: float = 1) -> Run:
    """Ask the network for all validation and all test images, and count its operations.

    Args:
        fit: the network's.
        network: float32.
        data: the folder with the three parts.
        keep: a folder for the probabilities, NAME-SEED.npz, or None.
        scale: what the network wants its pixels, 0..255, multiplied with.
    """
    answers = {}
    for part in ("validation", "test"):
        examples = read_examples(data, part)
        inputs = examples.inputs * np.float32(scale)
        answers[part] = network.predict(inputs, batch_size=BATCH, verbose=0)
        answers[f"{part}_labels"] = examples.labels
    if keep is not None:
        with replace_file(name_kept(keep, fit.name, fit.seed)) as new, new.open("wb") as file:
            np.savez(file, **answers)
    epochs = len(fit.epochs)
    return Run(
        name=fit.name,
        seed=fit.seed,
        fit_s=fit.fit_s,
        import_s=fit.import_s,
        epochs=fit.epochs,
        val_accuracy=measure_accuracy(answers["validation"], answers["validation_labels"]),
        test_accuracy=measure_accuracy(answers["test"], answers["test_labels"]),
        weights=network.count_params(),
        steps=epochs * -(-fit.images // fit.batch_size),
        flops=float(count_training_flops(network) // fit.members * fit.images * epochs),
        peak_rss_mb=fit.peak_rss_mb,
    )


def measure_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of first answers that are right, 0..1."""
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def name_kept(folder: Path, name: str, seed: int | None) -> Path:
    """Return where the probabilities of a run are kept."""
    return folder / f"{name}-{seed}.npz"
