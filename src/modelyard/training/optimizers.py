"""Optimizers and learning rate schedules, by their names."""

from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.params import Optimizer, Train

if TYPE_CHECKING:
    import keras

# Saves a small network a quarter of its time, but a loss that is not finite is noticed up to 20 steps late.
STEPS_PER_CALL = 20
# one_cycle starts at 1/25 of the peak and ends at 1/10,000 of that, as in PyTorch and fastai.
_BEGIN, _END = 1 / 25, 1 / 250_000
_CLASSES = {name.lower(): name for name in ("Adam", "AdamW", "Nadam", "Lion", "RMSprop", "SGD")}


def compile_network(network: "keras.Model", train: Train, first_step: int, steps: int) -> None:
    """Compile the network with a new optimizer, for the `steps` steps after `first_step`."""
    from modelyard.training.loss import choose_loss

    optimizer = make_optimizer(train, first_step, steps)
    optimizer.build(network.trainable_variables)
    network.compile(
        optimizer=optimizer,
        loss=choose_loss(train.label_smoothing),
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_CALL,
        jit_compile=False,
    )


def make_optimizer(train: Train, first_step: int, steps: int) -> "keras.optimizers.Optimizer":
    """Return the optimizer that `train` names, with its learning rate; see `compile_network`."""
    import keras

    chosen = train.optimizer
    made = getattr(keras.optimizers, _CLASSES[chosen.name])(
        learning_rate=make_learning_rate(train, first_step, steps),
        # None costs nothing, but AdamW takes numbers only.
        weight_decay=chosen.weight_decay if chosen.weight_decay or chosen.name == "adamw" else None,
        use_ema=train.ema_momentum is not None,
        ema_momentum=0.99 if train.ema_momentum is None else train.ema_momentum,
        **_settings(chosen),
    )
    # `compile` would do this too late, when the optimizer is built already.
    return keras.optimizers.LossScaleOptimizer(made) if train.precision == "mixed_float16" else made


def make_learning_rate(
    train: Train, first_step: int, steps: int
) -> "float | keras.optimizers.schedules.LearningRateSchedule":
    """Return the learning rate, or its schedule over `steps` steps.

    Keras counts all steps of an optimizer. If a fit resumes at step n, its schedule starts so low that its
    warm-up has the right rate at step n. A schedule class of our own would be needed to load the file. Raises
    ModelyardError if no step would be left after the warm-up.
    """
    import keras

    peak, schedule = train.optimizer.learning_rate, train.schedule
    if schedule.name == "constant":
        return peak
    warmup = schedule.warmup if isinstance(schedule.warmup, int) else round(schedule.warmup * steps)
    if warmup >= steps:
        raise ModelyardError(
            f"train.schedule.warmup: expected fewer than the {steps} steps of this training, got {warmup}"
        )
    begin, end = (_BEGIN, _END) if schedule.name == "one_cycle" else (0.0, 0.0)
    at_zero = peak * (begin - (1 - begin) * first_step / warmup) if warmup else peak
    return keras.optimizers.schedules.CosineDecay(
        at_zero, steps - warmup, warmup_target=peak, warmup_steps=first_step + warmup, alpha=end
    )


def _settings(chosen: Optimizer) -> dict[str, float | bool]:
    if chosen.name == "sgd":
        return {"momentum": chosen.momentum, "nesterov": chosen.momentum > 0}
    if chosen.name == "rmsprop":
        return {"momentum": chosen.momentum}
    return {"beta_1": chosen.beta_1, "beta_2": chosen.beta_2}
