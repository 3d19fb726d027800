"""Optimizers and learning rates by name."""

from typing import Any

import numpy as np
import pytest

from modelyard.errors import ModelyardError
from modelyard.params import Train, validate_params
from modelyard.training.optimizers import make_learning_rate, make_optimizer

STEPS = 100


def chosen(values: dict[str, Any], **more: Any) -> Train:
    values["train"] |= more
    return validate_params(values).train


def rates(train: Train, first_step: int = 0) -> list[float]:
    course: Any = make_learning_rate(train, first_step, STEPS)
    return [float(course(step)) for step in range(first_step, first_step + STEPS + 1)]


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam", "lion", "rmsprop", "sgd"])
def test_every_optimizer_moves_weights_downhill(values: dict[str, Any], name: str) -> None:
    import keras

    values["train"]["optimizer"] |= {"name": name, "learning_rate": 0.01}
    optimizer = make_optimizer(chosen(values, schedule={"name": "constant", "warmup": 0.0}), 0, STEPS)
    assert type(optimizer).__name__.lower() == name
    weight = keras.Variable(np.ones(3, np.float32))
    optimizer.apply([2 * weight], [weight])
    assert np.all(weight.numpy() < 1)


def test_a_cosine_warms_up_from_zero_and_ends_there(values: dict[str, Any]) -> None:
    values["train"]["optimizer"]["learning_rate"] = 0.5
    course = rates(chosen(values, schedule={"name": "cosine", "warmup": 0.25}))
    assert course[0] == 0
    assert course[25] == max(course) == pytest.approx(0.5)
    assert course[-1] == pytest.approx(0, abs=1e-6)


def test_one_cycle_begins_at_a_25th_and_ends_at_a_10000th_of_that(values: dict[str, Any]) -> None:
    values["train"]["optimizer"]["learning_rate"] = 0.5
    course = rates(chosen(values, schedule={"name": "one_cycle", "warmup": 30}))
    assert course[0] == pytest.approx(0.02)
    assert course[30] == max(course) == pytest.approx(0.5)
    assert course[-1] == pytest.approx(0.02 / 10_000, rel=0.01)


@pytest.mark.parametrize("name", ["cosine", "one_cycle"])
def test_a_fit_that_goes_on_has_the_course_of_a_new_one(values: dict[str, Any], name: str) -> None:
    train = chosen(values, schedule={"name": name, "warmup": 20})
    np.testing.assert_allclose(rates(train, first_step=1000), rates(train), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("warmup", [100, 5000])
def test_more_warm_up_than_steps_is_refused(values: dict[str, Any], warmup: int) -> None:
    train = chosen(values, schedule={"name": "cosine", "warmup": warmup})
    with pytest.raises(ModelyardError, match=rf"fewer than the 100 steps of this training, got {warmup}"):
        make_learning_rate(train, 0, STEPS)
