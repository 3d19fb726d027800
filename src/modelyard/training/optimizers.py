"""What moves the weights: optimizers and the course of the learning rate, by their names."""

from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.params import Optimizer, Train
from modelyard.training.steps import STEPS_PER_CALL

if TYPE_CHECKING:
    import keras

# Of one_cycle, as in PyTorch's and fastai's: it begins at a 25th of the peak, and ends at a 10,000th of that.
_BEGIN, _END = 1 / 25, 1 / 250_000


def compile_network(network: "keras.Model", train: Train, first_step: int, steps: int) -> None:
    """Give the network a new optimizer, for the `steps` steps that follow `first_step`.

    Raises:
        ModelyardError: the schedule warms up for more steps than there are.
    """
    optimizer = make_optimizer(train, first_step, steps)
    optimizer.build(network.trainable_variables)
    network.compile(
        optimizer=optimizer,
        loss=_choose_loss(train.label_smoothing),
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_CALL,
        jit_compile=False,
    )


def make_optimizer(train: Train, first_step: int, steps: int) -> "keras.optimizers.Optimizer":
    """Make the optimizer that `train` names, with its learning rate; see `compile_network`."""
    import keras

    chosen = train.optimizer
    common = {
        "learning_rate": make_learning_rate(train, first_step, steps),
        # None costs nothing; adamw, which is made of it, takes a number alone.
        "weight_decay": chosen.weight_decay if chosen.weight_decay or chosen.name == "adamw" else None,
        "use_ema": train.ema_momentum is not None,
        "ema_momentum": 0.99 if train.ema_momentum is None else train.ema_momentum,
    }
    makers = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "nadam": keras.optimizers.Nadam,
        "lion": keras.optimizers.Lion,
        "rmsprop": keras.optimizers.RMSprop,
        "sgd": keras.optimizers.SGD,
    }
    made = makers[chosen.name](**common, **_settings(chosen))
    # Keras does this in `compile` too late: by then the optimizer is built.
    return keras.optimizers.LossScaleOptimizer(made) if train.precision == "mixed_float16" else made


def make_learning_rate(
    train: Train, first_step: int, steps: int
) -> "float | keras.optimizers.schedules.LearningRateSchedule":
    """Return the learning rate, or its course over `steps` steps.

    Keras counts an optimizer's steps from its very first. For a fit that goes on from step n, Keras' own
    schedule is laid so that its warm-up line passes through the right rate at step n: a class of ours would
    have to be there whenever the file is loaded.

    Raises:
        ModelyardError: the warm-up has more steps than there are.
    """
    import keras

    peak = train.optimizer.learning_rate
    if train.schedule.name == "constant":
        return peak
    warmup = count_warmup(train, steps)
    begin, end = (_BEGIN, _END) if train.schedule.name == "one_cycle" else (0.0, 0.0)
    at_zero = peak * (begin - (1 - begin) * first_step / warmup) if warmup else peak
    return keras.optimizers.schedules.CosineDecay(
        at_zero, steps - warmup, warmup_target=peak, warmup_steps=first_step + warmup, alpha=end
    )


def count_warmup(train: Train, steps: int) -> int:
    """Return how many of `steps` steps the learning rate warms up for.

    Raises:
        ModelyardError: none would be left after it.
    """
    warmup = train.schedule.warmup
    count = warmup if isinstance(warmup, int) else round(warmup * steps)
    if count >= steps:
        raise ModelyardError(
            f"train.schedule.warmup: expected fewer than the {steps} steps of this training, got {count}"
        )
    return count


def _choose_loss(smoothing: float) -> "str | keras.losses.Loss":
    if not smoothing:
        return "sparse_categorical_crossentropy"
    from modelyard.training.loss import SmoothedCrossentropy

    return SmoothedCrossentropy(smoothing)


def _settings(chosen: Optimizer) -> dict[str, float | bool]:
    """Return what is the optimizer's own."""
    if chosen.name == "sgd":
        return {"momentum": chosen.momentum, "nesterov": chosen.momentum > 0}
    if chosen.name == "rmsprop":
        return {"momentum": chosen.momentum}
    return {"beta_1": chosen.beta_1, "beta_2": chosen.beta_2}
