"""The order of an answer's labels."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def find_named(names: Iterable[str | None]) -> NDArray[np.int64]:
    """Return the outputs that have a name; the others are never answered."""
    return np.array([output for output, name in enumerate(names) if name is not None])


def find_best(scores: NDArray[np.float32], outputs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the `count` best of some outputs (..., count) for scores (..., all outputs).

    The best comes first; of equal scores, the lower output.
    """
    return outputs[np.argsort(-scores[..., outputs], kind="stable")[..., :count]]
