"""What a version answered to the test pictures, and how they look: live pictures are compared with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelyard.arrays import open_arrays, write_arrays
from modelyard.evaluation.measures.classification import Floats
from modelyard.inference.input_figures import FIGURES
from modelyard.inference.ranking import find_named

REFERENCE = "reference.npz"
# The same for the recent pictures, if there are any: they are closer to what comes in.
RECENT_REFERENCE = "recent_reference.npz"
SCORE = "score"
UNLIKENESS = "unlikeness"
# A larger test set is thinned to this many values at equal ranks, off by at most 1 in 20,000.
MOST_KEPT = 10_000


@dataclass(frozen=True)
class Reference:
    """The first answers to the test pictures, their scores, and figures of the prepared inputs.

    `samples` has the sorted values of `score`, of each of `FIGURES`, and of `unlikeness` if the model tells
    it, float32 (m,), at most MOST_KEPT; an older version, which kept no such file, has only the scores.
    """

    images: int
    labels: Mapping[str, int]  # how often each was the first answer; 0 for the others
    samples: Mapping[str, Floats]


def make_reference(
    probabilities: Floats,
    figures: Floats | None,
    names: Sequence[str | None],
    unlikeness: Floats | None = None,
) -> Reference:
    """Make a reference of probabilities (n, outputs), figures (n, len(FIGURES)) and unlikeness (n,).

    `names` are of the outputs; those without a name are never answered.
    """
    places = find_named(names)
    answered = probabilities[:, places]
    counts = np.bincount(answered.argmax(axis=1), minlength=len(places)).tolist()
    columns = {SCORE: answered.max(axis=1)}
    if figures is not None:
        columns |= dict(zip(FIGURES, figures.T, strict=True))
    if unlikeness is not None:
        columns[UNLIKENESS] = unlikeness
    labels = {str(names[place]): count for place, count in zip(places, counts, strict=True)}
    return Reference(len(probabilities), labels, {name: _thin(each) for name, each in columns.items()})


def write_reference(path: Path, reference: Reference) -> None:
    """Write an .npz; the same reference gives the same bytes."""
    arrays = {
        "images": np.array(reference.images),
        "labels": np.array(list(reference.labels)),
        "counts": np.array(list(reference.labels.values()), np.int64),
        **reference.samples,
    }
    write_arrays(path, arrays)


def read_reference(path: Path) -> Reference:
    """Read what `write_reference` wrote; raise ModelyardError if it is missing or damaged."""
    expected, maker = "the reference of an evaluation", "evaluating a bundle writes it"
    with open_arrays(path, expected, maker, "evaluate again") as arrays:
        labels = dict(zip(map(str, arrays["labels"]), arrays["counts"].tolist(), strict=True))
        told = [UNLIKENESS] if UNLIKENESS in arrays else []
        samples = {name: arrays[name] for name in (SCORE, *FIGURES, *told)}
        return Reference(int(arrays["images"]), labels, samples)


def _thin(values: Floats) -> Floats:
    ordered = np.sort(np.asarray(values, np.float32))
    if len(ordered) <= MOST_KEPT:
        return ordered
    ranks = (np.arange(MOST_KEPT) + 0.5) * len(ordered) / MOST_KEPT
    thinned: Floats = ordered[ranks.astype(np.intp)]
    return thinned
