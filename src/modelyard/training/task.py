"""A training task: the examples, the parameters, and the network that training starts with."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.images.examples import Examples
from modelyard.networks.layers import build_network
from modelyard.params import Model, Train
from modelyard.training.distribution.choice import choose_distribution
from modelyard.training.distribution.kernels import import_for_training
from modelyard.training.distribution.one_device import OneDevice
from modelyard.training.optimizers import compile_network
from modelyard.training.restoring import load_network, restore_state
from modelyard.training.whitening import whiten_patches

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Task:
    """What to fit, the examples, and a `.keras` file to start from, if any."""

    model: Model
    train: Train
    training: Examples
    validation: Examples
    start: Path | None = None

    @property
    def distribution(self) -> OneDevice:
        """The devices to train on; the same object for all tasks of a process."""
        return choose_distribution(self.train.strategy)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return self.training.inputs.shape[1:]

    @property
    def steps(self) -> int:
        """The number of steps in all epochs."""
        return self.train.epochs * self.train.steps_per_epoch(len(self.training))


def seed_everything(seed: int) -> None:
    """Make the same seed give the same weights on the same machine."""
    import_for_training()
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def prepare_network(task: Task) -> "keras.Model":
    """Return a compiled network with new weights, or with the weights and optimizer state of `task.start`.

    Raises ModelyardError if the warm-up is longer than the training, or `task.start` does not match, and
    UsageError if the batches cannot be divided among the devices.
    """
    model, distribution = task.model, task.distribution
    distribution.check_batches(task.train.batch_size, len(task.training))
    earlier = None if task.start is None else load_network(task.start)
    first_step = 0 if earlier is None else int(earlier.optimizer.iterations)
    network = distribution.build(
        lambda: build_network(model, task.shape, task.training.classes, task.train.precision, fused=True)
    )
    if model.first_filters == "whitening":
        _set_first_filters(network, task)
    if model.input == "features" and model.batch_norm:
        _set_statistics(network, task)
    with distribution.scope():
        compile_network(network, task.train, first_step, task.steps)
    if task.start is not None:
        restore_state(network, earlier, task.start)
    return network


def _set_first_filters(network: "keras.Model", task: Task) -> None:
    """Compute the first convolution's filters from the part of the pictures that is left after the crop."""
    crop, first = task.model.crop, task.model.convolutions[0]
    sides = slice(crop, -crop or None)
    filters = whiten_patches(task.training.inputs[:, sides, sides], first.kernel, first.filters)
    layer = next(layer for layer in network.layers if hasattr(layer, "kernel"))
    layer.kernel.assign(filters)


def _set_statistics(network: "keras.Model", task: Task) -> None:
    """Give the first layer mean and variance of the features, which do not change in training."""
    features, layer = task.training.inputs, network.layers[0]
    layer.moving_mean.assign(features.mean(axis=0, dtype="float64"))
    layer.moving_variance.assign(features.var(axis=0, dtype="float64"))
