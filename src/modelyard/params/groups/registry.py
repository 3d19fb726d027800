"""registry: where versions are published, and which of them are kept."""

from typing import Annotated

from pydantic import Field

from modelyard.params.group import Group, Positive, Seconds


class Prune(Group):
    """Which versions `modelyard prune` removes, if no alias points to them."""

    min_age_days: Annotated[float, Field(ge=0)]
    keep_champions: Positive


class Registry(Group):
    """Where versions are published; `auto_promote` asks the gate about every new version."""

    experiment: Annotated[str, Field(min_length=1)]
    lock_timeout_s: Seconds
    auto_promote: bool
    prune: Prune
