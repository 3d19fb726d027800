"""Runs in a real SQLite store: they grow, fail, are killed, are lost and made again."""

import json
import signal
import socket
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from conftest import clean_environment
from forked_programs import MLFLOW, run_programs
from made_training import DATASET, EXAMPLES, describe
from modelyard.params import Params
from modelyard.tracking.runs import RunDescription, describe_training, find_or_rebuild_run, training_run
from modelyard.tracking.store import Tracking, open_tracking
from small_registry import leave_database
from tracking_server import TrackingServer

HISTORY = [{"loss": 0.5, "val_accuracy": 0.8}, {"loss": 0.25, "val_accuracy": 0.9}]


@pytest.fixture
def tracking(repository: Path) -> Tracking:
    leave_database(repository / "mlflow.db")
    return open_tracking("digits")


@pytest.fixture
def description(params: Params, repository: Path) -> RunDescription:
    return describe(params)


def test_a_run_says_what_was_trained_on_what(tracking: Tracking, description: RunDescription) -> None:
    with training_run(tracking, description) as training:
        training.log_epoch(0, HISTORY[0])
    run = tracking.client.get_run(training.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["train.optimizer.name"] == "adam"
    assert run.data.metrics == {"train/loss": 0.5, "validation/accuracy": 0.8}
    assert run.data.tags["data.digest"] == description.dataset.digest
    assert run.inputs.dataset_inputs[0].dataset.digest == description.dataset.digest[:36]


def test_a_description_names_the_dataset_and_digests_what_the_network_sees(
    params: Params, repository: Path
) -> None:
    plain = describe_training(params, EXAMPLES, replace(DATASET, name="mine"))
    assert plain.name.startswith("mine ")
    assert (plain.dataset.name, plain.dataset.images) == ("mine", 67)
    assert plain.tags["data.digest"] == EXAMPLES.digest
    assert (plain.tags["source"], plain.tags["licence"]) == (DATASET.source, DATASET.licence)
    on_features = describe_training(params, EXAMPLES, DATASET, {"features.trunk": "t"})
    assert on_features.tags["features.trunk"] == "t"
    assert on_features.tags["data.digest"] == on_features.dataset.digest != EXAMPLES.digest


def test_every_epoch_is_there_while_the_training_still_runs(
    tracking: Tracking, description: RunDescription
) -> None:
    with training_run(tracking, description) as training:
        for epoch, row in enumerate(HISTORY):
            training.log_epoch(epoch, row)
        history = tracking.client.get_metric_history(training.run_id, "train/loss")
        assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.25)]
        assert tracking.client.get_run(training.run_id).info.status == "RUNNING"


def test_a_failed_training_leaves_a_failed_run_with_its_error(
    tracking: Tracking, description: RunDescription
) -> None:
    with pytest.raises(ValueError, match="no such layer"), training_run(tracking, description) as training:
        raise ValueError("no such layer")
    run = tracking.client.get_run(training.run_id)
    assert run.info.status == "FAILED"
    assert run.data.tags["error"] == "ValueError: no such layer"


def test_ctrl_c_leaves_a_killed_run(tracking: Tracking, description: RunDescription) -> None:
    with pytest.raises(KeyboardInterrupt), training_run(tracking, description) as training:
        raise KeyboardInterrupt
    assert tracking.client.get_run(training.run_id).info.status == "KILLED"


def test_the_next_training_ends_the_run_of_a_killed_process(
    tracking: Tracking, description: RunDescription, repository: Path
) -> None:
    [(code, output)] = _train(repository, description, "os.kill(os.getpid(), signal.SIGKILL)")
    assert code == -signal.SIGKILL, output
    killed = output.split()[0]
    assert tracking.client.get_run(killed).info.status == "RUNNING"
    with training_run(tracking, description) as training:
        assert tracking.client.get_run(killed).info.status == "KILLED"
        assert tracking.client.get_run(training.run_id).info.status == "RUNNING"


def test_a_run_of_another_host_is_left_alone(tracking: Tracking, description: RunDescription) -> None:
    tags = {"host": f"not-{socket.gethostname()}", "pid": "1"}
    other = tracking.client.create_run(tracking.experiment_id, tags=tags).info.run_id
    with training_run(tracking, description):
        pass
    assert tracking.client.get_run(other).info.status == "RUNNING"


