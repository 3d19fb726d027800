"""`python -m benchmarks.training.augmentation`: an epoch with and without augmentation; prints JSON."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.training.entry import run_measurement
from benchmarks.training.outcome import read_examples
from benchmarks.training.presets import compose_preset
from modelyard.errors import ModelyardError
from modelyard.params import EarlyStopping, Params, Schedule
from modelyard.quiet import import_tensorflow
from modelyard.training.augmentation import changes_pictures
from modelyard.training.members import fit_members
from modelyard.training.task import Task

UNCHANGED = {"shift_pixels": 0.0, "rotate_degrees": 0.0, "scale": 0.0, "elastic_pixels": 0.0}


@dataclass(frozen=True)
class Augmented:
    """What augmentation adds to an epoch.

    Attributes:
        preset: its name.
        plain_s: of an epoch of the same preset without any.
        augmented_s: of an epoch with it.
    """

    preset: str
    plain_s: float
    augmented_s: float

    @property
    def ratio(self) -> float:
        """How many times as long an epoch takes."""
        return self.augmented_s / self.plain_s


def measure_augmentation(preset: str, data: Path) -> Augmented:
    """Fit three epochs without augmentation and three with it; the first of each only warms up.

    Raises:
        ModelyardError: there is no such preset, it has no augmentation, or the data is missing.
    """
    params = compose_preset(preset)
    if not changes_pictures(params.train.augmentation):
        raise ModelyardError(f"{preset}: expected some train.augmentation to measure, got none")
    import_tensorflow()
    unchanged = params.train.augmentation.model_copy(update=UNCHANGED)
    plain = params.model_copy(update={"train": params.train.model_copy(update={"augmentation": unchanged})})
    plain_s, augmented_s = (_measure_epoch(one, data) for one in (plain, params))
    return Augmented(preset, plain_s, augmented_s)


def _measure_epoch(params: Params, data: Path) -> float:
    """Return the seconds of the faster of two epochs after a first, validation among them."""
    short = {
        "epochs": 3,
        # These make no step slower, and might not fit into three epochs.
        "schedule": Schedule(name="constant", warmup=0.0),
        "early_stopping": EarlyStopping(patience=None, min_improvement=0.0),
        "resume_from": None,
    }
    train = params.train.model_copy(update=short)
    model = params.model.model_copy(update={"members": 1})
    training = read_examples(data, "train").first(train.images)
    _, rows = fit_members(
        Task(model, train, training, read_examples(data, "validation")), lambda _epoch, _row: None
    )
    return min(row["seconds"] for row in rows[1:])


def _measure(preset: str, data: Path) -> dict[str, Any]:
    return asdict(measure_augmentation(preset, data))


if __name__ == "__main__":
    run_measurement(lambda given: _measure(given.preset, given.data), "preset")
