"""What every registered name has: a card with a person's words, and a gate before its champion."""

from typing import Annotated, Literal

from pydantic import Field

from modelyard.params.group import Group, Name, Positive, Sha256, Share

# A line break would end a list's item, or MLflow would show it as one.
Sentence = Annotated[str, Field(min_length=1, pattern=r"^[^\n]+$")]


class Gate(Group):
    """What a version must show to become champion; a rule that is null is not asked.

    Attributes:
        min_accuracy: a share of the test images, or "majority": more than the share that the most common
            class has among them, with 95 % confidence.
        max_loss: the share of the test images by which it may be worse than the champion.
        min_same_first: of an imported model, on how many pictures it gives its source's first answer.
        max_difference: of an imported model, its largest difference to a probability of its source.
        max_p50_ms: of one image; it holds for one kind of machine only, so that no default has it.
        allow_dirty: whether it may come from a work tree with uncommitted changes.
    """

    min_accuracy: Share | Literal["majority"] | None
    max_loss: Share | None
    max_calibration_error: Share | None
    min_same_first: Share | None
    max_difference: Share | None
    max_p50_ms: Annotated[float, Field(gt=0)] | None
    max_size_bytes: Positive | None
    allow_dirty: bool


class Figures(Group):
    """How good a network's makers say that it is, and where they say so.

    Attributes:
        text: the sentence for the card.
        sha256: of the network that they say it of; other weights do not carry it.
    """

    text: Sentence
    sha256: Sha256


class Card(Group):
    """A person's words on the card of a model's versions, in Markdown.

    Attributes:
        about: what it does.
        intended_use: what it is for.
        limits: where it fails, and what it must not be used for.
        data: what it learned from, and who made that.
        published: its makers' figures; null where it is measured here.
    """

    about: Sentence
    intended_use: Annotated[tuple[Sentence, ...], Field(strict=False, min_length=1)]
    limits: Annotated[tuple[Sentence, ...], Field(strict=False, min_length=1)]
    data: Sentence
    published: Figures | None


class Published(Group):
    """Something whose versions are registered.

    Attributes:
        name: the registered name.
        homepage: where a person reads more about it; null where there is no such page.
    """

    name: Name
    licence: str
    homepage: str | None
    card: Card
    gate: Gate
