"""Batches for `fit`: shuffled anew every epoch and augmented, all in TensorFlow operations."""

import tensorflow as tf

from modelyard.images.examples import Examples
from modelyard.params import Train
from modelyard.training.distribution.cluster import SINGLE, Cluster
from modelyard.training.inputs.augmentation import augment

VALIDATION_BATCH = 1000


def training_batches(
    examples: Examples, train: Train, epoch: tf.Variable, cluster: Cluster = SINGLE
) -> tf.data.Dataset:
    """Return the batches of the epoch that the variable `epoch`, int64 from 0, holds when they are iterated.

    Seed and epoch alone decide order and augmentation, so a resumed training sees what an uninterrupted one
    sees. A worker of the cluster takes its share of each batch, and augments it with its own random numbers.
    The examples stay uint8 in memory, a quarter of float32, and a batch is one gather.
    """
    inputs, labels = tf.constant(examples.inputs), tf.constant(examples.labels)
    count, size, steps = len(examples), train.batch_size, train.steps_per_epoch(len(examples))

    # AutoGraph would parse the source of these functions for 0.2 s, and find nothing to convert.
    no_autograph = tf.autograph.experimental.do_not_convert

    def shuffle(_: tf.Tensor) -> tf.data.Dataset:
        # index_shuffle needs no memory, but two epochs in a row get similar orders.
        order = tf.random.experimental.stateless_shuffle(tf.range(count), seed=_seed(train.seed, epoch))
        split = no_autograph(
            lambda order: tf.data.Dataset.range(steps).map(no_autograph(lambda step: make(order, step)))
        )
        return tf.data.Dataset.from_tensors(order).flat_map(split)

    def make(order: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = cluster.share(order[step * size : (step + 1) * size])
        batch = tf.gather(inputs, chosen)
        if train.augmentation.changes_pictures:
            seed = _seed(train.seed, (epoch * steps + step) * len(cluster.workers) + cluster.index)
            batch = augment(batch, train.augmentation, seed)
        return batch, tf.gather(labels, chosen)

    batches = tf.data.Dataset.range(1).flat_map(no_autograph(shuffle))
    return _disable_tuning(batches.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2))


def validation_batches(examples: Examples, cluster: Cluster = SINGLE) -> tf.data.Dataset:
    """Return large batches in order, or this worker's share of each."""
    batches = tf.data.Dataset.from_tensor_slices((examples.inputs, examples.labels)).batch(VALIDATION_BATCH)
    if len(cluster.workers) > 1:
        batches = batches.map(lambda inputs, labels: (cluster.share(inputs), cluster.share(labels)))
    return _disable_tuning(batches)


def _disable_tuning(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Disable tf.data's tuning: its thread can delay the end of a fit by half a second."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return batches.with_options(options)


def _seed(seed: int, number: tf.Tensor | tf.Variable) -> tf.Tensor:
    return tf.stack([tf.constant(seed, tf.int64), tf.cast(number, tf.int64)])
