"""The parameters of every registered name: a card with a person's words, and the gate for its champions."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from modelyard.metrics import CATALOGUE
from modelyard.params.group import Group, Name, Sha256, Share

# A line break would end an item of a list, and MLflow would show it.
Sentence = Annotated[str, Field(min_length=1, pattern=r"^[^\n]+$")]
MAJORITY = "majority"


class Limit(Group):
    """The worst value that a metric may have: `min` where higher is better, `max` where lower is.

    For `test/accuracy`, "majority" asks for more than the share of the most common class (95 % confidence).
    """

    min: float | Literal["majority"] | None = None
    max: float | None = None


class Gate(Group):
    """What a version must show to become champion; a rule that is null is not checked.

    Attributes:
        metrics: limits by the metrics' names in the catalogue (`modelyard.metrics`). A limit of a latency
            holds for one kind of machine only.
        max_accuracy_drop: the largest drop of test accuracy below the champion's, 0..1.
        max_robustness_drop: the same on corrupted pictures, the mean of their kinds.
        recent_no_worse: whether it must have as many recent pictures right as the champion, if there are any.
        allow_dirty: whether it may come from a work tree with uncommitted changes.
    """

    metrics: dict[str, Limit | None]
    max_accuracy_drop: Share | None
    max_robustness_drop: Share | None = None
    recent_no_worse: bool = True
    allow_dirty: bool

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        for name, limit in self.metrics.items():
            better = CATALOGUE[name].better if name in CATALOGUE else None
            if better is None:
                known = ", ".join(known for known, metric in CATALOGUE.items() if metric.better)
                raise ValueError(f"metrics: expected one of {known}, got {name}")
            given = {side for side in ("min", "max") if limit and getattr(limit, side) is not None}
            side = "min" if better == "higher" else "max"
            if limit and given != {side}:
                raise ValueError(f"metrics: {name}: expected {{{side}: NUMBER}}, as {better} is better")
            if limit and limit.min == MAJORITY and name != "test/accuracy":
                raise ValueError(f"metrics: {name}: expected a number, only test/accuracy has {MAJORITY}")
        return self


class Figures(Group):
    """The makers' own figures, as a sentence, and the SHA-256 of the network that they are about."""

    text: Sentence
    sha256: Sha256


class Card(Group):
    """A person's words on the card of a model's versions, in Markdown."""

    about: Sentence
    intended_use: Annotated[tuple[Sentence, ...], Field(strict=False, min_length=1)]
    limits: Annotated[tuple[Sentence, ...], Field(strict=False, min_length=1)]
    data: Sentence
    published: Figures | None


class Published(Group):
    """Something whose versions are registered; `homepage` is a page to read more, if there is one."""

    name: Name
    licence: str
    homepage: str | None
    card: Card
    gate: Gate