def test_a_description_survives_its_file(description: RunDescription) -> None:
    assert RunDescription.from_plain(asdict(description)) == description


def test_a_known_run_is_found(tracking: Tracking, description: RunDescription) -> None:
    with training_run(tracking, description) as training:
        training.log_epoch(0, HISTORY[0])
    assert find_or_rebuild_run(tracking, training.run_id, description, HISTORY) == training.run_id


def test_a_lost_run_is_made_again_once_and_says_so(tracking: Tracking, description: RunDescription) -> None:
    lost = "0" * 32
    made = find_or_rebuild_run(tracking, lost, description, HISTORY)
    assert find_or_rebuild_run(tracking, lost, description, HISTORY) == made
    run = tracking.client.get_run(made)
    assert run.data.tags["rebuilt_from"] == lost
    assert run.info.status == "FINISHED"
    assert run.data.params["model.name"] == "cnn"
    assert [point.value for point in tracking.client.get_metric_history(made, "train/loss")] == [0.5, 0.25]


def test_a_run_whose_store_went_away_gets_the_epochs_it_lacks(
    tracking: Tracking, description: RunDescription
) -> None:
    with training_run(tracking, description) as training:
        training.log_epoch(0, HISTORY[0])
    tracking.client.update_run(training.run_id, "RUNNING")
    assert find_or_rebuild_run(tracking, training.run_id, description, HISTORY) == training.run_id
    history = tracking.client.get_metric_history(training.run_id, "train/loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.25)]
    assert tracking.client.get_run(training.run_id).info.status == "FINISHED"


def test_an_epoch_the_store_did_not_take_is_sent_with_the_next(
    tracking: Tracking, description: RunDescription, capsys: pytest.CaptureFixture[str]
) -> None:
    with training_run(tracking, description) as training:
        run_id = training.run_id
        tracking.client.delete_run(run_id)  # The store refuses metrics for a deleted run.
        training.log_epoch(0, HISTORY[0])
        assert "epoch 1 is not in MLflow yet" in capsys.readouterr().err
        tracking.client.restore_run(run_id)
        training.log_epoch(1, HISTORY[1])
    assert [point.step for point in tracking.client.get_metric_history(run_id, "train/loss")] == [1, 2]


def test_a_server_that_dies_while_a_training_runs_costs_no_epoch(
    repository: Path,
    params: Params,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = TrackingServer(tmp_path)
    server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    try:
        tracking = open_tracking("digits")
        description = describe(params)
        with training_run(tracking, description) as training:
            training.log_epoch(0, HISTORY[0])
            server.kill()
            training.log_epoch(1, HISTORY[1])
        said = capsys.readouterr().err
        assert "epoch 2 is not in MLflow yet" in said
        assert "could not be ended as FINISHED" in said
        server.start()
        assert find_or_rebuild_run(tracking, training.run_id, description, HISTORY) == training.run_id
        run = tracking.client.get_run(training.run_id)
        assert run.info.status == "FINISHED"
        assert run.data.metrics["train/loss"] == 0.25
    finally:
        server.kill()


def test_four_trainings_at_once_lose_no_epoch(
    tracking: Tracking, description: RunDescription, repository: Path
) -> None:
    body = "for epoch in range(15): run.log_epoch(epoch, {'loss': 1 / (epoch + 1), 'val_loss': 2.0})"
    for code, output in _train(repository, description, body, times=4):
        assert code == 0, output
        run_id = output.split()[0]
        assert tracking.client.get_run(run_id).info.status == "FINISHED"
        assert len(tracking.client.get_metric_history(run_id, "train/loss")) == 15


def _train(repository: Path, description: RunDescription, body: str, times: int = 1) -> list[tuple[int, str]]:
    """Run trainings in processes of their own, at once; each says its run's id first."""
    (repository / "description.json").write_text(json.dumps(asdict(description)))
    (repository / "training.py").write_text(
        "import json, os, signal, sys\n"
        "from modelyard.tracking.runs import *; from modelyard.tracking.store import open_tracking\n"
        "description = RunDescription.from_plain(json.load(open('description.json')))\n"
        "with training_run(open_tracking('digits'), description) as run:\n"
        f"    print(run.run_id, flush=True)\n    {body}"
    )
    program = {"folder": str(repository), "arguments": ["training.py"]}
    return run_programs([[program] * times], clean_environment(), MLFLOW)
