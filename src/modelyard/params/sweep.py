"""sweep: what `modelyard sweep` looks for, where, and how long."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from modelyard.params.group import Group, Positive

DATABASES = ("sqlite:///", "postgresql://", "postgresql+psycopg2://")


def _name_parameter(key: str) -> str:
    if not key.startswith(("train.", "model.")):
        raise ValueError("a parameter below train or model")
    return key


def _name_database(url: str) -> str:
    if not url.startswith(DATABASES):
        raise ValueError(f"a URL with {' or '.join(DATABASES)}")
    return url


class Dimension(Group):
    """The values that one parameter may have: a range, or a list.

    Attributes:
        low: the smallest one.
        high: the largest one.
        log: whether small values are tried as often as large ones; only without `step`.
        step: from one value to the next; null takes any.
        choices: instead of a range; values of any kind, groups and lists too.
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: Annotated[int, Field(gt=0)] | Annotated[float, Field(gt=0)] | None = None
    choices: Annotated[tuple[Any, ...], Field(strict=False, min_length=1)] | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest value of a range; an int where YAML has one."""
        if self.low is None or self.high is None:
            raise TypeError("this dimension has choices and no bounds")
        return self.low, self.high

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Self:
        if self.choices is not None:
            if self.log or (self.low, self.high, self.step) != (None, None, None):
                raise ValueError("choices alone, or low and high")
            if any(one in self.choices[:place] for place, one in enumerate(self.choices)):
                raise ValueError("every choice once")
        elif self.low is None or self.high is None:
            raise ValueError("low and high, or choices")
        elif self.low >= self.high:
            raise ValueError("low below high")
        elif self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("low above 0, and no step, on a logarithmic scale")
        elif self.step is not None and _as_decimal(self.high - self.low) % _as_decimal(self.step):
            raise ValueError("high a whole number of steps above low")
        return self


def _as_decimal(number: float) -> Decimal:
    """Take a number as it is written: 0.3 is no multiple of 0.1 to a machine."""
    return Decimal(f"{number:.12g}")


class Sampler(Group):
    """What chooses the values of the next trial.

    Attributes:
        startup_trials: of tpe, so many are random before it learns from them.
    """

    name: Literal["tpe", "random"]
    startup_trials: Annotated[int, Field(ge=0)]


class Pruner(Group):
    """What ends a trial before its last epoch.

    Attributes:
        startup_trials: of median, so many finish before any is ended.
        warmup_epochs: of median, no trial is ended before so many epochs and one more are done.
    """

    name: Literal["median", "none"]
    startup_trials: Annotated[int, Field(ge=0)]
    warmup_epochs: Annotated[int, Field(ge=0)]


class Sweep(Group):
    """A search for the parameters with the best validation accuracy.

    Attributes:
        trials: so many finished ones in all, those of earlier calls and other processes too.
        timeout_s: after so long no trial is begun; null sets no limit.
        storage: URL of the database that keeps the study; null is a file in the repository's root.
        study: its name there; null is made of the names of data and model.
        space: what may change, by dotted names.
    """

    trials: Positive
    timeout_s: Annotated[float, Field(gt=0)] | None
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    storage: Annotated[str, AfterValidator(_name_database)] | None
    study: Annotated[str, Field(min_length=1, max_length=200)] | None
    sampler: Sampler
    pruner: Pruner
    space: Annotated[dict[Annotated[str, AfterValidator(_name_parameter)], Dimension], Field(min_length=1)]
