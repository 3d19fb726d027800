"""The proof that a converted model answers as the network it was made of."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.evaluation.agreement import measure_agreement
from modelyard.inference.interpreters import ModelError
from modelyard.inference.predictor import Predictor
from modelyard.networks.convert import Precision
from modelyard.params import Package


class Proof(TypedDict):
    """What a proof found; `same_first` is the share of images with the same first answer, 0..1."""

    images: int
    max_difference: float
    same_first: float


def prove(
    predictor: Predictor,
    pixels: Sequence[NDArray[np.uint8]],
    expected: NDArray[np.float32],
    precision: Precision,
    limits: Package,
) -> Proof:
    """Compare a bundle's answers with its source's, from the same decoded pixels.

    Args:
        predictor: of the bundle.
        pixels: n images as `Predictor.decode` gives them.
        expected: (n, outputs), the source's probabilities for them.
        precision: which limits apply.
        limits: float32 must be within `max_float32_difference` in every probability; int8 must give the same
            first answer on `int8.min_same_first` of the images, and be within `int8.max_difference`.

    Raises:
        ModelyardError: a limit is passed, or an answer is NaN.
    """
    name = predictor.bundle.name
    try:
        given = np.concatenate([predictor.probabilities(predictor.prepare(image)[None]) for image in pixels])
    except ModelError as error:
        raise ModelyardError(f"the conversion failed its proof: {error}") from error
    labelled = [place for place, label in enumerate(predictor.bundle.labels) if label.name is not None]
    agreement = measure_agreement(expected, given, labelled)
    proof = Proof(
        images=int(agreement["images"]),
        max_difference=agreement["max_difference"],
        same_first=agreement["same_first"],
    )
    if precision == "float32":
        _refuse_above(name, proof, "max_float32_difference", limits.max_float32_difference)
        return proof
    _refuse_above(name, proof, "int8.max_difference", limits.int8.max_difference)
    if proof["same_first"] < limits.int8.min_same_first:
        raise ModelyardError(
            f"{name} (int8): expected the source's first answer on at least "
            f"{limits.int8.min_same_first:.2%} of {proof['images']} images (package.int8.min_same_first), "
            f"got {proof['same_first']:.2%}"
        )
    return proof


def _refuse_above(name: str, proof: Proof, key: str, limit: float) -> None:
    if proof["max_difference"] > limit:
        raise ModelyardError(
            f"{name}: the conversion failed its proof: expected a max_difference of at most {limit:g} to the "
            f"source's probabilities (package.{key}), got {proof['max_difference']:.3g}"
        )
