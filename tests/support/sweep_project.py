"""A repository with a sweep, and with so little training data that a trial is fast."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from conftest import ROOT
from made_digits import make_digits, write_record
from modelyard.images.pictures import write_pictures
from modelyard.params import validate_params

STAGES = {"stages": {"train": {"cmd": "python train.py --train a.npz --validation b.npz --dataset c.json"}}}
SMALL = {
    "model.name": "mlp",
    "model.convolutions": [],
    "model.batch_norm": False,
    "model.head": "flatten",
    "model.dense": [8],
    "train.epochs": 2,
    "train.batch_size": 16,
    "train.optimizer.learning_rate": 0.01,
    "train.schedule": {"name": "constant", "warmup": 0.0},
    "sweep.trials": 3,
    "sweep.sampler": {"name": "random", "startup_trials": 0},
    "sweep.pruner": {"name": "none", "startup_trials": 0, "warmup_epochs": 0},
    "sweep.space": {"train.optimizer.learning_rate": {"low": 0.001, "high": 0.1, "log": True}},
}


def make_project(folder: Path, values: dict[str, Any], **changes: Any) -> Path:
    """Write dvc.yaml, conf/, data and params.yaml; there is no test split, since a sweep reads none.

    Args:
        folder: is created.
        values: the shipped configuration, changed by SMALL.
        **changes: further values; `__` stands for a dot.
    """
    shutil.copytree(ROOT / "conf", folder / "conf")
    (folder / "dvc.yaml").write_text(yaml.safe_dump(STAGES))
    for name, seed in (("a.npz", 0), ("b.npz", 1)):
        write_pictures(folder / name, make_digits(67, seed))
    write_record(folder / "c.json", validate_params(values).data, make_digits(67))
    set_values(folder, values, **changes)
    return folder


def set_values(folder: Path, values: dict[str, Any], **changes: Any) -> None:
    """Write params.yaml."""
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    for key, value in (SMALL | changed).items():
        *path, last = key.split(".")
        place = values
        for part in path:
            place = place[part]
        place[last] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
