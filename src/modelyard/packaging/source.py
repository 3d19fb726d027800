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
    """A network, trained or imported.

    Attributes:
        provenance: plain JSON values.
        convert: returns a LiteRT model, or raises a ModelyardError.
        names: of n pictures to prove a bundle on.
        fitted: yields these pictures in order, each (h, w, c), 0..255, as `fits.fit_pixels` makes them.
        answers: float32 (n, outputs), the network's own probabilities for them.
        decoder_max_difference: the largest change of a probability by another decoder of the same files,
            0..1; None if no file was decoded.
        features: float32 (1, width), pooled from the first picture; None if conf/ names no features.
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
    features: NDArray[np.float32] | None = None
