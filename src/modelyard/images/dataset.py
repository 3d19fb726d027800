"""The record of a dataset: what it is called, what it shows, where it came from, and how it was split."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.files import write_json
from modelyard.images.pictures import Pictures
from modelyard.images.splits import choose_part, refuse_empty_classes
from modelyard.inference.bundle import Preprocessing
from modelyard.params import Data


@dataclass(frozen=True, eq=False)
class Obtained:
    """The pictures of a dataset, as far as it comes split.

    Attributes:
        training: what is not of another split.
        validation: None where it is to be taken from `training`.
        test: as well.
        source: where they came from.
        facts: what else goes on record: checksums, what was left out.
        copies: (n,), the same number for pictures of `training` that are copies of each other; None where
            nobody looked.
    """

    training: Pictures
    validation: Pictures | None
    test: Pictures | None
    source: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    copies: Any = None


@dataclass(frozen=True)
class Dataset:
    """What `write_dataset` put on record.

    Attributes:
        name: of the data, and of the model that learns from it.
        classes: their names, in the order of the labels.
        preprocessing: how a network sees a picture.
        source: where the pictures came from.
        licence: of the pictures.
        record: all of it, plain JSON values.
    """

    name: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    source: str
    licence: str
    record: Mapping[str, Any]


def split_dataset(obtained: Obtained, data: Data) -> dict[str, Pictures]:
    """Return the splits `train`, `validation` and `test`; what a dataset does not bring is taken by the seed.

    Raises:
        ModelyardError: there are too few pictures, or a split lacks a class.
    """
    training, copies, test, validation = (
        obtained.training,
        obtained.copies,
        obtained.test,
        obtained.validation,
    )
    if test is None and data.format == "folder":
        training, test, copies = _take(training, data.test, data.seed, "data.test", copies)
    if validation is None:
        training, validation, _ = _take(training, data.validation, data.seed, "data.validation", copies)
    splits = {"train": training, "validation": validation, "test": test}
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
            name: {"images": len(pictures), "digest": pictures.digest} for name, pictures in splits.items()
        },
    }
    write_json(path, about)


def read_dataset(path: Path) -> Dataset:
    """Read the record.

    Raises:
        ModelyardError: it is missing, or is no such record.
    """
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


def _take(
    pictures: Pictures, part: int | float, seed: int, key: str, copies: Any
) -> tuple[Pictures, Pictures, Any]:
    """Return what remains, what is taken, and the copies among what remains."""
    chosen = choose_part(pictures.labels, part, seed, key, copies)
    rest = (~chosen).nonzero()[0]
    return pictures.take(rest), pictures.take(chosen.nonzero()[0]), None if copies is None else copies[rest]
