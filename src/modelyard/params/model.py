"""model: the layers of the network."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from modelyard.params.group import Group, Positive, Several

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
    kernel: Annotated[int, Field(ge=1, le=28)]
    stride: Annotated[int, Field(ge=1, le=4)]
    padding: Literal["same", "valid"]
    pool: Annotated[int, Field(ge=1, le=4)]


class Model(Group):
    """The network: convolutions, then dense layers, softmax at the end.

    Attributes:
        input: what the first layer sees: the digit's 28x28 pixels, or the 2,048 features that the imported
            Inception has for it; those have no convolutions before them.
        crop: so many pixels at each side of the picture are not looked at; MNIST keeps four empty.
        first_filters: of the first convolution: learned like all others, or computed from the training
            pictures before the first step and left alone (see `training.whitening`), which is faster.
        batch_norm: whether the channels are normalised between each convolution and its relu; of
            inception_features, whether those are, whose scale is the imported network's own.
        head: what becomes of the last convolution's channels: all their pixels, or one average each.
        dense: units of the layers between that and the ten outputs, each with relu.
        dropout: the share of inputs that each dense layer loses while it is trained.
        members: so many networks, each with a seed of its own; they answer with their average.
    """

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    input: Literal["pixels", "inception_features"]
    crop: Annotated[int, Field(ge=0, le=12)]
    first_filters: Literal["learned", "whitening"]
    convolutions: Annotated[tuple[Convolution, ...], Field(strict=False, max_length=_DEEPEST)]
    batch_norm: bool
    head: Literal["flatten", "average"]
    dense: Annotated[tuple[Positive, ...], Several]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    members: Annotated[int, Field(ge=1, le=20)]

    @model_validator(mode="after")
    def _layers_fit(self) -> Self:
        if self.input == "inception_features" and self.convolutions:
            raise ValueError("no convolutions on inception_features, which are one row of numbers")
        if self.input == "inception_features" and self.crop:
            raise ValueError("crop 0 with inception_features, which are no picture")
        if self.first_filters == "whitening":
            _refuse_whitening(self.convolutions)
        if self.head == "average" and not self.convolutions:
            raise ValueError("head flatten where there are no convolutions to average")
        side = seen = 28 - 2 * self.crop
        for place, layer in enumerate(self.convolutions, 1):
            side = _shrink(side, layer)
            if side < 1:
                raise ValueError(
                    f"pictures large enough, convolution {place} leaves nothing of {seen}x{seen}"
                )
        return self


def _refuse_whitening(convolutions: tuple[Convolution, ...]) -> None:
    """Refuse layers whose first filters cannot be pairs of components."""
    if not convolutions:
        raise ValueError("first_filters learned where there are no convolutions")
    first = convolutions[0]
    if first.filters % 2 or first.filters > 2 * first.kernel**2:
        raise ValueError(
            f"an even number of filters, at most {2 * first.kernel**2}, in a first convolution of "
            f"{first.kernel}x{first.kernel} with first_filters whitening, got {first.filters}"
        )


def _shrink(side: int, layer: Convolution) -> int:
    """Return the side of the picture after a convolution and its pool, as Keras counts it."""
    if layer.padding == "valid":
        side -= layer.kernel - 1
    return -(-side // layer.stride) // layer.pool
