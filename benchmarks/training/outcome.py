"""The measurement of one fit: its examples, its clock, and what the network answers afterwards."""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.training.flops import count_training_flops
from benchmarks.training.runs import Run, measure_accuracy, name_kept
from modelyard.files import replace_file
from modelyard.images import examples
from modelyard.images.dataset import read_dataset
from modelyard.images.fitting import fit_pictures
from modelyard.images.pictures import read_pictures
from modelyard.params import Input
from modelyard.training.distribution.kernels import import_for_training


class Clock:
    """The time of a fit, from now on, and the ends of its epochs."""

    def __init__(self) -> None:
        self._began_s, self.epochs = time.perf_counter(), list[str]()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning, without pauses."""
        return time.perf_counter() - self._began_s

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock for as long as the body takes."""
        paused_s = time.perf_counter()
        yield
        self._began_s += time.perf_counter() - paused_s

    def end_epoch(self, val_accuracy: float) -> None:
        """Record the end of an epoch."""
        self.epochs.append(f"{self.elapsed_s:.3f}:{val_accuracy:.4f}")


@dataclass(frozen=True)
class Fit:
    """A fit that can begin: `run` makes and fits the network, in epochs of `images` each.

    Pixels, 0..255, are multiplied by `scale` for the network.
    """

    run: Callable[[Clock], Any]
    images: int
    batch_size: int
    members: int = 1
    scale: float = 1


def measure_fit(name: str, seed: int, fit: Fit, data: Path, keep: Path | None) -> Run:
    """Fit a network, then ask it for all images with the clock stopped; `keep` is for its probabilities."""
    began_s = time.perf_counter()
    import_for_training()
    import_s = time.perf_counter() - began_s
    clock = Clock()
    network = fit.run(clock)
    fit_s, peak_rss_mb, epochs = clock.elapsed_s, measure_peak_rss_mb(), len(clock.epochs)
    answers, accuracies = {}, {}
    for part in ("validation", "test"):
        asked = read_examples(data, part)
        answers[part] = network.predict(asked.inputs * np.float32(fit.scale), batch_size=1000, verbose=0)
        answers[f"{part}_labels"] = asked.labels
        accuracies[part] = measure_accuracy(answers[part], asked.labels)
    if keep is not None:
        with replace_file(name_kept(keep, name, seed)) as new, new.open("wb") as file:
            np.savez(file, **answers)
    return Run(
        network=name,
        seed=seed,
        fit_s=fit_s,
        import_s=import_s,
        test_accuracy=accuracies["test"],
        val_accuracy=accuracies["validation"],
        epochs=epochs,
        steps=epochs * -(-fit.images // fit.batch_size),
        weights=network.count_params(),
        gflop=count_training_flops(network) // fit.members * fit.images * epochs / 1e9,
        peak_rss_mb=peak_rss_mb,
        seconds_and_val_accuracy_of_epochs=" ".join(clock.epochs),
    )


def read_examples(data: Path, part: str) -> examples.Examples:
    """Read the `train`, `validation` or `test` part of the data as a network sees it."""
    file = data / f"{part}.npz"
    if part != "test":
        return examples.read_examples(file)
    # The stage `download` leaves test pictures as they came, since an evaluation answers files.
    pictures = read_pictures(file, data / "source")
    how = Input.model_validate(read_dataset(data / "dataset.json").record["input"])
    return examples.Examples(fit_pictures(pictures, how, part), pictures.labels, len(pictures.classes))


def measure_peak_rss_mb() -> float:
    """Return the most memory this process has had so far, in MB of 1,000,000 bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, Linux units of 1,024.
    return most * (1 if sys.platform == "darwin" else 1024) / 1e6
