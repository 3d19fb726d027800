"""Runs of the same preset summed up: medians over the seeds, with the least and the most."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.serving.measurements import Spread
from benchmarks.training.runs import Epoch, Run


@dataclass(frozen=True)
class Row:
    """A preset with its runs, one a seed: a line of the table.

    Raises:
        ValueError: there are none.
    """

    name: str
    runs: tuple[Run, ...]

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError("expected at least one run")

    @property
    def fit_s(self) -> Spread:
        """Seconds of fitting."""
        return self._spread(lambda run: run.fit_s)

    @property
    def test_accuracy(self) -> Spread:
        """Of the final networks, 0..1."""
        return self._spread(lambda run: run.test_accuracy)

    @property
    def mean_accuracy(self) -> float:
        """The mean test accuracy, 0..1; to nine digits, so that a mean of three can be at a limit."""
        return round(statistics.fmean(run.test_accuracy for run in self.runs), 9)

    @property
    def flops_per_s(self) -> Spread:
        """Counted operations over seconds of fitting."""
        return self._spread(lambda run: run.flops_per_s)

    @property
    def peak_rss_mb(self) -> Spread:
        """The most memory of a process."""
        return self._spread(lambda run: run.peak_rss_mb)

    @property
    def weights(self) -> int:
        """Of one network: the same for all seeds."""
        return self.runs[0].weights

    @property
    def curve(self) -> list[Epoch]:
        """The medians after each epoch, as long as all runs were still being fitted."""
        return [
            Epoch(
                statistics.median(one.elapsed_s for one in ends),
                statistics.median(one.val_accuracy for one in ends),
            )
            for ends in zip(*(run.epochs for run in self.runs), strict=False)
        ]

    def count_reaching(self, accuracy: float) -> int:
        """Count the seeds whose final network has this test accuracy, 0..1, or a better one."""
        return sum(run.test_accuracy >= accuracy for run in self.runs)

    def _spread(self, figure: Callable[[Run], float]) -> Spread:
        return Spread.of(figure(run) for run in self.runs)


def summarise(runs: Sequence[Run]) -> list[Row]:
    """Make a row of all runs with the same name, by seed; rows are in the order of their first runs."""
    named: dict[str, list[Run]] = {}
    for run in runs:
        named.setdefault(run.name, []).append(run)
    return [Row(name, tuple(sorted(own, key=lambda run: run.seed or 0))) for name, own in named.items()]
