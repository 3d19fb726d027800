"""Fitting one network: seeded, checkpointed after every epoch, and resumed from the last checkpoint."""

import math
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.training.checkpoints import Checkpoints, Metrics, Progress
from modelyard.training.optimizers import STEPS_PER_CALL
from modelyard.training.restoring import load_network, restore_state
from modelyard.training.stopping import find_best, should_stop
from modelyard.training.task import Task, prepare_network

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

OnEpoch = Callable[[int, Metrics], None]


def fit_network(task: Task, on_epoch: OnEpoch, checkpoints: Checkpoints | None, member: int) -> "keras.Model":
    """Fit one network, from its last checkpoint if there is one, and return it.

    It has the weights of its best epoch if it may stop early. `on_epoch` is called with each epoch's number,
    from 0, and its metrics: `loss`, `accuracy`, `val_loss`, `val_accuracy` and `seconds` (with validation).
    It runs before the epoch's checkpoint is written, and again for the epochs of a resumed checkpoint; an
    exception ends the fit. `member` is the network's number in an ensemble. Prints a progress bar on a
    terminal, and one line per epoch elsewhere.

    Raises ModelyardError if the loss is not finite; the last checkpoint stays.
    """
    network, progress, stopping = prepare_network(task), Progress(), task.train.early_stopping
    if checkpoints:
        progress = _resume(network, task, checkpoints, member)
    for epoch, row in enumerate(progress.history):
        on_epoch(epoch, row)

    def end_epoch(row: Metrics) -> None:
        progress.history.append(row)
        on_epoch(len(progress.history) - 1, row)
        if checkpoints and len(progress.history) < task.train.epochs:
            task.distribution.run_outside_scope(lambda: checkpoints.write(member, network, progress))

    if len(progress.history) < task.train.epochs and not should_stop(progress.history, stopping):
        _fit(network, task, progress, end_epoch)
    if progress.best is not None:
        network.set_weights(progress.best)
    if checkpoints:
        checkpoints.write(member, network, progress)
    return network


def _resume(network: "keras.Model", task: Task, checkpoints: Checkpoints, member: int) -> Progress:
    """Restore a network from the last checkpoint, and return its progress; empty if there is none."""
    file, progress = checkpoints.read(member) or (None, Progress())
    epochs = len(progress.history)
    task.distribution.check_same_start(f"training {checkpoints.identity} after epoch {epochs}")
    if file is not None:
        restore_state(network, load_network(file), file)
        print(f"continues after epoch {epochs} of {task.train.epochs}", flush=True)
    return progress


def _fit(
    network: "keras.Model", task: Task, progress: Progress, end_epoch: Callable[[Metrics], None]
) -> None:
    import tensorflow as tf

    from modelyard.training.inputs.batches import training_batches, validation_batches

    epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
    distribution = task.distribution
    training = training_batches(task.training, task.train, epoch, distribution.cluster)
    validation = validation_batches(task.validation, distribution.cluster)
    with distribution.fitting(network):
        network.fit(
            distribution.distribute(training),
            validation_data=distribution.distribute(validation),
            initial_epoch=len(progress.history),
            epochs=task.train.epochs,
            shuffle=False,
            callbacks=_make_callbacks(network, task, progress, epoch, end_epoch),
            verbose=1 if sys.stdout.isatty() else 2,
        )


def _make_callbacks(
    network: "keras.Model",
    task: Task,
    progress: Progress,
    current: "tf.Variable",
    end_epoch: Callable[[Metrics], None],
) -> list["keras.callbacks.Callback"]:
    """Return Keras' callbacks, which keep `current` and `progress` up to date."""
    import keras

    began = 0.0

    def begin(epoch: int, _logs: object) -> None:
        nonlocal began
        began = time.perf_counter()
        current.assign(epoch)
        _seed_dropout(network, task.train.seed, epoch)

    def check_loss(batch: int, logs: Metrics) -> None:
        if not math.isfinite(logs["loss"]):
            raise _explain_loss(logs["loss"], task, int(current), batch)

    def keep_best(logs: Metrics) -> None:
        so_far = [*progress.history, {"val_accuracy": logs["accuracy"]}]
        if find_best(so_far, task.train.early_stopping) == len(progress.history):
            progress.best = network.get_weights()

    def end(_epoch: int, logs: Metrics) -> None:
        row = {name: float(value) for name, value in logs.items()}
        end_epoch(row | {"seconds": time.perf_counter() - began})
        network.stop_training = should_stop(progress.history, task.train.early_stopping)

    make = keras.callbacks.LambdaCallback
    averages = [] if task.train.ema_momentum is None else [keras.callbacks.SwapEMAWeights()]
    # The first one still sees the weights that were validated, before the averages are swapped out.
    first = make(on_epoch_begin=begin, on_train_batch_end=check_loss, on_test_end=keep_best)
    return [first, *averages, make(on_epoch_end=end)]


def _seed_dropout(network: "keras.Model", seed: int, epoch: int) -> None:
    """Let dropout draw from seed and epoch alone: a `.keras` file does not keep a generator's state."""
    for layer in network.layers:
        if generator := getattr(layer, "seed_generator", None):
            generator.state.assign([seed, epoch])


def _explain_loss(loss: float, task: Task, epoch: int, batch: int) -> ModelyardError:
    of_epoch = task.train.steps_per_epoch(len(task.training))
    done = epoch * of_epoch + min(batch + 1, of_epoch)
    return ModelyardError(
        f"the loss is {loss} at step {done} of {task.steps}, in epoch {epoch + 1} "
        f"(checked every {STEPS_PER_CALL} steps): try a smaller train.optimizer.learning_rate"
    )
