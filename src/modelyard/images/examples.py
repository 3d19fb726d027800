"""Examples: what a network sees, and the right answer to each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.images.dataset import CLASSES, Digits
from modelyard.errors import ModelyardError
from modelyard.params import Params


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs of a network with their labels.

    Attributes:
        inputs: (n, ...): pixels as uint8 (n, 28, 28, 1), or features as float32 (n, 2048).
        labels: uint8 (n,), 0..9.

    Raises:
        ModelyardError: a label is out of range, or there is not one for each input.
    """

    inputs: NDArray[Any]
    labels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Refuse what would end in a wrong number."""
        if len(self.inputs) != len(self.labels):
            raise ModelyardError(f"expected a label for each of {len(self.inputs)}, got {len(self.labels)}")
        if self.labels.size and self.labels.max() >= CLASSES:
            raise ModelyardError(f"labels: expected 0..{CLASSES - 1}, got {self.labels.max()}")

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.labels)

    def first(self, count: int | None, key: str = "train.images") -> "Examples":
        """Return the first `count`, or all; `key` is the parameter that says how many.

        Raises:
            ModelyardError: there are fewer.
        """
        if count is None:
            return self
        if count > len(self):
            raise ModelyardError(f"{key}: expected at most the {len(self)} there are, got {count}")
        return Examples(self.inputs[:count], self.labels[:count])


@dataclass(frozen=True, eq=False)
class Split:
    """What a network is fitted to, and what it is measured on meanwhile.

    Attributes:
        training: the examples to fit to.
        validation: the examples to measure on.
        lineage: further tags for the run: what else the inputs were made with.
    """

    training: Examples
    validation: Examples
    lineage: Mapping[str, str] = field(default_factory=dict)


def choose_pictures(params: Params, training: Digits, validation: Digits) -> Split:
    """Return the pictures that this training looks at; features need not be computed of all.

    Raises:
        ModelyardError: there are fewer than asked for.
    """
    pictures = Split(examples_of(training).first(params.train.images), examples_of(validation))
    if params.model.input == "pixels":
        return pictures
    return Split(pictures.training, choose_validation(params, validation))


def choose_validation(params: Params, validation: Digits) -> Examples:
    """Return the validation pictures that get features.

    Raises:
        ModelyardError: there are fewer than asked for.
    """
    key = "features.validation_images"
    return examples_of(validation).first(params.features.validation_images, key)


def examples_of(digits: Digits) -> Examples:
    """Return pictures as a network takes them: uint8 (n, 28, 28, 1)."""
    return Examples(digits.images[..., None], digits.labels)
