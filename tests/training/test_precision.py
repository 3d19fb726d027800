"""Mixed precision: what comes out is float32, and can be gone on from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_digits import make_examples
from modelyard.params import Params, validate_params
from modelyard.training.checkpoints import Checkpoints
from modelyard.training.members import fit_members
from modelyard.training.outcome import save_network
from modelyard.training.task import Task, prepare_network

EXAMPLES = make_examples(64)


def make_task(values: dict[str, Any], precision: str, start: Path | None = None) -> Task:
    layer = {"filters": 2, "kernel": 3, "stride": 2, "padding": "same", "pool": 2}
    values["model"] |= {"name": "small", "convolutions": [layer], "dense": [8]}
    values["train"]["augmentation"] = dict.fromkeys(values["train"]["augmentation"], 0.0)
    values["train"] |= {"epochs": 2, "batch_size": 16, "precision": precision}
    params: Params = validate_params(values)
    return Task(params.model, params.train, EXAMPLES, EXAMPLES, start)


def ignore(_epoch: int, _row: dict[str, float]) -> None:
    pass


def test_what_comes_out_is_float32_and_answers_as_it_validated(
    values: dict[str, Any], tmp_path: Path
) -> None:
    network, rows = fit_members(make_task(values, "mixed_bfloat16"), ignore)
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    assert {str(weight.dtype) for weight in network.weights} == {"float32"}
    loss, _ = network.evaluate(EXAMPLES.inputs, EXAMPLES.labels, verbose=0)
    assert loss == pytest.approx(rows[-1]["val_loss"], rel=0.01)
    assert rows[-1]["val_loss"] < rows[0]["val_loss"]

    save_network(network, tmp_path / "first.keras")
    resumed = prepare_network(make_task(values, "mixed_bfloat16", tmp_path / "first.keras"))
    assert resumed.layers[-2].compute_dtype == "bfloat16"
    assert_equal(numbers(resumed.optimizer.variables), numbers(network.optimizer.variables))


def test_a_killed_training_in_float16_goes_on_with_the_scale_of_its_loss(
    values: dict[str, Any], tmp_path: Path
) -> None:
    task, kept = make_task(values, "mixed_float16"), Checkpoints(tmp_path / "kept", "one")
    whole, _ = fit_members(task, ignore)

    def die(epoch: int, _row: dict[str, float]) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    kept.begin("run")
    with pytest.raises(KeyboardInterrupt):
        fit_members(task, die, kept)
    network, _ = fit_members(task, ignore, kept)
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    assert network.optimizer.step_counter.numpy() == 8
    assert_equal(numbers(network.optimizer.variables), numbers(whole.optimizer.variables))
    assert_equal(network.get_weights(), whole.get_weights())

    save_network(network, tmp_path / "first.keras")
    resumed = prepare_network(make_task(values, "float32", tmp_path / "first.keras"))
    assert_equal(moments(resumed.optimizer), moments(network.optimizer.inner_optimizer))


def numbers(variables: Any) -> list[Any]:
    return [variable.numpy() for variable in variables]


def moments(optimizer: Any) -> list[Any]:
    return numbers(variable for variable in optimizer.variables if "learning_rate" not in variable.path)


def assert_equal(some: list[Any], others: list[Any]) -> None:
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, other)
