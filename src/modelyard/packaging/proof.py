"""The proof that a converted model answers as the network it was made from."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures.agreement import measure_agreement
from modelyard.inference.predictor import Predictor
from modelyard.inference.ranking import find_named
from modelyard.inference.runtime.interpreters import ModelError
from modelyard.packaging.source import Source
from modelyard.params import Package

# A distance that rounding moves past a few others changes its rank among a thousand.
MOST_RANKS = 0.01


def prove(predictor: Predictor, source: Source, limits: Package) -> dict[str, float]:
    """Compare a bundle's answers with its source's, for the same fitted pictures; see `measure_agreement`.

    float32 must be within `max_float32_difference` in every probability; int8 must give the same first answer
    on `int8.min_same_first` of the pictures, and be within `int8.max_difference`. If the source has the same
    first answer to all pictures, which proves nothing, the difference alone counts. Raises ModelyardError if
    a limit is passed, or an answer is NaN.
    """
    try:
        given = [predictor.ask(np.asarray(one, np.float32)) for one in source.fitted()]
    except ModelError as error:
        raise ModelyardError(f"the conversion failed its proof: {error}") from error
    labelled = find_named(label.name for label in source.labels)
    proof = measure_agreement(source.answers, np.stack([one.scores for one in given]), labelled)
    if predictor.tells_unlikeness:
        _refuse_other_ranks(source, np.array([one.unlikeness for one in given], np.float32))
    if predictor.bundle.precision == "float32":
        _refuse_above(proof, "max_float32_difference", limits.max_float32_difference)
        return proof
    _refuse_above(proof, "int8.max_difference", limits.int8.max_difference)
    if proof["answers"] > 1 and proof["same_first"] < limits.int8.min_same_first:
        raise ModelyardError(
            f"expected the source's first answer on at least {limits.int8.min_same_first:.2%} of "
            f"{proof['images']} pictures (package.int8.min_same_first), got {proof['same_first']:.2%}"
        )
    return proof


def _refuse_other_ranks(source: Source, given: NDArray[np.float32]) -> None:
    expected = source.unlikeness
    found = np.inf if expected is None else float(np.abs(given - expected).max())
    if found > MOST_RANKS:
        raise ModelyardError(
            f"the conversion failed its proof: expected the source's unlikeness within {MOST_RANKS:g}, got a "
            f"difference of {found:.3g}"
        )


def _refuse_above(proof: Mapping[str, float], key: str, limit: float) -> None:
    if proof["max_difference"] > limit:
        raise ModelyardError(
            f"the conversion failed its proof: expected a max_difference of at most {limit:g} to the "
            f"source's probabilities (package.{key}), got {proof['max_difference']:.3g}"
        )
