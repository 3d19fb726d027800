"""Training on pictures that are no digits: colour, other sizes, any number of classes, fractions."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from test_fitting import LAYERS, changed, equal_weights, shrink

from modelyard.errors import ModelyardError
from modelyard.images.examples import Examples
from modelyard.inference.fits import fit_pixels
from modelyard.params import Params, validate_params
from modelyard.training.inputs.batches import training_batches
from modelyard.training.inputs.filters import FILTERS
from modelyard.training.members import fit_members
from modelyard.training.task import Task
from modelyard.training.whitening import whiten_patches

AMOUNTS = {
    "shift_pixels": 1.0,
    "rotate_degrees": 5.0,
    "scale": 0.05,
    "shear": 0.05,
    "elastic_pixels": 0.5,
    **dict.fromkeys(FILTERS, 0.1),
}


def make_colours(classes: int, count: int, height: int = 20, width: int = 24) -> Examples:
    """Make noise with a bar at the left that is as high as the label, red below and blue above."""
    random = np.random.default_rng(7)
    labels = (np.arange(count) % classes).astype(np.min_scalar_type(classes - 1))
    inputs = random.integers(0, 60, (count, height, width, 3)).astype(np.uint8)
    for picture, label in zip(inputs, labels, strict=True):
        rows = 1 + int(label) * (height - 2) // classes
        picture[:rows, 2:8, 0], picture[rows:, 2:8, 2] = 250, 250
    return Examples(inputs, labels, classes)


def fit(params: Params, examples: Examples) -> tuple[Any, list[dict[str, float]]]:
    return fit_members(Task(params.model, params.train, examples, examples), lambda *_: None)


def test_colour_pictures_that_are_no_squares_are_learned(values: dict[str, Any]) -> None:
    shrink(values)
    values["model"] = {**LAYERS, "crop": 2, "first_filters": "whitening", "batch_norm": True}
    examples = make_colours(3, 67)
    params = changed(values, epochs=12, augmentation=AMOUNTS, label_smoothing=0.1)
    network, history = fit(params, examples)
    assert (network.input_shape, network.output_shape) == ((None, 20, 24, 3), (None, 3))
    assert history[-1]["val_accuracy"] > 0.9
    computed = whiten_patches(examples.inputs[:, 2:-2, 2:-2], 3, 2)
    np.testing.assert_array_equal(network.get_weights()[0], computed)
    assert equal_weights(fit(params, examples)[0], network)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_more_classes_than_a_byte_can_tell_apart_are_learned(
    values: dict[str, Any], smoothing: float
) -> None:
    shrink(values)
    examples = make_colours(300, 303)
    assert examples.labels.dtype == np.uint16
    network, history = fit(changed(values, label_smoothing=smoothing), examples)
    assert network.output_shape == (None, 300)
    assert history[1]["val_loss"] < history[0]["loss"]
    answers = network.predict(examples.inputs, verbose=0)
    right = np.equal(answers.argmax(axis=1), examples.labels)
    assert history[1]["val_accuracy"] == pytest.approx(right.mean())


def test_a_label_above_255_stays_what_it_is_in_a_batch(values: dict[str, Any]) -> None:
    small, examples = shrink(values), make_colours(300, 303)
    batches = training_batches(examples, small.train, tf.Variable(0, dtype=tf.int64))
    labels = np.concatenate([labels.numpy() for _, labels in batches])
    np.testing.assert_array_equal(np.sort(labels), np.sort(examples.labels))


def test_levels_with_fractions_reach_the_network(values: dict[str, Any]) -> None:
    small, colours = shrink(values), make_colours(3, 32)
    inputs = np.stack([fit_pixels("stretch", picture, 30, 17) for picture in colours.inputs])
    assert inputs.dtype == np.float32
    assert np.any(inputs % 1)
    examples = Examples(inputs, colours.labels, 3)
    seen = [
        picture.tobytes()
        for batch, _ in training_batches(examples, small.train, tf.Variable(0, dtype=tf.int64))
        for picture in batch.numpy()
    ]
    assert sorted(seen) == sorted(picture.tobytes() for picture in inputs)
    exact, _ = fit(small, examples)
    rounded, _ = fit(small, Examples(np.round(inputs).astype(np.uint8), colours.labels, 3))
    assert exact.input_shape == (None, 30, 17, 3)
    assert not equal_weights(exact, rounded)


def test_a_label_that_is_no_class_is_refused() -> None:
    colours = make_colours(3, 5)
    with pytest.raises(ModelyardError, match=r"labels: expected 0\.\.1, got 2"):
        Examples(colours.inputs, colours.labels, 2)


def test_the_digest_tells_a_picture_and_its_label_apart() -> None:
    colours = make_colours(3, 5)
    grey = Examples(colours.inputs[..., :1], colours.labels, 3)
    turned = Examples(colours.inputs.transpose(0, 2, 1, 3), colours.labels, 3)
    relabelled = Examples(colours.inputs, colours.labels[::-1], 3)
    assert len({each.digest for each in (colours, grey, turned, relabelled)}) == 4
    assert make_colours(3, 5).digest == colours.digest


def test_layers_that_leave_nothing_of_the_pictures_are_refused_with_both_sizes(
    values: dict[str, Any],
) -> None:
    layer = {"filters": 2, "kernel": 9, "stride": 1, "padding": "valid", "pool": 2}
    values["model"] = {**LAYERS, "convolutions": [layer, layer]}
    values["data"]["input"] = {"fit": "smooth", "height": 20, "width": 24, "channels": 3}
    with pytest.raises(ModelyardError, match=r"convolution 2 leaves nothing of 6x8, of pictures of 20x24"):
        validate_params(values)
    values["data"]["input"] |= {"height": 60, "width": 60}
    assert validate_params(values).data.input.height == 60


def test_computed_filters_may_be_more_for_colour(values: dict[str, Any]) -> None:
    layer = {"filters": 20, "kernel": 3, "stride": 1, "padding": "same", "pool": 2}
    values["model"] = {**LAYERS, "first_filters": "whitening", "convolutions": [layer]}
    values["data"]["input"] = {"fit": "smooth", "height": 20, "width": 24, "channels": 1}
    with pytest.raises(ModelyardError, match="at most 18, in a first convolution of 3x3"):
        validate_params(values)
    values["data"]["input"]["channels"] = 3
    assert validate_params(values).model.convolutions[0].filters == 20
