"""registry: where versions are published, what they must show, and what their cards say."""

from typing import Annotated

from pydantic import Field

from modelyard.params.group import Group, Positive, Seconds, Share

# A line break would end a list's item, or MLflow would show it as one.
Sentence = Annotated[str, Field(min_length=1, pattern=r"^[^\n]+$")]


class Gate(Group):
    """What a version must show to become champion; a rule that is null is not asked.

    Attributes:
        max_loss: the share of the test images by which it may be worse than the champion.
        min_same_first: of an imported model, on how many photos it gives its source's first answer.
        max_difference: of an imported model, its largest difference to a probability of its source.
        allow_dirty: whether it may come from a work tree with uncommitted changes.
    """

    min_accuracy: Share | None
    max_loss: Share | None
    max_calibration_error: Share | None
    min_same_first: Share | None
    max_difference: Share | None
    max_p50_ms: Annotated[float, Field(gt=0)] | None
    max_size_bytes: Positive | None
    allow_dirty: bool


class Prune(Group):
    """Which versions `modelyard prune` removes, besides that no alias points to them.

    Attributes:
        min_age_days: younger ones stay.
        keep_champions: so many of the last champions stay.
    """

    min_age_days: Annotated[float, Field(ge=0)]
    keep_champions: Positive


class Card(Group):
    """A person's words on the card of a model's versions, in Markdown.

    Attributes:
        about: what it does.
        intended_use: what it is for.
        limits: where it fails, and what it must not be used for.
        data: what it learned from, and who made that.
        published: how good its makers say that it is, and where they say so; null where it is measured here.
    """

    about: Sentence
    intended_use: Annotated[tuple[Sentence, ...], Field(strict=False, min_length=1)]
    limits: Annotated[tuple[Sentence, ...], Field(strict=False, min_length=1)]
    data: Sentence
    published: Sentence | None


class Registry(Group):
    """Where versions are published, and what they must show; `gates` and `cards` go by registered names."""

    experiment: Annotated[str, Field(min_length=1)]
    lock_timeout_s: Seconds
    auto_promote: bool
    gates: dict[str, Gate]
    prune: Prune
    cards: dict[str, Card]
