"""Several devices and several machines: the same weights as one device, one writer, and no endless waiting.

The devices are two parts of one processor, the machines two processes.
"""

import io
import json
import socket
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from conftest import ROOT, clean_environment
from forked_programs import run_programs
from made_digits import make_digits, write_record
from modelyard.errors import ModelyardError, UsageError
from modelyard.images.pictures import write_pictures
from modelyard.params import validate_params
from modelyard.training.distribution.choice import choose_distribution
from modelyard.training.distribution.cluster import Cluster, read_cluster
from modelyard.training.distribution.mirrored import Mirrored
from modelyard.training.distribution.multi_worker import check_devices
from modelyard.training.distribution.rendezvous import wait_for_workers
from small_registry import leave_database
from tracking_server import find_free_port

# Sixty-four images make four whole batches: no part of one differs from another.
TRAINING, VALIDATION = make_digits(64), make_digits(33, seed=1)
ONE_AND_TWO_DEVICES = """
import json
from pathlib import Path
import tensorflow as tf
half = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [half, half])
from modelyard.images.examples import read_examples
from modelyard.params import load_params
from modelyard.training.inputs.batches import training_batches
from modelyard.training.distribution.cluster import Cluster
from modelyard.training.members import fit_members
from modelyard.training.outcome import save_network
from modelyard.training.task import Task
params = load_params(Path("params.yaml"))
training, validation = (read_examples(Path(name)) for name in ("train.npz", "validation.npz"))
for strategy in ("mirrored", "none"):
    train = params.train.model_copy(update={"strategy": strategy})
    network, rows = fit_members(Task(params.model, train, training, validation), lambda *_: None)
    save_network(network, Path(strategy).with_suffix(".keras"))
    Path("history.json").write_text(json.dumps(rows))

epoch, pair = tf.Variable(1, dtype=tf.int64), ("a:1", "b:2")
clusters = (Cluster(), Cluster(pair, 0), Cluster(pair, 1))
every = [training_batches(training, params.train, epoch, cluster) for cluster in clusters]
for (whole, _), (first, _), (second, _) in zip(*every, strict=True):
    assert first.shape == second.shape
    tf.debugging.assert_equal(whole, tf.concat([first, second], 0))
"""


def test_two_devices_and_two_workers_train_as_one_device_does(tmp_path: Path, values: dict[str, Any]) -> None:
    layer = {"filters": 2, "kernel": 3, "stride": 2, "padding": "same", "pool": 2}
    # Each device normalises its own part of a batch: that gives other weights.
    values["model"] |= {"name": "small", "convolutions": [layer], "batch_norm": False, "dense": [8]}
    values["train"]["augmentation"] = dict.fromkeys(values["train"]["augmentation"], 0.0)
    values["train"] |= {"epochs": 2, "batch_size": 16, "strategy": "multi_worker"}
    leave_database(tmp_path / "mlflow.db")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    write_pictures(tmp_path / "train.npz", TRAINING)
    write_pictures(tmp_path / "validation.npz", VALIDATION)
    write_record(tmp_path / "dataset.json", validate_params(values).data, TRAINING)

    ports = [find_free_port(), find_free_port()]
    (tmp_path / "devices.py").write_text(ONE_AND_TWO_DEVICES)
    devices = {"folder": str(tmp_path), "arguments": ["devices.py"]}
    programs = [devices, *(describe_worker(tmp_path, ports, index) for index in (0, 1))]
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    for code, output in run_programs([programs], clean_environment() | store):
        assert code == 0, output

    alone = read_numbers(tmp_path / "none.keras")
    for other in ("mirrored.keras", "worker-0/model.keras"):
        numbers = read_numbers(tmp_path / other)
        assert numbers.keys() == alone.keys()
        for name, expected in alone.items():
            np.testing.assert_allclose(numbers[name], expected, atol=1e-5, err_msg=f"{other}: {name}")
    validated = [row["val_loss"] for row in json.loads((tmp_path / "history.json").read_text())]
    rows = json.loads((tmp_path / "worker-0/training.json").read_text())["history"]
    assert [row["val_loss"] for row in rows] == pytest.approx(validated, rel=1e-5)
    # The other one has written nothing.
    assert not (tmp_path / "worker-1").exists()


