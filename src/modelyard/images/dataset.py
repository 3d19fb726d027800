"""The record of a dataset: its name, classes, source and splits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.files import write_json
from modelyard.images.pictures import Pictures
from modelyard.images.splits import choose_part, refuse_empty_classes
from modelyard.inference.bundle import Preprocessing
from modelyard.params import Data


@dataclass(frozen=True, eq=False)
class Obtained:
    """The pictures of a dataset, before the splits that it lacks are taken from `training`.

    `facts` are for the record: checksums, what was left out. `copies` is (n,), the same number for copies of
    a picture in `training`; None if unknown.
    """

    training: Pictures
    validation: Pictures | None
    test: Pictures | None
    source: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    copies: Any = None


@dataclass(frozen=True)
class Dataset:
    """The content of `dataset.json`: `record` has all of it, as plain JSON values."""

    name: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    source: str
    licence: str
    record: Mapping[str, Any]


def split_dataset(obtained: Obtained, data: Data) -> dict[str, Pictures]:
    """Return the splits `train`, `validation` and `test`; the seed chooses those that the dataset lacks."""
    training, copies = obtained.training, obtained.copies
    given = {"test": obtained.test, "validation": obtained.validation}
    splits = {name: pictures for name, pictures in given.items() if pictures is not None}
    lacking = [name for name in given if name not in splits]
    for number, name in enumerate(lacking):
        # Each class keeps one picture for training, and one for each further split.
        keep = len(lacking) - number
        chosen = choose_part(training.labels, getattr(data, name), data.seed, f"data.{name}", copies, keep)
        splits[name] = training.take(np.flatnonzero(chosen))
        training, copies = training.take(np.flatnonzero(~chosen)), None if copies is None else copies[~chosen]
    splits = {"train": training, "validation": splits["validation"], "test": splits["test"]}
    for name, pictures in splits.items():
        refuse_empty_classes(pictures.labels, pictures.classes, name)
    return splits


def write_dataset(path: Path, data: Data, obtained: Obtained, splits: Mapping[str, Pictures]) -> None:
    """Write the record as JSON."""
    classes = splits["train"].classes
    about = {
        "name": data.name,
        "classes": list(classes),
        "input": data.input.model_dump(mode="json"),
        "source": obtained.source,
        "licence": data.licence,
        "homepage": data.homepage,
        "seed": data.seed,
        **obtained.facts,
        "splits": {
            name: {"images": len(pictures), "digest": pictures.digest}
            for name, pictures in splits.items()
            if len(pictures)
        },
    }
    write_json(path, about)


def read_dataset(path: Path) -> Dataset:
    """Read the record; raises ModelyardError if it is missing or invalid."""
    try:
        record = json.loads(path.read_text())
        return Dataset(
            record["name"],
            tuple(record["classes"]),
            Preprocessing(**record["input"]),
            record["source"],
            record["licence"],
            record,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelyardError(
            f"{path}: expected the record of a dataset ({error}): `dvc repro download` makes it"
        ) from None
