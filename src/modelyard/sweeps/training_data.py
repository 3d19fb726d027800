"""What the stage `train` reads: its paths stand in dvc.yaml, and nowhere else."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelyard.images.dataset import Digits, read_digits
from modelyard.errors import ModelyardError


@dataclass(frozen=True)
class TrainingData:
    """Two of the three splits; the test split is not among them, and is never read in a sweep.

    Attributes:
        source: what the stage `download` says of where they come from.
    """

    training: Digits
    validation: Digits
    source: dict[str, Any]


def read_training_data(root: Path) -> TrainingData:
    """Read the files that the repository's stage `train` is given.

    Raises:
        ModelyardError: dvc.yaml gives it none, or a file is missing or broken.
    """
    paths = _read_paths(root / "dvc.yaml")
    training, validation = (read_digits(root / paths[name]) for name in ("train", "validation"))
    return TrainingData(training, validation, json.loads((root / paths["source"]).read_text()))


def _read_paths(file: Path) -> dict[str, str]:
    """Return the options of the stage's command: `--train PATH --validation PATH ...`."""
    try:
        words = shlex.split(yaml.safe_load(file.read_text())["stages"]["train"]["cmd"])
        return {name: words[words.index(f"--{name}") + 1] for name in ("train", "validation", "source")}
    except (KeyError, ValueError, TypeError) as error:
        raise ModelyardError(
            f"{file}: expected a stage train with --train, --validation and --source in its command "
            f"({error!r})"
        ) from None
