"""Examples: what a network sees, and the right answer to each."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.digits.dataset import CLASSES, Digits
from modelyard.errors import ModelyardError


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

    def first(self, count: int | None) -> "Examples":
        """Return the first `count`, or all.

        Raises:
            ModelyardError: there are fewer.
        """
        if count is None:
            return self
        if count > len(self):
            raise ModelyardError(f"train.images: expected at most the {len(self)} there are, got {count}")
        return Examples(self.inputs[:count], self.labels[:count])


def examples_of(digits: Digits) -> Examples:
    """Return pictures as a network takes them: uint8 (n, 28, 28, 1)."""
    return Examples(digits.images[..., None], digits.labels)
