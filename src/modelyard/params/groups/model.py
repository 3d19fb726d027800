"""model: the layers of the network."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from modelyard.params.group import Group, Positive, Several
from modelyard.params.groups.data import Input

_DEEPEST = 12


class Convolution(Group):
    """A convolution with relu.

    Attributes:
        kernel: its side, in pixels.
        stride: of the convolution, in pixels; 2 halves the sides of the picture.
        padding: "same" keeps the sides, "valid" takes `kernel - 1` off them.
        pool: the side of the max-pool that follows; 1 is none.
    """

    filters: Positive
    kernel: Annotated[int, Field(ge=1, le=64)]
    stride: Annotated[int, Field(ge=1, le=4)]
    padding: Literal["same", "valid"]
    pool: Annotated[int, Field(ge=1, le=4)]


class Model(Group):
    """The network: convolutions, then dense layers, softmax at the end.

    Attributes:
        input: what the first layer sees: the picture's pixels, as conf/data has them fitted, or the features
            that the imported network has for it; those have no convolutions before them.
        crop: so many pixels at each side of the picture are not looked at; MNIST keeps four empty.
        first_filters: of the first convolution: learned like all others, or computed from the training
            pictures before the first step and left alone (see `training.whitening`), which is faster.
        batch_norm: whether the channels are normalised between each convolution and its relu; of features,
            whether those are, whose scale is the imported network's own.
        head: what becomes of the last convolution's channels: all their pixels, or one average each.
        dense: units of the layers between that and the outputs, each with relu.
        dropout: the share of inputs that each dense layer loses while it is trained.
        members: so many networks, each with a seed of its own; they answer with their average.
    """

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    input: Literal["pixels", "features"]
    crop: Annotated[int, Field(ge=0, le=2000)]
    first_filters: Literal["learned", "whitening"]
    convolutions: Annotated[tuple[Convolution, ...], Field(strict=False, max_length=_DEEPEST)]
    batch_norm: bool
    head: Literal["flatten", "average"]
    dense: Annotated[tuple[Positive, ...], Several]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    members: Annotated[int, Field(ge=1, le=20)]

    @model_validator(mode="after")
    def _layers_fit_together(self) -> Self:
        if self.input == "features" and self.convolutions:
            raise ValueError("no convolutions on features, which are one row of numbers")
        if self.input == "features" and self.crop:
            raise ValueError("crop 0 with features, which are no picture")
        if self.first_filters == "whitening" and not self.convolutions:
            raise ValueError("first_filters learned where there are no convolutions")
        if self.head == "average" and not self.convolutions:
            raise ValueError("head flatten where there are no convolutions to average")
        return self

    def find_misfit(self, seen: Input) -> str | None:
        """Say why the layers cannot take such pictures, None where they can."""
        if self.input == "features":
            return None
        sides = [side - 2 * self.crop for side in (seen.height, seen.width)]
        if min(sides) < 1:
            return f"model.crop: expected something left of {seen.height}x{seen.width}, got {self.crop}"
        if self.first_filters == "whitening" and (wrong := _refuse_whitening(self.convolutions[0], seen)):
            return wrong
        for place, layer in enumerate(self.convolutions, 1):
            before, sides = sides, [_shrink(side, layer) for side in sides]
            if min(sides) < 1:
                return (
                    f"model.convolutions: expected pictures large enough, convolution {place} leaves nothing "
                    f"of {before[0]}x{before[1]}, of pictures of {seen.height}x{seen.width} (data.input)"
                )
        return None


def _refuse_whitening(first: Convolution, seen: Input) -> str | None:
    """Refuse a layer whose filters cannot be pairs of components."""
    most = 2 * first.kernel**2 * seen.channels
    if first.filters % 2 == 0 and first.filters <= most:
        return None
    return (
        f"model.convolutions: expected an even number of filters, at most {most}, in a first convolution of "
        f"{first.kernel}x{first.kernel} with first_filters whitening, got {first.filters}"
    )


def _shrink(side: int, layer: Convolution) -> int:
    """Return the side of the picture after a convolution and its pool, as Keras counts it."""
    if layer.padding == "valid":
        side -= layer.kernel - 1
    return -(-side // layer.stride) // layer.pool
