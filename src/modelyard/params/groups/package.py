"""package: how a network becomes a bundle."""

from typing import Annotated, Literal

from pydantic import Field

from modelyard.params.group import Group, Share

Precision = Literal["float32", "int8"]
Precisions = Annotated[tuple[Precision, ...], Field(strict=False, min_length=1, max_length=2)]


class Int8(Group):
    """How close an int8 model must stay to its source."""

    min_same_first: Share
    max_difference: Share


class Package(Group):
    """How a network becomes a bundle, and the limits of the conversion.

    Attributes:
        trained: the precisions of a network trained here; each becomes a bundle, or fails alone.
        proof_pictures: the least number of pictures to prove a network on, filled up with cut-outs.
    """

    trained: Precisions
    imported: Precisions
    proof_pictures: Annotated[int, Field(ge=60, le=1000)]
    max_float32_difference: Annotated[float, Field(gt=0, le=1)]
    int8: Int8
