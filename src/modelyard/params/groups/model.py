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
        stride: in pixels; 2 halves the sides of the picture.
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
        input: the fitted picture's pixels, or its features from the imported network, without convolutions.
        crop: the pixels at each side of the picture that are ignored; four are empty in MNIST.
        first_filters: of the first convolution: learned like all others, or computed from the training
            pictures and fixed (see `training.whitening`), which is faster.
        batch_norm: whether the channels are normalised between each convolution and its relu, or the
            features.
        head: whether all pixels of the last convolution's channels go on, or the average of each channel.
        dense: units of the layers between the head and the outputs, each with relu.
        dropout: the share of inputs that each dense layer loses in training.
        members: the number of networks, each with its own seed; their answers are averaged.
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
            raise ValueError("crop 0 with features, which are not pictures")
        if self.first_filters == "whitening" and not self.convolutions:
            raise ValueError("first_filters learned if there are no convolutions")
        if self.head == "average" and not self.convolutions:
            raise ValueError("head flatten if there are no convolutions to average")
        return self

    def find_misfit(self, seen: Input) -> str | None:
        """Return why the layers cannot take such pictures, or None."""
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
    """Return why the filters of a layer cannot be pairs of components, or None."""
    most = 2 * first.kernel**2 * seen.channels
    if first.filters % 2 == 0 and first.filters <= most:
        return None
    return (
        f"model.convolutions: expected an even number of filters, at most {most}, in a first convolution of "
        f"{first.kernel}x{first.kernel} with first_filters whitening, got {first.filters}"
    )


def _shrink(side: int, layer: Convolution) -> int:
    if layer.padding == "valid":
        side -= layer.kernel - 1
    return -(-side // layer.stride) // layer.pool
