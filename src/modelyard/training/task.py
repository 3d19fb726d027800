"""What is to be fitted, and the network that it begins with."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.images.examples import Examples
from modelyard.networks.layers import build_network
from modelyard.params import Model, Train
from modelyard.quiet import import_tensorflow
from modelyard.training.batches import steps_per_epoch
from modelyard.training.optimizers import compile_network
from modelyard.training.resuming import load_network, take_over
from modelyard.training.strategy import build_in, refuse_small_batches, scope
from modelyard.training.whitening import whiten_patches

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Task:
    """What is to be fitted, and to what.

    Attributes:
        training: the examples to fit to.
        validation: the examples that every epoch is measured on.
        start: a `.keras` file to go on training from, or None.
    """

    model: Model
    train: Train
    training: Examples
    validation: Examples
    start: Path | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input of the network."""
        return self.training.inputs.shape[1:]

    @property
    def steps(self) -> int:
        """The steps of all epochs."""
        return self.train.epochs * steps_per_epoch(len(self.training), self.train.batch_size)


def seed_everything(seed: int) -> None:
    """Make the same seed give the same weights on the same machine."""
    import_tensorflow()
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def prepare_network(task: Task) -> "keras.Model":
    """Make a compiled network: a fresh one, or the one in a `.keras` file with its optimizer's state.

    Raises:
        ModelyardError: the warm-up is longer than the training; the file is no network, or another one.
    """
    strategy = task.train.strategy
    refuse_small_batches(strategy, task.train.batch_size, len(task.training))
    earlier = None if task.start is None else load_network(task.start)
    first_step = 0 if earlier is None else int(earlier.optimizer.iterations)
    network = build_in(
        strategy,
        lambda: build_network(
            task.model, task.shape, task.training.classes, task.train.precision, fused=True
        ),
    )
    if task.model.first_filters == "whitening":
        _set_first_filters(network, task)
    with scope(strategy):
        compile_network(network, task.train, first_step, task.steps)
    if task.start is not None:
        take_over(network, earlier, task.start)
    return network


def _set_first_filters(network: "keras.Model", task: Task) -> None:
    """Compute the first convolution's filters from the part of the pictures that it sees."""
    crop, first = task.model.crop, task.model.convolutions[0]
    sides = slice(crop, -crop or None)
    filters = whiten_patches(task.training.inputs[:, sides, sides], first.kernel, first.filters)
    layer = next(layer for layer in network.layers if hasattr(layer, "kernel"))
    layer.kernel.assign(filters)
