"""Examples: what a network sees, with the right answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.images.pictures import Labels, digest_arrays, open_arrays


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs of a network with their labels.

    Attributes:
        inputs: (n, ...): fitted pictures (n, h, w, c), uint8 or float32, 0..255; or features, float32 (n, w).
        labels: uint8 or uint16 (n,), 0..classes-1; a ModelyardError refuses others.
    """

    inputs: NDArray[Any]
    labels: Labels
    classes: int

    def __post_init__(self) -> None:
        """Refuse labels that are out of range, or too many or too few."""
        if len(self.inputs) != len(self.labels):
            raise ModelyardError(f"expected a label for each of {len(self.inputs)}, got {len(self.labels)}")
        if self.labels.size and self.labels.max() >= self.classes:
            raise ModelyardError(f"labels: expected 0..{self.classes - 1}, got {self.labels.max()}")

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, over shape and raw bytes of the inputs (grey ones as n, h, w), then the labels."""
        inputs = self.inputs[..., 0] if self.inputs.shape[1:][2:] == (1,) else self.inputs
        return digest_arrays(inputs, self.labels)

    def first(self, count: int | None) -> "Examples":
        """Return the first `count` (train.images), or all; raises ModelyardError if there are fewer."""
        if count is None:
            return self
        if count > len(self):
            raise ModelyardError(f"train.images: expected at most the {len(self)} there are, got {count}")
        return Examples(self.inputs[:count], self.labels[:count], self.classes)


@dataclass(frozen=True, eq=False)
class Split:
    """Examples to train on and to validate on; `lineage` has more tags for the run."""

    training: Examples
    validation: Examples
    lineage: Mapping[str, str] = field(default_factory=dict)


def read_examples(path: Path) -> Examples:
    """Read the fitted pictures that `write_pictures` wrote; raises ModelyardError for any other file."""
    with open_arrays(path) as arrays:
        inputs = arrays["inputs"] if "inputs" in arrays else arrays["levels"][..., None]
        return Examples(inputs, arrays["labels"], len(arrays["classes"]))
