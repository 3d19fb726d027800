"""The data of the stage `train`, found through its command in dvc.yaml."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import yaml

from modelyard.errors import ModelyardError
from modelyard.images.dataset import Dataset, read_dataset
from modelyard.images.examples import Examples, read_examples


@dataclass(frozen=True)
class TrainingData:
    """The training and validation splits, and their dataset; a sweep never reads the test split."""

    training: Examples
    validation: Examples
    dataset: Dataset


def read_training_data(root: Path) -> TrainingData:
    """Read the inputs of the stage `train`; raise ModelyardError if dvc.yaml does not name them."""
    paths = _read_paths(root / "dvc.yaml")
    training, validation = (read_examples(root / paths[name]) for name in ("train", "validation"))
    return TrainingData(training, validation, read_dataset(root / paths["dataset"]))


def _read_paths(file: Path) -> dict[str, str]:
    """Return the paths in the stage's command: `--train PATH --validation PATH ...`."""
    try:
        words = shlex.split(yaml.safe_load(file.read_text())["stages"]["train"]["cmd"])
        return {name: words[words.index(f"--{name}") + 1] for name in ("train", "validation", "dataset")}
    except (KeyError, ValueError, TypeError) as error:
        raise ModelyardError(
            f"{file}: expected a stage train with --train, --validation and --dataset in its command "
            f"({error!r})"
        ) from None
