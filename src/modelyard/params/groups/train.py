"""train: how the network is fitted."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from modelyard.params.group import Group, Positive, Share, VersionUri

KerasFile = Annotated[str, Field(pattern=r"^.+\.keras$")]


class Optimizer(Group):
    """The optimizer, with the settings of all of them, so that a sweep can change only the name.

    Attributes:
        beta_1: used by adam, adamw, nadam and lion, as is beta_2.
        momentum: used by sgd (Nesterov momentum) and rmsprop.
        weight_decay: each step subtracts this share of a weight, times the learning rate.
    """

    name: Literal["adam", "adamw", "nadam", "lion", "rmsprop", "sgd"]
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    beta_1: Annotated[float, Field(ge=0, lt=1)]
    beta_2: Annotated[float, Field(ge=0, lt=1)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0, lt=1)]


class Schedule(Group):
    """constant; cosine (linear warm-up from zero, cosine decay to zero); one_cycle (after Smith).

    one_cycle warms up from 1/25 of the peak, and decays to 1/10,000 of that. `warmup` is a share of all steps
    (0.25), or a number of steps (200).
    """

    name: Literal["constant", "cosine", "one_cycle"]
    warmup: Annotated[int | float, Field(ge=0)]

    @model_validator(mode="after")
    def _warms_up_to_something(self) -> Self:
        if isinstance(self.warmup, float) and self.warmup >= 1:
            raise ValueError("warmup below 1, a share of all steps, or a whole number of steps")
        if self.name == "constant" and self.warmup:
            raise ValueError("warmup 0.0 with the constant schedule")
        if self.name == "one_cycle" and not self.warmup:
            raise ValueError("warmup above 0 with the one_cycle schedule")
        return self


class Augmentation(Group):
    """The random changes of a picture each time it is used; 0 changes nothing.

    The first five are the largest amount, for every picture. Shifts are in both directions, rotations and
    shears to either side. `scale` is the relative change of height and of width, `shear` the columns that a
    row moves for each row of distance from the middle, `elastic_pixels` the displacement of a point, which
    differs from part to part of the picture.

    The last four are the shares of the pictures whose light strokes on black become thicker, thinner, blurred
    or coarse, each by a random amount; a picture is changed by one of them at most.
    """

    shift_pixels: Annotated[float, Field(ge=0, le=2000)]
    rotate_degrees: Annotated[float, Field(ge=0, le=180)]
    scale: Annotated[float, Field(ge=0, lt=1)]
    shear: Annotated[float, Field(ge=0, lt=1)]
    elastic_pixels: Annotated[float, Field(ge=0, le=2000)]
    thicken: Share
    thin: Share
    blur: Share
    coarsen: Share

    @property
    def changes_pictures(self) -> bool:
        """Whether there is any change."""
        return any(self.model_dump().values())

    @model_validator(mode="after")
    def _has_no_more_than_all_pictures(self) -> Self:
        shares = self.thicken + self.thin + self.blur + self.coarsen
        # Decimal shares add up to 1 only nearly.
        if shares > 1 + 1e-9:
            raise ValueError(f"thicken, thin, blur and coarsen: expected at most 1 together, got {shares:g}")
        return self


class EarlyStopping(Group):
    """When to stop before the last epoch.

    Attributes:
        patience: the epochs without a better validation accuracy after which training stops, with the weights
            of the best epoch; null never stops.
        min_improvement: the smallest increase of accuracy that counts as better.
    """

    patience: Positive | None
    min_improvement: Annotated[float, Field(ge=0, le=1)]


class Train(Group):
    """How the network is fitted; conf/train describes further values.

    Attributes:
        ema_momentum: momentum of a moving average of the weights, which is validated and saved; null saves
            the last weights.
        label_smoothing: the share of each label that is spread evenly over all classes. It improves accuracy
            and lowers confidence; both training and validation loss use the smoothed labels.
        precision: of computations; weights and the saved network are always float32. bfloat16 is faster on
            processors that support it; float16 is for GPUs, and five times slower on a processor.
    """

    epochs: Annotated[int, Field(ge=1, le=10_000)]
    batch_size: Annotated[int, Field(ge=1, le=60_000)]
    images: Positive | None
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    optimizer: Optimizer
    schedule: Schedule
    augmentation: Augmentation
    early_stopping: EarlyStopping
    ema_momentum: Annotated[float, Field(gt=0, lt=1)] | None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"]
    strategy: Literal["none", "mirrored", "multi_worker"]
    resume_from: VersionUri | KerasFile | None

    def steps_per_epoch(self, examples: int) -> int:
        """Return the steps of an epoch; the last batch may be smaller, and no example is left out."""
        return -(-examples // self.batch_size)
