"""The search space of a sweep, and the parameters of a trial in it."""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modelyard.errors import ModelyardError
from modelyard.params import Dimension, Params, validate_params

if TYPE_CHECKING:
    import optuna

# Significant digits of a float: Optuna draws 17, too many to read in a preset.
_DIGITS = 6


class Space:
    """The parameters that a sweep searches, by their dotted `names`, and the base parameters that it keeps.

    Raises ModelyardError, with a line for each error, if a name is not a parameter, two names overlap, a
    bound or a choice is not valid, or the base is an ensemble.
    """

    def __init__(self, dimensions: Mapping[str, Dimension], base: Params) -> None:
        plain = base.model_dump(mode="json")
        self.names = list(dimensions)
        self._dimensions = dict(dimensions)
        self._base = {"model": plain["model"], "train": plain["train"]}
        faults = list(self._find_faults(plain))
        if faults:
            raise ModelyardError(f"sweep.space: {len(faults)} wrong:\n  " + "\n  ".join(faults))

    @property
    def fixed(self) -> dict[str, Any]:
        """The base parameters, with null in place of the searched ones."""
        return self._replace(dict.fromkeys(self.names))

    def suggest(self, trial: "optuna.Trial") -> None:
        """Let Optuna choose a value for each parameter; they become the trial's `params`."""
        for name, dimension in self._dimensions.items():
            if dimension.choices is not None:
                trial.suggest_categorical(name, [_label(choice) for choice in dimension.choices])
                continue
            low, high = dimension.bounds
            if self._is_whole(name):
                step = int(dimension.step or 1)
                trial.suggest_int(name, int(low), int(high), step=step, log=dimension.log)
            else:
                trial.suggest_float(name, low, high, step=dimension.step, log=dimension.log)

    def fill(self, suggested: Mapping[str, Any]) -> dict[str, Any]:
        """Return the groups model and train of a trial; `suggested` as for `read`."""
        return self._replace(self.read(suggested))

    def read(self, suggested: Mapping[str, Any]) -> dict[str, Any]:
        """Return a trial's values by their dotted names, from its `params` in Optuna."""
        return {name: self._decode(name, suggested[name]) for name in self.names}

    def _decode(self, name: str, value: Any) -> Any:
        dimension = self._dimensions[name]
        if dimension.choices is not None:
            return next(choice for choice in dimension.choices if _label(choice) == value)
        if isinstance(value, float):
            low, high = map(float, dimension.bounds)
            return min(max(float(f"{value:.{_DIGITS}g}"), low), high)
        return value

    def _replace(self, values: Mapping[str, Any]) -> dict[str, Any]:
        filled = copy.deepcopy(self._base)
        for name, value in values.items():
            place, last = _find(filled, name)
            place[last] = copy.deepcopy(value)
        return filled

    def _is_whole(self, name: str) -> bool:
        place, last = _find(self._base, name)
        dimension = self._dimensions[name]
        numbers = (*dimension.bounds, dimension.step or 1)
        return not isinstance(place[last], float) and all(isinstance(number, int) for number in numbers)

    def _find_faults(self, plain: dict[str, Any]) -> Iterator[str]:
        if self._base["model"]["members"] > 1 or "model.members" in self.names:
            yield (
                "model.members: expected 1, a sweep fits single networks: set the members of the preset that "
                "it writes"
            )
        for name, dimension in self._dimensions.items():
            if fault := self._find_fault(plain, name, dimension):
                yield f"{name}: {fault}"

    def _find_fault(self, plain: dict[str, Any], name: str, dimension: Dimension) -> str | None:
        try:
            place, last = _find(self._base, name)
        except (KeyError, IndexError, TypeError, ValueError):
            return "expected a parameter of params.yaml, but it has none with this name"
        if above := next((other for other in self.names if name.startswith(f"{other}.")), None):
            return f"expected parameters that do not overlap, {above} holds it"
        if dimension.choices is None:
            if isinstance(place[last], bool | str | list | dict):
                return f"expected choices for it, which is {place[last]!r}, got a range"
            values: tuple[Any, ...] = dimension.bounds
            if isinstance(place[last], float) or not self._is_whole(name):
                values = tuple(map(float, values))
        else:
            values = dimension.choices
        return next((fault for value in values if (fault := self._refuse(plain, name, value))), None)

    def _refuse(self, plain: dict[str, Any], name: str, value: Any) -> str | None:
        """Return why a value is invalid by itself; a trial fails if its values do not fit together."""
        try:
            validate_params(plain | self._replace({name: value}))
        except ModelyardError as error:
            lines = [line.strip() for line in str(error).splitlines()]
            return next((line for line in lines if line.startswith((f"{name}:", f"{name}."))), None)
        return None


def _find(values: Any, name: str) -> tuple[Any, Any]:
    """Return the group or list that holds a parameter, and its key there; raise if it does not exist."""
    *path, last = name.split(".")
    for part in path:
        values = values[int(part) if isinstance(values, list) else part]
    key = int(last) if isinstance(values, list) else last
    values[key]
    return values, key


def _label(choice: Any) -> Any:
    """Return a choice as Optuna can store it: lists and groups as JSON."""
    return json.dumps(choice) if isinstance(choice, list | dict | tuple) else choice
