"""What one fit is measured by, and how it goes from process to process: as one line of JSON."""

import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

TEXTBOOK = "textbook"


@dataclass(frozen=True)
class Epoch:
    """The end of an epoch.

    Attributes:
        elapsed_s: since the start of the fit, on its clock.
        val_accuracy: on the validation split, 0..1.
    """

    elapsed_s: float
    val_accuracy: float


@dataclass(frozen=True)
class Run:
    """One fit, in a process of its own.

    Attributes:
        name: of the preset, or "textbook".
        seed: of the training, the split is always the same; None where several seeds' networks answer as one.
        fit_s: from the network's making to its last weight: graphs, all epochs, and a preset's validation.
        import_s: of TensorFlow, before that.
        epochs: of all members, one after the other.
        val_accuracy: of the final network, 0..1.
        test_accuracy: as well, on all test images; read once.
        weights: of the network, those that are not trained too.
        steps: of all epochs.
        flops: of all steps, as `flops.count_training_flops` counts them.
        peak_rss_mb: the most memory that the process had until the fit ended, in MB of 1,000,000 bytes.
    """

    name: str
    seed: int | None
    fit_s: float
    import_s: float
    epochs: tuple[Epoch, ...]
    val_accuracy: float
    test_accuracy: float
    weights: int
    steps: int
    flops: float
    peak_rss_mb: float

    @property
    def flops_per_s(self) -> float:
        """How fast it computed, over the whole fit."""
        return self.flops / self.fit_s

    def plain(self) -> dict[str, Any]:
        """Return what JSON takes."""
        return asdict(self)

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> "Run":
        """Return the run that `plain` was made of."""
        epochs = tuple(Epoch(**epoch) for epoch in values["epochs"])
        return cls(**{**values, "epochs": epochs})


def measure_peak_rss_mb() -> float:
    """Return the most memory this process has had so far, in MB of 1,000,000 bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, Linux 1,024 of them.
    return most * (1 if sys.platform == "darwin" else 1024) / 1e6
