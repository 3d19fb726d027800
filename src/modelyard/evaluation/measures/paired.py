"""Two classifiers on the same images: is one of them better, or was it luck?"""

from dataclasses import dataclass

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.evaluation.reports import Predictions

# A smaller p-value is called significant, by convention.
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class PairedTest:
    """The images that only one of two classifiers gets right, of all that both answered.

    `p_value` is the probability, 0..1, of so uneven a split if each such image is equally likely to go either
    way; 1.0 if there is none.
    """

    only_first: int
    only_second: int
    images: int
    p_value: float


def mcnemar(first: Predictions, second: Predictions) -> PairedTest:
    """Test whether two classifiers are right equally often: McNemar's test, exact and two-sided.

    Images on which both are right, or both wrong, say nothing about the difference and are left out. Sources:
    McNemar, Note on the sampling error of the difference between correlated proportions, 1947; the exact form
    is the sign test, as in Fagerland, Lydersen and Laake, BMC Med. Res. Methodol. 13:91, 2013. Raises
    ModelyardError if the two are not predictions of the same images.
    """
    _refuse_other_images(first, second)
    first_right, second_right = (one.probabilities.argmax(axis=1) == one.labels for one in (first, second))
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    return PairedTest(only_first, only_second, len(first.labels), sign_test(only_first, only_second))


def sign_test(heads: int, tails: int) -> float:
    """Return the two-sided p-value, 0..1, of a fair coin, computed exactly with integers."""
    tosses, rarer = heads + tails, min(heads, tails)
    ways, all_ways = 1, 1
    for count in range(rarer):
        ways = ways * (tosses - count) // (count + 1)
        all_ways += ways
    return min(1.0, 2 * all_ways / (1 << tosses))


def _refuse_other_images(first: Predictions, second: Predictions) -> None:
    if first.digest != second.digest:
        raise ModelyardError(
            "expected two versions tested on the same images, "
            f"the first was tested on {first.digest[:12]}, the second on {second.digest[:12]}: "
            "evaluate both on the same data, and register them again"
        )
    if not np.array_equal(first.labels, second.labels):
        raise ModelyardError(
            f"expected the same labels for the images {first.digest[:12]}, the two predictions bring "
            "different ones: one of the files was changed, evaluate again"
        )
