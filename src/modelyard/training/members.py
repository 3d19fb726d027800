"""The members of an ensemble, or the one network of a plain model, fitted one after the other."""

from dataclasses import replace
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.failures import warn
from modelyard.networks.layers import build_network, join_members
from modelyard.training.checkpoints import Checkpoints, Metrics
from modelyard.training.fitting import OnEpoch, fit_network
from modelyard.training.optimizers import compile_network
from modelyard.training.task import Task, seed_everything

if TYPE_CHECKING:
    import keras

# After fewer, random weights have hardly learned anything, and running statistics still hold their start.
FEW_STEPS = 100
# Of the averaged weights, a larger share of the start makes them useless.
MOST_OF_START = 0.01


def fit_members(
    task: Task, on_epoch: OnEpoch, checkpoints: Checkpoints | None = None
) -> tuple["keras.Model", list[Metrics]]:
    """Fit `model.members` networks and join them; member n has the seed `train.seed + n`.

    Returns a float32 network of Keras' own layers that answers with the members' average, and the metrics of
    all epochs, counted together; in an ensemble, each has its `member`, from 0. Raises ModelyardError as
    `fit_network` does, or if an ensemble has a `task.start`.
    """
    count = task.model.members
    if count > 1 and task.start is not None:
        raise ModelyardError(f"train.resume_from: expected null for {count} members, got {task.start}")
    _warn_of_few_steps(task)
    task.distribution.start()
    members, rows = [], []
    for member in range(count):
        own = replace(task, train=task.train.model_copy(update={"seed": task.train.seed + member}))
        seed_everything(own.train.seed)

        def report(_: int, row: Metrics, member: int = member) -> None:
            rows.append(row if count == 1 else {"member": float(member), **row})
            on_epoch(len(rows) - 1, rows[-1])

        members.append(_make_plain(fit_network(own, report, checkpoints, member), own))
    return join_members(task.model, members), rows


def _warn_of_few_steps(task: Task) -> None:
    """Say so if random weights are trained for so few steps that little can come of it."""
    if task.start is not None:
        return
    steps, momentum = task.steps, task.train.ema_momentum
    if task.model.input == "pixels" and steps < FEW_STEPS:
        warn(f"{steps} steps of training in all: try model=features, or smaller batches and more epochs")
    # The average begins with the weights after the first step.
    if momentum is not None and (left := momentum ** (steps - 1)) > MOST_OF_START:
        warn(
            f"train.ema_momentum={momentum:g}: after {steps} steps, {left:.0%} of the averaged weights are "
            "still those of the start: make it smaller, or null"
        )


def _make_plain(network: "keras.Model", task: Task) -> "keras.Model":
    """Return the network in float32, on one device and of Keras' own layers, as it is saved and served."""
    plain = build_network(task.model, task.shape, task.training.classes)
    plain.set_weights(network.get_weights())
    compile_network(plain, task.train.model_copy(update={"label_smoothing": 0.0}), 0, task.steps)
    for variable, value in zip(plain.optimizer.variables, network.optimizer.variables, strict=True):
        variable.assign(value.numpy())
    return plain
