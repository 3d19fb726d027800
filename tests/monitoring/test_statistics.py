"""The statistics of monitoring, beside SciPy's own functions and worked examples."""

import numpy as np
import pytest
from scipy import stats

from modelyard.monitoring.statistics import (
    Grid,
    compare_counts,
    compare_pairs,
    compare_shares,
    correct,
    judge_distance,
    merge_rare,
    stability_index,
)

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("digits", [1, 6])
def test_the_distance_counted_in_parts_is_scipys(digits: int) -> None:
    reference = np.sort(RANDOM.beta(9, 2, 3000).round(digits).astype(np.float32))
    live = RANDOM.beta(8, 2, 5000).round(digits).astype(np.float32)
    grid = Grid(reference, len(reference))
    counts = grid.count(live[:2000]) + grid.count(live[2000:])
    expected = stats.ks_2samp(reference, live, method="asymp")
    assert grid.measure_distance(counts) == pytest.approx(expected.statistic, abs=1e-12)
    assert judge_distance(expected.statistic, 3000, 5000) == pytest.approx(expected.pvalue, rel=1e-6)


def test_values_outside_the_reference_are_counted_too() -> None:
    grid = Grid(np.array([0.25, 0.5], np.float32), 2)
    assert grid.count(np.array([0.0, 0.25, 0.3, 0.5, 1.0], np.float32)).tolist() == [1, 1, 1, 1, 1]
    assert grid.measure_distance(grid.count(np.array([0.9, 0.8], np.float32))) == 1
    assert grid.measure_distance(grid.count(np.array([0.1, 0.2], np.float32))) == 1


def test_a_figure_that_is_always_the_same_is_compared_too() -> None:
    grid = Grid(np.zeros(500, np.float32), 500)
    assert grid.measure_distance(grid.count(np.zeros(300, np.float32))) == 0
    assert grid.measure_distance(grid.count(np.full(300, 0.1, np.float32))) == 1


def test_the_stability_index_is_the_textbooks() -> None:
    before, after = np.array([500_000, 300_000, 200_000]), np.array([400_000, 300_000, 300_000])
    expected = -0.1 * np.log(0.4 / 0.5) + 0.1 * np.log(0.3 / 0.2)
    assert stability_index(before, after) == pytest.approx(expected, rel=1e-4)
    assert np.isfinite(stability_index(np.array([10, 0]), np.array([0, 10])))


def test_rare_categories_are_tested_as_one() -> None:
    before, after = merge_rare(np.array([1000, 3, 4, 2]), np.array([100, 0, 1, 9]))
    assert (before.tolist(), after.tolist()) == ([1000, 9], [100, 10])
    assert compare_counts(before, after) < 1e-6


def test_counts_are_compared_as_scipy_does_it() -> None:
    table = np.array([[30, 50, 0], [45, 40, 0]])
    assert compare_counts(*table) == stats.chi2_contingency(table[:, :2], correction=False).pvalue
    assert compare_counts(np.array([7, 0]), np.array([9, 0])) == 1


def test_a_smaller_share_is_found_by_fishers_test() -> None:
    table = [[90, 10], [70, 30]]
    assert compare_shares((90, 100), (70, 100)) == pytest.approx(
        stats.fisher_exact(table, "greater").pvalue, rel=1e-9
    )
    assert compare_shares((70, 100), (90, 100)) > 0.99


def test_mcnemars_test_is_exact() -> None:
    assert compare_pairs(0, 0) == 1
    assert compare_pairs(10, 2) == pytest.approx(0.03857421875)


def test_holms_correction_is_the_worked_example() -> None:
    # Four questions: 0.005 x 4, 0.01 x 3, 0.03 x 2; the last is no smaller than the one before.
    assert correct([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert correct([]) == []
    assert correct([0.7, 0.9]) == [1, 1]
