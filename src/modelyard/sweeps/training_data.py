"""What the stage `train` reads: its paths stand in dvc.yaml, and nowhere else."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import yaml

from modelyard.errors import ModelyardError
from modelyard.images.dataset import Dataset, read_dataset
from modelyard.images.examples import Examples, read_examples


@dataclass(frozen=True)
class TrainingData:
    """Two of the three splits; the test split is not among them, and is never read in a sweep.

    Attributes:
        dataset: what the stage `download` put on record.
    """

    training: Examples
    validation: Examples
    dataset: Dataset


def read_training_data(root: Path) -> TrainingData:
    """Read the files that the repository's stage `train` is given.

    Raises:
        ModelyardError: dvc.yaml gives it none, or a file is missing or broken.
    """
    paths = _read_paths(root / "dvc.yaml")
    training, validation = (read_examples(root / paths[name]) for name in ("train", "validation"))
    return TrainingData(training, validation, read_dataset(root / paths["dataset"]))


def _read_paths(file: Path) -> dict[str, str]:
    """Return the options of the stage's command: `--train PATH --validation PATH ...`."""
    try:
        words = shlex.split(yaml.safe_load(file.read_text())["stages"]["train"]["cmd"])
        return {name: words[words.index(f"--{name}") + 1] for name in ("train", "validation", "dataset")}
    except (KeyError, ValueError, TypeError) as error:
        raise ModelyardError(
            f"{file}: expected a stage train with --train, --validation and --dataset in its command "
            f"({error!r})"
        ) from None
