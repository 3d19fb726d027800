"""sweep: the search space of `modelyard sweep`, its database and its limits."""

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
    """The values to try for one parameter: a range, perhaps in steps or logarithmic, or choices."""

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: Annotated[int, Field(gt=0)] | Annotated[float, Field(gt=0)] | None = None
    choices: Annotated[tuple[Any, ...], Field(strict=False, min_length=1)] | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest value of a range; an int stays an int."""
        if self.low is None or self.high is None:
            raise TypeError("expected a range, got choices")
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
    """Return the decimal that was written: as a float, 0.3 is not a multiple of 0.1."""
    return Decimal(f"{number:.12g}")


class Sampler(Group):
    """How the values of a trial are chosen; tpe learns after `startup_trials` random ones."""

    name: Literal["tpe", "random"]
    startup_trials: Annotated[int, Field(ge=0)]


class Pruner(Group):
    """Whether bad trials end before their last epoch; it lets the first trials and epochs go on."""

    name: Literal["median", "none"]
    startup_trials: Annotated[int, Field(ge=0)]
    warmup_epochs: Annotated[int, Field(ge=0)]


class Sweep(Group):
    """A search for the parameters with the best validation accuracy; conf/sweep describes the values."""

    trials: Positive
    timeout_s: Annotated[float, Field(gt=0)] | None
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    storage: Annotated[str, AfterValidator(_name_database)] | None
    study: Annotated[str, Field(min_length=1, max_length=200)] | None
    sampler: Sampler
    pruner: Pruner
    space: Annotated[dict[Annotated[str, AfterValidator(_name_parameter)], Dimension], Field(min_length=1)]
