"""A network to package, and its answers to the pictures that its bundles are proved on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.inference.bundle import Label, Preprocessing
from modelyard.params import Precision


@dataclass(frozen=True)
class Source:
    """A network, trained or imported, and its own answers.

    Attributes:
        provenance: plain JSON values.
        convert: returns a LiteRT model, or raises a ModelyardError.
        fitted: yields the n pictures to prove a bundle on, each (h, w, c), 0..255; `names` are theirs.
        answers: the network's own probabilities for them, float32 (n, outputs).
        decoder_max_difference: the largest change of a probability by another JPEG decoder, if files were
            decoded.
        unlikeness: float32 (n,), 0..1, of the same pictures, if the network tells it.
        features: float32 (1, width), pooled from the first picture, if conf/ names features.
    """

    name: str
    labels: Sequence[Label]
    preprocessing: Preprocessing
    provenance: dict[str, Any]
    convert: Callable[[Precision], bytes]
    names: Sequence[str]
    fitted: Callable[[], Iterator[NDArray[Any]]]
    answers: NDArray[np.float32]
    decoder_max_difference: float | None = None
    unlikeness: NDArray[np.float32] | None = None
    features: NDArray[np.float32] | None = None
