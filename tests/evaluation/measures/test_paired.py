"""McNemar's exact test, against scipy's binomial test and by hand."""

import numpy as np
import pytest
from scipy.stats import binomtest

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures.paired import PairedTest, mcnemar, sign_test
from modelyard.evaluation.reports import Predictions


@pytest.mark.parametrize(
    ("heads", "tails"),
    [(0, 1), (1, 0), (0, 6), (3, 3), (4, 3), (29, 205), (200, 100), (5000, 5000), (4890, 5110), (9000, 1000)],
)
def test_the_p_value_is_that_of_the_binomial_test(heads: int, tails: int) -> None:
    expected = binomtest(heads, heads + tails).pvalue
    assert sign_test(heads, tails) == pytest.approx(expected, rel=1e-9)
    assert sign_test(heads, tails) == sign_test(tails, heads)


def test_a_p_value_never_exceeds_one() -> None:
    assert sign_test(0, 0) == sign_test(7, 7) == sign_test(1, 0) == 1.0


def test_only_images_that_one_alone_answers_rightly_count() -> None:
    labels = [0, 0, 0, 0, 0, 1, 2]
    first = predict([0, 0, 0, 0, 1, 1, 1], labels)
    second = predict([0, 1, 1, 2, 0, 1, 0], labels)
    # 3 to 1: of 16 ways that four images can fall, 10 are as uneven as that.
    assert mcnemar(first, second) == PairedTest(
        only_first=3, only_second=1, images=len(first.labels), p_value=10 / 16
    )


def test_two_versions_that_agree_do_not_differ() -> None:
    same = predict([0, 1, 2], [0, 1, 1])
    assert mcnemar(same, same) == PairedTest(0, 0, len(same.labels), 1.0)


def test_predictions_of_other_data_are_refused() -> None:
    first, second = predict([0], [0], "a" * 64), predict([0], [0], "b" * 64)
    with pytest.raises(
        ModelyardError, match="the first was tested on aaaaaaaaaaaa, the second on bbbbbbbbbbbb"
    ):
        mcnemar(first, second)


def test_predictions_that_bring_other_labels_are_refused() -> None:
    with pytest.raises(ModelyardError, match="bring different ones"):
        mcnemar(predict([0, 1], [0, 1]), predict([0, 1], [0, 2]))


def predict(answers: list[int], labels: list[int], digest: str = "d" * 64) -> Predictions:
    return Predictions(np.array(labels, np.uint8), np.eye(3, dtype=np.float32)[answers], digest)
