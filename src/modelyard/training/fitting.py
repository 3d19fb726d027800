"""Fitting a network to digits: seeded, resumable, told epoch by epoch."""

import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.digits.dataset import Digits
from modelyard.errors import ModelyardError
from modelyard.files import replace_file
from modelyard.params import Model, Train
from modelyard.quiet import import_tensorflow
from modelyard.training.network import build_network, compile_network

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Metrics = dict[str, float]


def seed_everything(seed: int) -> None:
    """Make the same seed give the same weights on the same machine."""
    import_tensorflow()
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def prepare_network(model: Model, train: Train, images: int, resume_from: Path | None) -> "keras.Model":
    """Make a compiled network: a fresh one, or the one in a `.keras` file with its optimizer's state.

    Args:
        model: the layers; a resumed network must have them too.
        train: optimizer, schedule, epochs and batch size.
        images: how many images an epoch has.
        resume_from: the file of an earlier training, or None.

    Raises:
        ModelyardError: the batch is larger than the data; the file is no network, or another one.
    """
    if train.batch_size > images:
        raise ModelyardError(
            f"train.batch_size: expected at most {images}, the training images, got {train.batch_size}"
        )
    steps = train.epochs * steps_per_epoch(images, train.batch_size)
    network = build_network(model)
    if resume_from is None:
        compile_network(network, train, 0, steps)
        return network
    earlier = _load_network(resume_from)
    _refuse_other_layers(network, earlier, resume_from)
    network.set_weights(earlier.get_weights())
    compile_network(network, train, int(earlier.optimizer.iterations), steps)
    _copy_optimizer_state(earlier.optimizer, network.optimizer)
    return network


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Count the steps of an epoch; the last batch may be smaller, no image is left out."""
    return -(-images // batch_size)


def fit_network(
    network: "keras.Model",
    training: Digits,
    validation: Digits,
    train: Train,
    on_epoch: Callable[[int, Metrics], None],
) -> list[Metrics]:
    """Fit a compiled network, and return one row of metrics an epoch.

    A row holds `loss`, `accuracy`, `val_loss`, `val_accuracy` and `seconds` (of fitting and validation).
    `on_epoch` gets the epoch's number, from 0, and the row as soon as the epoch ends. The terminal shows a
    progress bar, a file one line an epoch.

    Raises:
        ModelyardError: the loss is no number any more.
    """
    import keras

    history: list[Metrics] = []
    began = time.perf_counter()

    def end_epoch(epoch: int, logs: dict[str, float]) -> None:
        nonlocal began
        now = time.perf_counter()
        row = {name: float(value) for name, value in logs.items()} | {"seconds": now - began}
        began = now
        if row["loss"] != row["loss"]:
            raise ModelyardError(
                f"the loss is no number after epoch {epoch + 1}: try a smaller train.optimizer.learning_rate"
            )
        history.append(row)
        on_epoch(epoch, row)

    network.fit(
        _batches(training, train),
        validation_data=_whole(validation),
        epochs=train.epochs,
        shuffle=False,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=end_epoch)],
        verbose=1 if sys.stdout.isatty() else 2,
    )
    return history


def save_network(network: "keras.Model", path: Path) -> None:
    """Write the network with its optimizer's state, as a `.keras` file."""
    with replace_file(path.with_suffix(".keras")) as new:
        whole = new.with_suffix(".keras")
        network.save(whole)
        whole.replace(new)


def write_history(path: Path, history: list[Metrics]) -> None:
    """Write one line an epoch, counted from 1, as CSV."""
    with replace_file(path) as new, new.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", *history[0]])
        writer.writeheader()
        writer.writerows({"epoch": epoch, **row} for epoch, row in enumerate(history, 1))


def _batches(digits: Digits, train: Train) -> "tf.data.Dataset":
    """uint8 batches in a new seeded order every epoch; Keras casts them inside the compiled step."""
    import tensorflow as tf

    images = tf.data.Dataset.from_tensor_slices((digits.images[..., None], digits.labels))
    shuffled = images.shuffle(len(digits), seed=train.seed, reshuffle_each_iteration=True)
    return shuffled.batch(train.batch_size).prefetch(2)


def _whole(digits: Digits) -> "tf.data.Dataset":
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((digits.images[..., None], digits.labels)).batch(1000)


def _load_network(path: Path) -> "keras.Model":
    import keras

    if not path.is_file():
        raise ModelyardError(
            f"train.resume_from: expected a .keras file, {path} is not there. DVC removes a stage's own "
            "output before it runs: copy it first, or name a version (models:/mnist/3)"
        )
    try:
        network = keras.saving.load_model(path)
    except Exception as error:  # Keras raises whatever its parts raise: zipfile, json, h5py, its own.
        raise ModelyardError(
            f"train.resume_from: expected a .keras file, {path} cannot be read as one ({error})"
        ) from error
    if network.optimizer is None:
        raise ModelyardError(f"train.resume_from: {path} holds no optimizer: it was saved without training")
    return network


def _refuse_other_layers(expected: "keras.Model", got: "keras.Model", path: Path) -> None:
    shapes = [[tuple(weight.shape) for weight in network.weights] for network in (expected, got)]
    if shapes[0] != shapes[1]:
        raise ModelyardError(
            f"train.resume_from: expected a network like model={expected.name} with weights {shapes[0]}, "
            f"{path} has {shapes[1]}"
        )


def _copy_optimizer_state(earlier: "keras.optimizers.Optimizer", new: "keras.optimizers.Optimizer") -> None:
    """Copy step count and moments; the learning rate stays the new one's."""
    states = [
        [variable for variable in optimizer.variables if not variable.path.endswith("/learning_rate")]
        for optimizer in (earlier, new)
    ]
    for source, target in zip(*states, strict=True):
        target.assign(source)
