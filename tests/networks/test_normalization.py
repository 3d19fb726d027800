"""Batch normalisation for training: as Keras' own, in one operation."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

CHANNELS = 3
PICTURES = np.random.default_rng(0).normal(2, 3, (8, 5, 5, CHANNELS)).astype(np.float32)


def make_layers(**settings: Any) -> tuple[Any, Any]:
    """Return Keras' layer and ours, both with the same weights, none of which is as it begins."""
    import keras

    from modelyard.networks.normalization import FusedBatchNormalization

    layers = keras.layers.BatchNormalization(**settings), FusedBatchNormalization(**settings)
    for layer in layers:
        layer.build(PICTURES.shape)
        layer.set_weights([np.full(CHANNELS, 0.5 + place, np.float32) for place in range(len(layer.weights))])
    return layers


def as_float(answer: Any) -> NDArray[np.float32]:
    return np.asarray(answer, np.float32)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_it_answers_as_keras_does(affine: bool, training: bool) -> None:
    normal, fused = make_layers(scale=affine, center=affine)
    answers = [as_float(layer(PICTURES, training=training)) for layer in (normal, fused)]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)
    mean, variance = fused.get_weights()[-2:]
    np.testing.assert_allclose(mean, normal.get_weights()[-2], rtol=1e-5)
    np.testing.assert_allclose(variance, normal.get_weights()[-1], rtol=1e-3)


def test_gradients_are_those_of_keras() -> None:
    import tensorflow as tf

    gradients = []
    for layer in make_layers():
        pictures = tf.constant(PICTURES)
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            loss = tf.reduce_sum(tf.sin(layer(pictures, training=True)))
        gradients.append(tape.gradient(loss, [pictures, layer.gamma.value, layer.beta.value]))
    for normal, fused in zip(*gradients, strict=True):
        np.testing.assert_allclose(normal, fused, atol=1e-4)


def test_bfloat16_stays_bfloat16_with_statistics_in_float32() -> None:
    _, fused = make_layers(dtype="mixed_bfloat16")
    answer = fused(PICTURES, training=True)
    assert str(answer.dtype) == "<dtype: 'bfloat16'>"
    assert {weight.dtype for weight in fused.weights} == {"float32"}
    normal, _ = make_layers()
    np.testing.assert_allclose(as_float(answer), as_float(normal(PICTURES, training=True)), atol=0.05)
