"""Comparisons of several versions with the same first one, as columns side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.evaluation.measures.intervals import Interval
from modelyard.metrics import find_metric, importance
from modelyard.registry.comparison.comparison import Comparison, Setting
from modelyard.registry.evidence import Evidence


@dataclass(frozen=True)
class Cell:
    """A version's value of a metric."""

    value: float | None
    interval: Interval | None
    best: bool  # of all versions, unless they are equal or neither direction is better


@dataclass(frozen=True)
class Columns:
    """What the tables show: a column for the first version, and one for each that it was compared with."""

    comparisons: Sequence[Comparison]

    @property
    def versions(self) -> tuple[Evidence, ...]:
        """Return all of them, the first one first."""
        return self.comparisons[0].first, *(one.second for one in self.comparisons)

    def measures(self) -> dict[str, list[Cell]]:
        """Return a cell for each version by the metric's name, the most important first."""
        names = {measure.name for one in self.comparisons for measure in one.measures}
        return {name: self._line_up_measure(name) for name in sorted(names, key=importance)}

    def settings(self) -> dict[str, dict[str, list[str | None]]]:
        """Return by kind and name what differs, and the commits: a value for each version."""
        return {
            "parameters": self._line_up([one.params for one in self.comparisons]),
            "data": self._line_up([one.data for one in self.comparisons]),
            "libraries": self._line_up([one.libraries for one in self.comparisons]),
            "code": self._line_up([one.code for one in self.comparisons]),
        }

    def _line_up_measure(self, name: str) -> list[Cell]:
        found = [next((m for m in one.measures if m.name == name), None) for one in self.comparisons]
        # The first version's value is the same in all that have it.
        first = next(measure for measure in found if measure)
        shown = [(first.first, first.first_interval)]
        shown += [(measure.second, measure.second_interval) if measure else (None, None) for measure in found]
        numbers = [value for value, _ in shown if value is not None]
        better = find_metric(name).better if min(numbers) < max(numbers) else None
        best = {"higher": max(numbers), "lower": min(numbers), None: None}[better]
        return [Cell(*one, best is not None and one[0] == best) for one in shown]

    @staticmethod
    def _line_up(pairs: Sequence[Sequence[Setting]]) -> dict[str, list[str | None]]:
        """A version that is not mentioned has the first one's value."""
        firsts = {setting.name: setting.first for settings in pairs for setting in settings}
        seconds = [firsts | {setting.name: setting.second for setting in settings} for settings in pairs]
        return {name: [firsts[name], *(one[name] for one in seconds)] for name in sorted(firsts)}
