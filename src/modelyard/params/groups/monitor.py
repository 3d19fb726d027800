"""monitor: where answers are recorded, and which changes of them raise an alarm."""

from typing import Annotated

from pydantic import Field

from modelyard.params.group import Group, Positive, Share


class Limits(Group):
    """The largest change that raises no alarm; one that is null never does."""

    labels: Annotated[float, Field(gt=0)] | None
    scores: Share | None
    inputs: Share | None
    accuracy_drop: Share | None


class Monitor(Group):
    """Where answers are recorded, and what `modelyard monitor` asks of them."""

    tables: Annotated[str, Field(min_length=1)]
    min_images: Positive
    min_labels: Positive
    false_alarms: Annotated[float, Field(gt=0, lt=1)]
    limits: Limits
    least_sure: Annotated[int, Field(ge=0, le=200)]
    recent: Annotated[float, Field(ge=0, lt=1)]
