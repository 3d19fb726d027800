"""evaluate: how a bundle is measured."""

from typing import Annotated

from pydantic import Field

from modelyard.params.group import Group


class Evaluate(Group):
    """How a bundle is measured."""

    bins: Annotated[int, Field(ge=2, le=1000)]
    mistakes: Annotated[int, Field(ge=1, le=400)]
    latency_runs: Annotated[int, Field(ge=10, le=100_000)]
    latency_warmup: Annotated[int, Field(ge=0, le=10_000)]
