"""Early stopping: the best epoch, and when it is time to stop."""

import pytest

from modelyard.params import EarlyStopping
from modelyard.training.stopping import find_best, should_stop

ROWS = [{"val_accuracy": accuracy} for accuracy in (0.5, 0.9, 0.92, 0.7, 0.92)]


@pytest.mark.parametrize(
    ("patience", "least", "expected"), [(None, 0.0, None), (3, 0.0, 2), (3, 0.05, 1), (3, 0.5, 0)]
)
def test_the_best_epoch_is_the_first_that_none_exceeds_by_the_least_improvement(
    patience: int | None, least: float, expected: int | None
) -> None:
    assert find_best(ROWS, EarlyStopping(patience=patience, min_improvement=least)) == expected


def test_before_the_first_epoch_there_is_no_best_one() -> None:
    stopping = EarlyStopping(patience=1, min_improvement=0.0)
    assert find_best([], stopping) is None
    assert not should_stop([], stopping)


@pytest.mark.parametrize(("patience", "stops"), [(None, False), (3, False), (2, True), (1, True)])
def test_a_training_stops_after_so_many_epochs_without_improvement(patience: int | None, stops: bool) -> None:
    assert should_stop(ROWS, EarlyStopping(patience=patience, min_improvement=0.0)) is stops
