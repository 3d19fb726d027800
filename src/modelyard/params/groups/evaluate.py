"""evaluate: how a bundle is measured."""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

from modelyard.evaluation.corruptions import KINDS
from modelyard.params.group import Group, Several


def _name_corruption(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"one of {', '.join(KINDS)}")
    return kind


Corruption: TypeAlias = Annotated[str, AfterValidator(_name_corruption)]


class Corruptions(Group):
    """How a bundle is measured on corrupted test pictures.

    Attributes:
        pictures: how many of each kind, a tenth of them where pictures are files, a hundredth for a network
            of more than 10 MB; 0 measures none.
        kinds: which; None takes all.
        seed: another one takes other pictures, and draws other random numbers.
    """

    pictures: Annotated[int, Field(ge=0, le=1_000_000)]
    kinds: Annotated[tuple[Corruption, ...], Several, Field(min_length=1)] | None
    seed: Annotated[int, Field(ge=0)]


class Evaluate(Group):
    """How a bundle is measured."""

    bins: Annotated[int, Field(ge=2, le=1000)]
    mistakes: Annotated[int, Field(ge=1, le=400)]
    latency_runs: Annotated[int, Field(ge=10, le=100_000)]
    latency_warmup: Annotated[int, Field(ge=0, le=10_000)]
    corruptions: Corruptions
