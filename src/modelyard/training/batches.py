"""Batches: examples in a new order every epoch, changed by augmentation, without a step of Python."""

from typing import TYPE_CHECKING

from modelyard.images.examples import Examples
from modelyard.params import Train
from modelyard.training.augmentation import augment, changes_pictures
from modelyard.training.cluster import ALONE, Cluster

if TYPE_CHECKING:
    import tensorflow as tf

VALIDATION_BATCH = 1000


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Count the steps of an epoch; the last batch may be smaller, no example is left out."""
    return -(-examples // batch_size)


def training_batches(
    examples: Examples, train: Train, epoch: "tf.Variable", cluster: Cluster = ALONE
) -> "tf.data.Dataset":
    """Make the batches of one epoch: whoever iterates gets those of the epoch that `epoch` holds then.

    Order and augmentation follow from seed and epoch alone, so that a training that goes on after a kill sees
    what an uninterrupted one does. The examples stay in memory as they are (uint8 pixels, a quarter of
    float32), and a batch is one gather.

    Args:
        examples: all of them.
        train: batch size, seed and augmentation.
        epoch: int64, counted from 0.
        cluster: whose worker takes its share of each batch. Shares are augmented each in its own way.
    """
    import tensorflow as tf

    inputs, labels = tf.constant(examples.inputs), tf.constant(examples.labels)
    count, size, steps = len(examples), train.batch_size, steps_per_epoch(len(examples), train.batch_size)

    # There is nothing in these for AutoGraph, which would read and parse their source for 0.2 s.
    as_it_is = tf.autograph.experimental.do_not_convert

    def shuffle(_: "tf.Tensor") -> "tf.data.Dataset":
        # Not index_shuffle, which needs no memory, but orders the next epoch much as this one.
        order = tf.random.experimental.stateless_shuffle(tf.range(count), seed=_seed(train.seed, epoch))
        each = as_it_is(
            lambda order: tf.data.Dataset.range(steps).map(as_it_is(lambda step: take(order, step)))
        )
        return tf.data.Dataset.from_tensors(order).flat_map(each)

    def take(order: "tf.Tensor", step: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
        chosen = cluster.share(order[step * size : (step + 1) * size])
        batch = tf.gather(inputs, chosen)
        if changes_pictures(train.augmentation):
            seed = _seed(train.seed, (epoch * steps + step) * len(cluster.workers) + cluster.index)
            batch = augment(batch, train.augmentation, seed)
        return batch, tf.gather(labels, chosen)

    batches = tf.data.Dataset.range(1).flat_map(as_it_is(shuffle))
    return _leave_as_it_is(batches.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2))


def validation_batches(examples: Examples, cluster: Cluster = ALONE) -> "tf.data.Dataset":
    """Make large batches, in order, or the worker's share of each."""
    import tensorflow as tf

    whole = tf.data.Dataset.from_tensor_slices((examples.inputs, examples.labels)).batch(VALIDATION_BATCH)
    if len(cluster.workers) > 1:
        whole = whole.map(lambda inputs, labels: (cluster.share(inputs), cluster.share(labels)))
    return _leave_as_it_is(whole)


def _leave_as_it_is(batches: "tf.data.Dataset") -> "tf.data.Dataset":
    """Keep tf.data from tuning what is fixed: its thread can hold up the end of a fit for half a second."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return batches.with_options(options)


def _seed(seed: int, number: "tf.Tensor | tf.Variable") -> "tf.Tensor":
    import tensorflow as tf

    return tf.stack([tf.constant(seed, tf.int64), tf.cast(number, tf.int64)])
