"""A killed training continues in the same run, and ends with the same weights as an uninterrupted one."""

import json
import runpy
import signal
from argparse import Namespace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import yaml
from test_fitting import LAYERS

from conftest import ROOT, clean_environment
from forked_programs import run_programs
from made_digits import make_digits, make_examples, write_record
from modelyard.errors import ModelyardError
from modelyard.images.pictures import write_pictures
from modelyard.networks.layers import build_network
from modelyard.params import validate_params
from modelyard.training.checkpoints import Checkpoints, Progress
from modelyard.training.restoring import load_network
from modelyard.training.task import Task, prepare_network
from small_registry import leave_database

# Everything that draws random numbers, keeps a state, or is not one of Keras' own layers.
DRAWING = {
    **LAYERS,
    "first_filters": "whitening",
    "convolutions": [*LAYERS["convolutions"], *LAYERS["convolutions"]],
    "batch_norm": True,
    "dropout": 0.2,
}

# Kills itself when the third epoch is logged, after the checkpoint of the second.
KILL_IN_THE_MIDDLE = """
import os, signal
from modelyard.tracking.runs import TrainingRun

log_epoch = TrainingRun.log_epoch

def log_and_die(run, epoch, metrics):
    log_epoch(run, epoch, metrics)
    if epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)

TrainingRun.log_epoch = log_and_die
"""
STAGE = ROOT / "pipelines/train.py"


@pytest.fixture
def inputs(repository: Path, values: dict[str, Any]) -> dict[str, Any]:
    """The files and parameters of five epochs with random order, augmentation and dropout."""
    leave_database(repository / "mlflow.db")
    write_pictures(repository / "train.npz", make_digits(67))
    write_pictures(repository / "validation.npz", make_digits(40, seed=1))
    write_record(repository / "dataset.json", validate_params(values).data, make_digits(67))
    amounts = {"shift_pixels": 2.0, "rotate_degrees": 10.0, "scale": 0.1, "elastic_pixels": 1.0, "blur": 0.2}
    amounts = values["train"]["augmentation"] | amounts
    values["model"] = DRAWING
    values["train"] |= {"epochs": 5, "batch_size": 16, "augmentation": amounts, "ema_momentum": 0.9}
    values["train"]["label_smoothing"] = 0.1
    return values


@pytest.fixture
def network(values: dict[str, Any]) -> Any:
    values["model"] = LAYERS
    return build_network(validate_params(values).model, (28, 28, 1), 10)


def paths_of(folder: str) -> dict[str, str]:
    inputs = {"train": "train.npz", "validation": "validation.npz", "dataset": "dataset.json"}
    inputs |= {"features": "none", "source": "none"}
    names = {"network": "model.keras", "record": "training.json", "history": "history.csv"}
    made = {key: f"{folder}/{name}" for key, name in names.items()}
    return inputs | made | {"checkpoints": f"{folder}/checkpoints"}


def run_stage(values: dict[str, Any], folder: str) -> dict[str, Any]:
    """Run the stage in this process, and return its record."""
    paths = {key: Path(path) for key, path in paths_of(folder).items()}
    runpy.run_path(str(STAGE))["train"](Namespace(**paths), validate_params(values))
    record: dict[str, Any] = json.loads(Path(folder, "training.json").read_text())
    return record


def kill_stage(values: dict[str, Any], folder: str) -> None:
    """Run the stage in a process that is killed in the middle."""
    Path("params.yaml").write_text(yaml.safe_dump(values))
    arguments = [part for key, path in paths_of(folder).items() for part in (f"--{key}", path)]
    program = {"folder": str(Path.cwd()), "arguments": [str(STAGE), *arguments], "setup": KILL_IN_THE_MIDDLE}
    [(code, output)] = run_programs([[program]], clean_environment())
    assert code == -signal.SIGKILL, output


def read_weights(folder: str) -> list[Any]:
    import keras

    weights: list[Any] = keras.saving.load_model(Path(folder, "model.keras")).get_weights()
    return weights


