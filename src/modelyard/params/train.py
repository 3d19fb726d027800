"""train: how the network is fitted."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from modelyard.params.group import Group, Positive, VersionUri

KerasFile = Annotated[str, Field(pattern=r"^.+\.keras$")]


class Optimizer(Group):
    """What moves the weights; all settings stand here, so that a sweep can change the name alone.

    Attributes:
        beta_1: of adam, adamw, nadam and lion; the others do not use it.
        beta_2: as well.
        momentum: of sgd (Nesterov's) and rmsprop; the others do not use it.
        weight_decay: the share of each weight that goes at every step, times the learning rate.
    """

    name: Literal["adam", "adamw", "nadam", "lion", "rmsprop", "sgd"]
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    beta_1: Annotated[float, Field(ge=0, lt=1)]
    beta_2: Annotated[float, Field(ge=0, lt=1)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0, lt=1)]


class Schedule(Group):
    """How the learning rate changes from step to step.

    Attributes:
        name: constant; cosine (up in a line while it warms up, then down a cosine to zero); one_cycle (from a
            25th up a cosine, then down one to a 10,000th of a 25th, after Smith).
        warmup: a share of all steps (0.25), or a number of steps (200).
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
    """By how much, at most, every picture is changed each time it is seen; 0 changes nothing.

    Attributes:
        shift_pixels: to any side.
        rotate_degrees: to either side.
        scale: larger or smaller by this share, height and width apart.
        elastic_pixels: how far a point is drawn from its place, differently in each part of the picture.
    """

    shift_pixels: Annotated[float, Field(ge=0, le=2000)]
    rotate_degrees: Annotated[float, Field(ge=0, le=180)]
    scale: Annotated[float, Field(ge=0, lt=1)]
    elastic_pixels: Annotated[float, Field(ge=0, le=2000)]


class EarlyStopping(Group):
    """When to stop before the last epoch.

    Attributes:
        patience: epochs without a better validation accuracy, after which it stops and takes the weights of
            the best epoch; null never stops.
        min_improvement: by how much accuracy must be better to count.
    """

    patience: Positive | None
    min_improvement: Annotated[float, Field(ge=0, le=1)]


class Train(Group):
    """How the network is fitted.

    Attributes:
        images: so many of the training images, the first ones; null is all.
        ema_momentum: of the average of the weights over the steps, with which it validates and ends; null
            takes the last weights.
        label_smoothing: the share of each label that all classes get alike while it learns; better
            answers, with scores that are less sure. The losses are to such labels, in validation too.
        precision: of the computation; weights, and the network that comes out, are float32 always. bfloat16
            is faster on processors that have it; float16 is for GPUs, and five times slower on a processor.
        strategy: none is one device; mirrored all GPUs that CUDA_VISIBLE_DEVICES names, each with a part of
            every batch; multi_worker several machines, each with a part: the same command on each, with
            TF_CONFIG set. The first worker alone writes.
        resume_from: a .keras file or a registered version to go on training from.
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
