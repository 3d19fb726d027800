"""Fitting a network to examples: seeded, resumable after a kill, told epoch by epoch."""

import math
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.params import Train
from modelyard.training.batches import steps_per_epoch, training_batches, validation_batches
from modelyard.training.checkpoints import Checkpoints, Metrics, Progress, Weights
from modelyard.training.cluster import read_cluster
from modelyard.training.resuming import load_network, take_over
from modelyard.training.steps import STEPS_PER_CALL
from modelyard.training.strategy import (
    fit_together,
    hand_out,
    refuse_disagreement,
    run_outside,
)
from modelyard.training.task import Task, prepare_network

if TYPE_CHECKING:
    import keras

OnEpoch = Callable[[int, Metrics], None]


def fit_network(
    task: Task, on_epoch: OnEpoch, checkpoints: Checkpoints | None = None, member: int = 0
) -> tuple["keras.Model", list[Metrics]]:
    """Fit one network, from the last checkpoint where there is one.

    A row of the history holds `loss`, `accuracy`, `val_loss`, `val_accuracy` and `seconds` (of fitting and
    validation). The terminal shows a progress bar, a file one line an epoch.

    Args:
        task: what to fit.
        on_epoch: gets the epoch's number, from 0, and its row as soon as it ends, before its checkpoint is
            written; those of a checkpoint too. What it raises ends the fit.
        checkpoints: where to keep a checkpoint after each epoch.
        member: its number in an ensemble, for the checkpoints.

    Returns:
        The network, with the weights of its best epoch where it may stop early, and a row an epoch.

    Raises:
        ModelyardError: the loss is no number any more, at the step it names; the last checkpoint stays.
    """
    network = prepare_network(task)
    progress = Progress()
    kept = checkpoints and checkpoints.read(member)
    if checkpoints:
        begun = len(kept[1].history) if kept else 0
        refuse_disagreement(task.train.strategy, f"training {checkpoints.identity} after epoch {begun}")
    if kept:
        file, progress = kept
        take_over(network, load_network(file), file)
        for epoch, row in enumerate(progress.history):
            on_epoch(epoch, row)
        print(f"goes on after epoch {len(progress.history)} of {task.train.epochs}", flush=True)

    def end_epoch(row: Metrics) -> None:
        progress.history.append(row)
        _note_best(network, task.train, progress)
        on_epoch(len(progress.history) - 1, row)
        if checkpoints and len(progress.history) < task.train.epochs:
            run_outside(task.train.strategy, lambda: checkpoints.write(member, network, progress))

    if len(progress.history) < task.train.epochs and not _has_stalled(task.train, progress):
        _fit(network, task, progress, end_epoch)
    if progress.best is not None:
        network.set_weights(progress.best)
    if checkpoints:
        checkpoints.write(member, network, progress)
    return network, progress.history


def _fit(
    network: "keras.Model", task: Task, progress: Progress, end_epoch: Callable[[Metrics], None]
) -> None:
    """Let Keras fit the epochs that are left."""
    import keras
    import tensorflow as tf

    current = tf.Variable(0, dtype=tf.int64, trainable=False)
    began = time.perf_counter()

    def begin(epoch: int, _logs: object) -> None:
        nonlocal began
        began = time.perf_counter()
        current.assign(epoch)
        _seed_layers(network, task.train.seed, epoch)

    def end(_epoch: int, logs: Metrics) -> None:
        row = {name: float(value) for name, value in logs.items()}
        end_epoch(row | {"seconds": time.perf_counter() - began})
        network.stop_training = _has_stalled(task.train, progress)

    def look(batch: int, logs: Metrics) -> None:
        if not math.isfinite(logs["loss"]):
            of_epoch = steps_per_epoch(len(task.training), task.train.batch_size)
            done = int(current) * of_epoch + min(batch + 1, of_epoch)
            raise ModelyardError(
                f"the loss is no number at step {done} of {task.steps}, in epoch {int(current) + 1} (looked "
                f"at every {STEPS_PER_CALL} steps): try a smaller train.optimizer.learning_rate"
            )

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_train_batch_end=look)]
    if task.train.ema_momentum is not None:
        callbacks.append(keras.callbacks.SwapEMAWeights())
    callbacks.append(keras.callbacks.LambdaCallback(on_epoch_end=end))
    strategy = task.train.strategy
    cluster = read_cluster(strategy)
    with fit_together(network, strategy):
        network.fit(
            hand_out(training_batches(task.training, task.train, current, cluster), strategy),
            validation_data=hand_out(validation_batches(task.validation, cluster), strategy),
            initial_epoch=len(progress.history),
            epochs=task.train.epochs,
            shuffle=False,
            callbacks=callbacks,
            verbose=1 if sys.stdout.isatty() else 2,
        )


def _seed_layers(network: "keras.Model", seed: int, epoch: int) -> None:
    """Let dropout draw from seed and epoch alone; a `.keras` file does not keep where it was."""
    for layer in network.layers:
        if generator := getattr(layer, "seed_generator", None):
            generator.state.assign([seed, epoch])


def _has_stalled(train: Train, progress: Progress) -> bool:
    """Say whether validation has not become better for as long as may be."""
    patience, best = train.early_stopping.patience, progress.best_epoch
    return patience is not None and best is not None and len(progress.history) - 1 - best >= patience


def _note_best(network: "keras.Model", train: Train, progress: Progress) -> None:
    """Keep the weights of the epoch that validated best, where the fit may stop early."""
    if train.early_stopping.patience is None:
        return
    least = train.early_stopping.min_improvement
    accuracies = [row["val_accuracy"] for row in progress.history]
    if progress.best_epoch is None or accuracies[-1] > accuracies[progress.best_epoch] + least:
        progress.best_epoch = len(accuracies) - 1
        progress.best = _validated_weights(network, train)


def _validated_weights(network: "keras.Model", train: Train) -> Weights:
    """Return the weights that validation has seen: the averages, where there are any."""
    weights = dict(zip((id(weight) for weight in network.weights), network.get_weights(), strict=True))
    if train.ema_momentum is not None:
        optimizer = getattr(network.optimizer, "inner_optimizer", network.optimizer)
        averages = optimizer._model_variables_moving_average
        for weight, average in zip(network.trainable_weights, averages, strict=True):
            weights[id(weight)] = average.numpy()
    return list(weights.values())
