"""package: how a network becomes a bundle."""

from typing import Annotated, Literal

from pydantic import Field

from modelyard.params.group import Group, Share


class Int8(Group):
    """How close an int8 model must stay to its source."""

    min_same_first: Share
    max_difference: Share


class Package(Group):
    """How a network becomes a bundle, and what is asked of the conversion."""

    precision: Literal["float32", "int8"]
    max_float32_difference: Annotated[float, Field(gt=0, le=1)]
    int8: Int8
