"""What a version answered to the test pictures, and how these look: live pictures are compared with it."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures.classification import Floats
from modelyard.files import replace_file
from modelyard.inference.input_figures import FIGURES

REFERENCE = "reference.npz"
# The same of the recent pictures, if there are any: they are closer to what comes in.
RECENT_REFERENCE = "recent_reference.npz"
SCORE = "score"
UNLIKENESS = "unlikeness"
# Of a larger test set, as many values at equal ranks are kept: they are off by at most 1 in 20,000.
MOST_KEPT = 10_000


@dataclass(frozen=True)
class Reference:
    """The first answers to the test pictures, their scores, and figures of the prepared inputs.

    `samples` has for `score`, for each of `FIGURES`, and for `unlikeness` if the model tells it, the sorted
    values, float32 (m,), at most MOST_KEPT; a version from before this file was kept has only the scores.
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
    places = np.array([place for place, name in enumerate(names) if name is not None])
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
    with replace_file(path) as new, new.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_reference(path: Path) -> Reference:
    """Read what `write_reference` wrote; raise ModelyardError if it is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            labels = dict(zip(map(str, arrays["labels"]), arrays["counts"].tolist(), strict=True))
            told = [UNLIKENESS] if UNLIKENESS in arrays else []
            samples = {name: arrays[name] for name in (SCORE, *FIGURES, *told)}
            return Reference(int(arrays["images"]), labels, samples)
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ModelyardError(
            f"{path}: expected the reference of an evaluation, got {error}: evaluate again"
        ) from error


def _thin(values: Floats) -> Floats:
    ordered = np.sort(np.asarray(values, np.float32))
    if len(ordered) <= MOST_KEPT:
        return ordered
    ranks = (np.arange(MOST_KEPT) + 0.5) * len(ordered) / MOST_KEPT
    thinned: Floats = ordered[ranks.astype(np.intp)]
    return thinned
