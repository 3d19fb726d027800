"""The loss that networks are fitted with: cross-entropy, with label smoothing where it is asked for."""

from typing import Any

import keras
import tensorflow as tf


def choose_loss(smoothing: float) -> str | keras.losses.Loss:
    """Return what `compile` takes as the loss; without smoothing, Keras' own."""
    return SmoothedCrossentropy(smoothing) if smoothing else "sparse_categorical_crossentropy"


@keras.saving.register_keras_serializable(package="modelyard")
class SmoothedCrossentropy(keras.losses.Loss):  # type: ignore[misc]  # keras has no types
    """Cross-entropy to smoothed labels (Szegedy et al. 2015, arXiv 1512.00567).

    Keras supports smoothing for one-hot labels only; these are class indices. `smoothing` is the share of
    each label, 0..1, that is spread evenly over all classes.
    """

    def __init__(self, smoothing: float, name: str = "smoothed_crossentropy", **settings: Any) -> None:
        super().__init__(name=name, **settings)
        self.smoothing = smoothing

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the loss of each example, (n,), from labels (n,) and probabilities (n, classes)."""
        labels = keras.ops.one_hot(keras.ops.cast(y_true, "int32"), y_pred.shape[-1])
        return keras.losses.categorical_crossentropy(labels, y_pred, label_smoothing=self.smoothing)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to create it again from a `.keras` file."""
        return {**super().get_config(), "smoothing": self.smoothing}
