"""The loss: cross-entropy, with smoothed labels where that is asked for."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="modelyard")
class SmoothedCrossentropy(keras.losses.Loss):  # type: ignore[misc]  # keras has no types
    """Cross-entropy to labels that are not quite sure (Szegedy et al. 2015, arXiv 1512.00567).

    Keras has it for one-hot labels only; these are numbers, as everywhere else.

    Args:
        smoothing: the share of each label that all classes get alike, 0..1.
    """

    def __init__(self, smoothing: float, name: str = "smoothed_crossentropy", **settings: Any) -> None:
        """Keep the share."""
        super().__init__(name=name, **settings)
        self.smoothing = smoothing

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the loss of each example, (n,), of labels (n,) and probabilities (n, classes)."""
        labels = keras.ops.one_hot(keras.ops.cast(y_true, "int32"), y_pred.shape[-1])
        return keras.losses.categorical_crossentropy(labels, y_pred, label_smoothing=self.smoothing)

    def get_config(self) -> dict[str, Any]:
        """Return what a file has to say to make it again."""
        return {**super().get_config(), "smoothing": self.smoothing}
