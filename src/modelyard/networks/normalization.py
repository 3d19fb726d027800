"""Batch normalisation in one operation, for training: Keras 3.15 makes about twenty of it.

A served network has Keras' own layer, with the same weights.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="modelyard")
class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]  # keras has no types
    """Keras' layer over the last axis of (n, height, width, channels), as TensorFlow's fused kernel.

    It answers as Keras' own does, but the running variance it learns has the factor n / (n - 1). The
    statistics are always float32.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return the normalised input, of the same shape and dtype."""
        learns = bool(training) and self.trainable
        channels = inputs.shape[-1]
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            self.gamma.value if self.scale else tf.ones(channels),
            self.beta.value if self.center else tf.zeros(channels),
            mean=None if learns else self.moving_mean.value,
            variance=None if learns else self.moving_variance.value,
            epsilon=self.epsilon,
            is_training=learns,
        )
        if learns:
            for running, seen in ((self.moving_mean, mean), (self.moving_variance, variance)):
                running.assign(running * self.momentum + seen * (1 - self.momentum))
        return outputs
