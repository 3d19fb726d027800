"""Tests of whether two samples differ, and how much: the size of a change first, then its p-value."""

from collections.abc import Sequence

import numpy as np

from modelyard.evaluation.measures.classification import Floats, Integers

# Categories that are expected less often are tested as one, as Cochran's rule for chi-square asks.
FEWEST_EXPECTED = 5.0


def stability_index(before: Integers, after: Integers) -> float:
    """Return the population stability index of two counts (k,): 0.1 is some change, 0.25 a large one.

    Half a count is added to each, so that a category which disappears has a finite index.
    """
    shares = [(counts + 0.5) / (counts + 0.5).sum() for counts in (before, after)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def merge_rare(before: Integers, after: Integers) -> tuple[Integers, Integers]:
    """Return the two counts (k,) with the rare categories merged into one, the last."""
    table = np.stack([before, after])
    expected = table.sum(axis=0) * (table.sum(axis=1).min() / table.sum())
    rare = expected < FEWEST_EXPECTED
    merged = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)]) if rare.any() else table
    return merged[0], merged[1]


def compare_counts(before: Integers, after: Integers) -> float:
    """Return the p-value of the chi-square test that two counts (k,) come from the same shares."""
    from scipy.stats import chi2_contingency

    table = np.stack([before, after])
    table = table[:, table.sum(axis=0) > 0]
    return float(chi2_contingency(table, correction=False).pvalue) if table.shape[1] > 1 else 1.0


def judge_distance(distance: float, before: int, after: int) -> float:
    """Return the two-sided p-value of a Kolmogorov-Smirnov distance of two samples of these sizes.

    Asymptotic, as in `scipy.stats.ks_2samp`; with ties, it is too large rather than too small.
    """
    from scipy.stats import kstwo

    return float(kstwo.sf(distance, max(1, round(before * after / (before + after)))))


def compare_shares(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Return the p-value of Fisher's exact test that the share of right answers has not dropped.

    `before` and `after` are the numbers of right answers and of all.
    """
    from scipy.stats import hypergeom

    right, images = before[0] + after[0], before[1] + after[1]
    return float(hypergeom.cdf(after[0], images, right, after[1]))


def compare_pairs(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test, 1.0 if no pair tells the two apart."""
    from scipy.stats import binomtest

    pairs = only_first + only_second
    return float(binomtest(only_first, pairs).pvalue) if pairs else 1.0


def correct(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm's method: at 0.05, one report in twenty errs.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values, float)[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(p_values) else steps
    found: list[float] = corrected.tolist()
    return found


class Grid:
    """The distinct values of a reference sample, on which another sample is counted.

    The distance of two distribution functions is largest at a value of the reference, or just below one; so
    the counts of another sample at and between these values give it exactly, in bounded memory.

    `sample`, float32 (m,), is sorted and has at least one value: all of a sample, or some of them at equal
    ranks. `size` is the number of all values.
    """

    def __init__(self, sample: Floats, size: int) -> None:
        self.size = size
        self._values, counts = np.unique(np.asarray(sample, np.float32), return_counts=True)
        self._shares = np.cumsum(counts) / counts.sum()
        self.mean = float(np.mean(sample, dtype=np.float64))

    @property
    def cells(self) -> int:
        """The number of counts: below the first value, at it, between it and the second, and so on."""
        return 2 * len(self._values) + 1

    def count(self, sample: Floats) -> Integers:
        """Count a sample (n,), without NaN: int64 (cells,)."""
        sample = np.asarray(sample, np.float32)
        places = np.searchsorted(self._values, sample, "left")
        at = self._values[np.minimum(places, len(self._values) - 1)] == sample
        places = 2 * places + at
        return np.bincount(places, minlength=self.cells)

    def measure_distance(self, counts: Integers) -> float:
        """Return the Kolmogorov-Smirnov distance, 0..1, between the reference and what was counted."""
        shares = np.cumsum(counts) / counts.sum()
        below, at = shares[0:-1:2], shares[1::2]
        reference_below = np.concatenate([[0.0], self._shares[:-1]])
        return float(max(abs(at - self._shares).max(), abs(below - reference_below).max()))
