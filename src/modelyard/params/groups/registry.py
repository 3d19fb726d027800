"""registry: where versions are published, and which of them stay."""

from typing import Annotated

from pydantic import Field

from modelyard.params.group import Group, Positive, Seconds


class Prune(Group):
    """Which versions `modelyard prune` removes, besides that no alias points to them.

    Attributes:
        min_age_days: younger ones stay.
        keep_champions: how many of the last champions stay.
    """

    min_age_days: Annotated[float, Field(ge=0)]
    keep_champions: Positive


class Registry(Group):
    """Where versions are published.

    Attributes:
        auto_promote: whether the gate of its name is asked about every new version.
    """

    experiment: Annotated[str, Field(min_length=1)]
    lock_timeout_s: Seconds
    auto_promote: bool
    prune: Prune