def test_a_killed_training_ends_as_an_uninterrupted_one_in_the_run_it_began(inputs: dict[str, Any]) -> None:
    kill_stage(inputs, "killed")
    begun = json.loads(Path("killed/checkpoints/run.json").read_text())["run_id"]
    record, whole = run_stage(inputs, "killed"), run_stage(inputs, "whole")
    assert record["run_id"] == begun
    for got, expected in zip(read_weights("killed"), read_weights("whole"), strict=True):
        np.testing.assert_array_equal(got, expected)
    losses = [[row["loss"] for row in each["history"]] for each in (record, whole)]
    assert losses[0] == losses[1]
    client = mlflow.MlflowClient()
    logged = client.get_metric_history(begun, "train/loss")
    assert [(metric.step, metric.value) for metric in logged] == list(enumerate(losses[0], 1))
    run = client.get_run(begun)
    assert run.info.status == "FINISHED"
    assert "error" not in run.data.tags
    assert not Path("killed/checkpoints").exists()


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint_and_fails_the_run(
    inputs: dict[str, Any],
) -> None:
    # Each step multiplies every weight by 1 - 10 x 0.9 = -8, until they are too large for a number.
    optimizer = {"name": "sgd", "learning_rate": 10.0, "momentum": 0.0, "weight_decay": 0.9}
    inputs["train"]["optimizer"] |= optimizer
    inputs["train"] |= {"ema_momentum": None, "schedule": {"name": "constant", "warmup": 0.0}}
    inputs["model"] = LAYERS
    with pytest.raises(
        ModelyardError, match=r"the loss is (nan|inf) at step \d+ of 25, in epoch [2345]"
    ) as refused:
        run_stage(inputs, "bad")
    run_id = json.loads(Path("bad/checkpoints/run.json").read_text())["run_id"]
    run = mlflow.MlflowClient().get_run(run_id)
    assert run.info.status == "FAILED"
    assert str(refused.value) in run.data.tags["error"]
    assert not Path("bad/model.keras").exists()
    [checkpoint] = Path("bad/checkpoints").glob("member-0-epoch-*/network.keras")
    assert all(np.isfinite(weight).all() for weight in load_network(checkpoint).get_weights())


def test_a_process_that_has_made_no_network_reads_a_checkpoint(
    inputs: dict[str, Any], tmp_path: Path
) -> None:
    params = validate_params(inputs)
    examples = make_examples(67)
    prepare_network(Task(params.model, params.train, examples, examples)).save(tmp_path / "network.keras")
    (tmp_path / "reading.py").write_text(
        "from pathlib import Path; from modelyard.training.restoring import load_network\n"
        "print(load_network(Path('network.keras')).name)"
    )
    program = {"folder": str(tmp_path), "arguments": ["reading.py"]}
    [(code, output)] = run_programs([[program]], clean_environment())
    assert (code, output.splitlines()[-1:]) == (0, ["small"]), output


def test_checkpoints_of_another_training_are_not_read_and_go(network: Any, tmp_path: Path) -> None:
    folder, progress = tmp_path / "checkpoints", Progress([{"loss": 1.0}])
    first, second = Checkpoints(folder, "first"), Checkpoints(folder, "second")
    first.begin("run 1")
    first.write(0, network, progress)
    assert first.read(0) == (folder / "member-0-epoch-1/network.keras", progress)
    assert (second.read(0), second.read_run()) == (None, None)
    second.begin("run 2")
    assert [path.name for path in folder.iterdir()] == ["run.json"]
    assert second.read_run() == "run 2"


def test_a_damaged_checkpoint_says_what_to_remove(network: Any, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints", "first")
    checkpoints.begin("run 1")
    checkpoints.write(0, network, Progress([{"loss": 1.0}]))
    (tmp_path / "checkpoints/member-0-epoch-1/progress.json").write_text("{")
    with pytest.raises(ModelyardError, match=r"is a damaged checkpoint .*: remove .*checkpoints"):
        checkpoints.read(0)
