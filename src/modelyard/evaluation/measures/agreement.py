"""How far a served model's answers are from those of the network it was made from."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from modelyard.arrays import open_arrays
from modelyard.errors import ModelyardError
from modelyard.evaluation.measures.classification import Floats, Integers, check_probabilities


def read_answers(path: Path) -> dict[str, Floats]:
    """Return the source's probabilities (outputs,), float32, by the names of pictures and cut-outs.

    Raises ModelyardError if the file is missing, or is no .npz with `names` and `probabilities`.
    """
    expected, maker = "an .npz with `names` and `probabilities`", "packaging the bundle writes it"
    with open_arrays(path, expected, maker, "package the bundle again") as arrays:
        names, probabilities = arrays["names"], arrays["probabilities"]
    check_probabilities(probabilities, str(path))
    if names.shape != (len(probabilities),):
        raise ModelyardError(
            f"{path}: expected a name for each of {len(probabilities)} answers, "
            f"got names of the shape {names.shape}"
        )
    return dict(zip(map(str, names), probabilities, strict=True))


def pick_answers(answers: Mapping[str, Floats], names: Sequence[str]) -> Floats:
    """Return the probabilities (n, outputs) of these names; raise ModelyardError if one is missing."""
    if missing := [name for name in names if name not in answers]:
        raise ModelyardError(
            f"expected the source's answer to {missing[0]}, it has answered {len(answers)} other "
            f"pictures ({len(missing)} are missing): package the bundle again"
        )
    return np.array([answers[name] for name in names])


def measure_agreement(source: Floats, served: Floats, answered: Sequence[int] | Integers) -> dict[str, float]:
    """Compare the probabilities (n, outputs) of the network and of the bundle for the same images.

    `max_difference` is the largest difference of a probability, `same_first` the share of images with the
    same first answer, of the outputs in `answered`, and `answers` the number of different ones of the source.
    Raises ModelyardError if a table does not hold probabilities, or their shapes differ.
    """
    check_probabilities(source, "the source's probabilities")
    check_probabilities(served, "the bundle's probabilities")
    if source.shape != served.shape:
        raise ModelyardError(
            f"the agreement: expected the source's shape {source.shape}, the bundle's is {served.shape}: "
            "package the bundle again"
        )
    first, first_served = (table[:, answered].argmax(axis=1) for table in (source, served))
    return {
        "images": len(source),
        "max_difference": float(abs(source.astype(np.float64) - served).max()),
        "same_first": float((first == first_served).mean()),
        "answers": len(set(first.tolist())),
    }
