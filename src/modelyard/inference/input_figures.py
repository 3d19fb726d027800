"""Five cheap figures of what a model is given, by which a change of the pictures is told."""

import numpy as np
from numpy.typing import NDArray

# In the order of the columns of `input_figures`; nowhere else are they named.
FIGURES = ("mean", "spread", "ink", "saturated", "edges")
_MIDDLE, _LIGHTEST = 127.5, 255.0
# Fractions of a level: an older bundle's scaling was undone, and rounds.
_END = 0.5


def input_figures(inputs: NDArray[np.float32] | NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure prepared inputs (n, h, w, c), levels 0..255, each for itself.

    Returns float32 (n, 5), of pixels scaled to 0..1: their mean; spread, the standard deviation; ink, the
    share above the middle; saturated, the share within half a level of either end; edges, the mean absolute
    difference of neighbours, side by side and one above the other (0 where there are none).
    """
    levels = np.asarray(inputs, np.float32)
    flat = levels.reshape(len(levels), -1)
    saturated = (flat <= _END) | (flat >= _LIGHTEST - _END)
    figures = [
        flat.mean(axis=1) / _LIGHTEST,
        flat.std(axis=1) / _LIGHTEST,
        (flat > _MIDDLE).mean(axis=1),
        saturated.mean(axis=1),
        _measure_edges(levels) / _LIGHTEST,
    ]
    return np.stack(figures, axis=1).astype(np.float32)


def _measure_edges(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    steps = [np.abs(np.diff(levels, axis=axis)).reshape(len(levels), -1) for axis in (1, 2)]
    pairs = max(1, sum(step.shape[1] for step in steps))
    total: NDArray[np.float32] = sum(step.sum(axis=1) for step in steps) / np.float32(pairs)
    return total