def test_workers_meet_and_leave_their_ports_free() -> None:
    workers = tuple(f"127.0.0.1:{find_free_port()}" for _ in range(3))
    clusters = [Cluster(workers, index) for index in range(3)]
    threads = [threading.Thread(target=wait_for_workers, args=(cluster, 60)) for cluster in clusters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    for worker in workers:
        port = int(worker.rpartition(":")[2])
        with socket.create_server(("", port)) as server:
            assert server.getsockname()[1] == port


def test_a_worker_that_does_not_start_is_named() -> None:
    workers = tuple(f"127.0.0.1:{find_free_port()}" for _ in range(2))
    with pytest.raises(ModelyardError, match=rf"expected 2 workers within 0.1 s, {workers[1]} did not start"):
        wait_for_workers(Cluster(workers), 0.1)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ModelyardError, match=f"expected a free port for this worker, {port} is not"):
            wait_for_workers(Cluster((f"127.0.0.1:{port}",)), 1)


@pytest.mark.parametrize(
    "config",
    [
        "",
        "two workers",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:2"]}}',
        '{"cluster": {"worker": ["a:1", "b"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1", 2]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"], "ps": ["b:2"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "evaluator", "index": 0}}',
    ],
)
def test_an_invalid_cluster_is_refused(config: str) -> None:
    with pytest.raises(UsageError, match=r"train\.strategy=multi_worker: expected TF_CONFIG"):
        read_cluster({"TF_CONFIG": config})


@pytest.mark.parametrize(
    ("workers", "index"), [(["a:1", "b:2"], 2), (["a:1", "a:1"], 0), ([], 0), (["a:1"], -1)]
)
def test_an_impossible_worker_is_refused(workers: list[str], index: int) -> None:
    config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
    with pytest.raises(UsageError, match="expected different workers and an index of one of them"):
        read_cluster({"TF_CONFIG": json.dumps(config)})


def test_workers_with_several_devices_are_refused() -> None:
    with pytest.raises(UsageError, match="expected one device for each of 2 workers, got 4: name one GPU"):
        check_devices(4, 2)


@pytest.mark.parametrize(("batch_size", "examples"), [(15, 60), (16, 65)])
def test_batches_that_cannot_be_divided_among_devices_are_refused(batch_size: int, examples: int) -> None:
    mirrored = Mirrored()
    mirrored.strategy = SimpleNamespace(num_replicas_in_sync=2)
    mirrored.check_batches(16, 66)
    with pytest.raises(UsageError, match=r"train\.batch_size: expected a multiple of the 2 devices"):
        mirrored.check_batches(batch_size, examples)


def test_the_first_worker_is_the_chief_and_the_other_distributions_have_no_workers() -> None:
    config = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}
    environment = {"TF_CONFIG": json.dumps(config)}
    assert read_cluster(environment) == Cluster(("a:1", "b:2"), 1)
    assert not read_cluster(environment).is_chief
    assert Cluster(("a:1", "b:2"), 0).is_chief
    assert all(choose_distribution(strategy).cluster == Cluster() for strategy in ("none", "mirrored"))


def describe_worker(folder: Path, ports: list[int], index: int) -> dict[str, Any]:
    """Describe the stage as DVC starts it, with outputs of its own."""
    workers = [f"127.0.0.1:{port}" for port in ports]
    config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
    outputs = {
        "network": "model.keras",
        "record": "training.json",
        "history": "history.csv",
        "checkpoints": "kept",
    }
    paths = {
        "train": "train.npz",
        "validation": "validation.npz",
        "dataset": "dataset.json",
        "source": "none",
        "features": "none",
    }
    paths |= {name: f"worker-{index}/{file}" for name, file in outputs.items()}
    arguments = [word for name, path in paths.items() for word in (f"--{name}", path)]
    return {
        "folder": str(folder),
        "arguments": [str(ROOT / "pipelines/train.py"), *arguments],
        "environment": {"TF_CONFIG": json.dumps(config)},
    }


def read_numbers(network: Path) -> dict[str, Any]:
    """Return all arrays in a `.keras` file by their names: weights, steps and moments."""
    arrays: dict[str, Any] = {}
    with zipfile.ZipFile(network) as file, h5py.File(io.BytesIO(file.read("model.weights.h5"))) as weights:
        weights.visititems(
            lambda name, item: arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return arrays
