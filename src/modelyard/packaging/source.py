"""A network that is to be packaged, and what it answers to the pictures that its bundles are proved on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.inference.bundle import Label, Preprocessing
from modelyard.params import Precision


@dataclass(frozen=True)
class Source:
    """A network, whatever it came from.

    Attributes:
        name: the registered name.
        labels: one for each output.
        preprocessing: how an image becomes the input of a bundle.
        provenance: plain JSON values: where the network comes from.
        convert: makes a LiteRT model of it; raises a ModelyardError where that cannot be done.
        names: of n pictures to prove a bundle on.
        fitted: gives these pictures in their order, each (h, w, c), 0..255, as `fits.fit_pixels` makes them.
        answers: float32 (n, outputs), the network's own probabilities for them.
        decoder_max_difference: what another decoder of the same files changes in any of its probabilities,
            0..1; None where no file was decoded.
        features: float32 (1, width), what the network pools of the first picture, for others to learn from;
            None where conf/ names no features.
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
