"""The search space of a sweep: errors are reported before training, and trials get valid values."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

from modelyard.errors import ModelyardError
from modelyard.params import Params, validate_params
from modelyard.sweeps.space import Space
from sweep_project import make_project

WRONG = [
    ("train.epoch", {"low": 1, "high": 2}, "train.epoch: expected a parameter of params.yaml"),
    ("train.epochs.last", {"low": 1, "high": 2}, "train.epochs.last: expected a parameter"),
    ("model.convolutions.7.filters", {"low": 1, "high": 2}, "model.convolutions.7.filters: expected a param"),
    ("data.seed", {"low": 1, "high": 2}, "expected a parameter below train or model"),
    ("train.epochs", {"low": 3, "high": 2}, "sweep.space.train.epochs: expected low below high"),
    ("train.epochs", {"low": 1}, "expected low and high, or choices"),
    ("train.epochs", {"low": 1, "high": 4, "choices": [1]}, "expected choices alone, or low and high"),
    ("train.epochs", {"low": 1, "high": 4, "step": 2}, "expected high a whole number of steps above low"),
    (
        "train.epochs",
        {"low": 0, "high": 4},
        "train.epochs: train.epochs: expected greater than or equal to 1",
    ),
    ("train.epochs", {"low": 1.5, "high": 4}, "train.epochs: train.epochs: expected a valid integer"),
    ("train.epochs", {"choices": []}, "sweep.space.train.epochs.choices: expected"),
    ("train.epochs", {"choices": [1, 1]}, "expected every choice once"),
    ("train.epochs", {"choices": [1, "two"]}, "train.epochs: expected a valid integer"),
    ("train.schedule", {"choices": [{"name": "cosine"}]}, "train.schedule.warmup: missing"),
    ("model.dropout", {"low": 0.0, "high": 0.5, "log": True}, "expected low above 0, and no step"),
    ("model.batch_norm", {"low": 0, "high": 1}, "model.batch_norm: expected choices for it, which is"),
    ("model.members", {"low": 1, "high": 3}, "model.members: expected 1, a sweep fits single networks"),
]


def space_of(values: dict[str, Any], **dimensions: Any) -> Space:
    values["sweep"]["space"] = {key.replace("__", "."): one for key, one in dimensions.items()}
    params = validate_params(values)
    return Space(params.sweep.space, params)


def test_every_error_is_named(values: dict[str, Any]) -> None:
    for name, dimension, expected in WRONG:
        with pytest.raises(ModelyardError) as refused:
            space_of(copy.deepcopy(values), **{name: dimension})
        assert expected in str(refused.value)


def test_parameters_that_overlap_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ModelyardError, match=r"do not overlap, train\.schedule holds it"):
        space_of(
            values,
            train__schedule={"choices": [{"name": "cosine", "warmup": 0.1}]},
            train__schedule__warmup={"low": 0.1, "high": 0.2},
        )


def test_the_shipped_space_is_valid(params: Params) -> None:
    assert Space(params.sweep.space, params).names


def test_a_trial_gets_values_of_the_right_types(values: dict[str, Any]) -> None:
    space = space_of(
        values,
        train__optimizer__learning_rate={"low": 0.001, "high": 1.0, "log": True},
        train__batch_size={"low": 32, "high": 512, "log": True},
        train__ema_momentum={"low": 0.9, "high": 0.999},
        model__dropout={"low": 0, "high": 0.3, "step": 0.1},
        model__dense={"choices": [[], [16], [16, 16]]},
        model__convolutions__0__filters={"low": 8, "high": 32, "step": 8},
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    for _ in range(20):
        trial = study.ask()
        space.suggest(trial)
        filled = space.fill(trial.params)
        chosen = validate_params(values | filled)
        assert len(repr(chosen.train.optimizer.learning_rate)) <= 10
        assert chosen.model.convolutions[0].filters in (8, 16, 24, 32)
        assert chosen.model.dropout in (0.0, 0.1, 0.2, 0.3)
        assert filled["model"]["dense"] in ([], [16], [16, 16])
        assert filled["train"]["seed"] == values["train"]["seed"]


def test_a_wrong_space_stops_the_command_before_tensorflow_is_imported(
    values: dict[str, Any], tmp_path: Path
) -> None:
    folder = make_project(tmp_path / "a project", values, sweep__space={"train.lr": {"low": 1, "high": 2}})
    command = [sys.executable, "-X", "importtime", "-m", "modelyard.cli", "sweep"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].strip().startswith("train.lr: expected a parameter of params.yaml")
    assert not {"tensorflow", "keras", "mlflow", "optuna"} & set(done.stderr.replace("|", " ").split())
