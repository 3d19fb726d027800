"""train: fit the network and log every epoch to an MLflow run; a killed training continues in its run.

With train.strategy=multi_worker, DVC starts the first worker. Start this script by hand on the other
machines, with the arguments from dvc.yaml; these workers write nothing.
"""

import time
from argparse import Namespace
from dataclasses import asdict, replace

from modelyard.files import write_json
from modelyard.images.dataset import read_dataset
from modelyard.networks.features import read_features, read_split
from modelyard.params import Params
from modelyard.registry.artifacts import fetch_network
from modelyard.stages.stage import run_stage
from modelyard.tracking.runs import RunDescription, describe_training, training_run
from modelyard.tracking.store import open_tracking
from modelyard.training.checkpoints import Checkpoints
from modelyard.training.distribution.choice import choose_distribution
from modelyard.training.members import fit_members
from modelyard.training.outcome import save_network, write_history
from modelyard.training.task import Task


def train(paths: Namespace, params: Params) -> None:
    """Write the network with its optimizer, the record of its training, and the metrics of each epoch."""
    distribution = choose_distribution(params.train.strategy)
    if not distribution.cluster.is_chief:
        join_training(paths, params)
        return
    tracking = open_tracking(params.registry.experiment)
    task, description = read_task(paths, params)
    checkpoints = Checkpoints(paths.checkpoints, description.identity)
    with training_run(tracking, description, checkpoints.read_run()) as run:
        checkpoints.begin(run.run_id)
        task = replace(task, start=fetch_network(tracking, params.train.resume_from))
        # Importing TensorFlow and waiting for other workers do not count as fitting.
        distribution.start()
        began = time.perf_counter()
        network, history = fit_members(task, run.log_epoch, checkpoints)
        fit_s = time.perf_counter() - began
        save_network(network, paths.network)
    write_history(paths.history, history)
    facts = {"fit_s": fit_s, "weights": network.count_params(), "history": history}
    write_json(paths.record, {"run_id": run.run_id, **facts, "run": asdict(description)})
    checkpoints.clear()


def join_training(paths: Namespace, params: Params) -> None:
    """Do the share of a worker that is not the chief."""
    task, description = read_task(paths, params)
    if params.train.resume_from is not None:
        tracking = open_tracking(params.registry.experiment)
        task = replace(task, start=fetch_network(tracking, params.train.resume_from))
    checkpoints = Checkpoints(paths.checkpoints, description.identity, writes=False)
    fit_members(task, lambda _epoch, _row: None, checkpoints)


def read_task(paths: Namespace, params: Params) -> tuple[Task, RunDescription]:
    """Return the task, starting from new weights, and its description."""
    features = read_features(paths.features) if params.model.input == "features" else None
    split = read_split(paths.train, paths.validation, paths.source, features, params.train.images)
    dataset = read_dataset(paths.dataset)
    description = describe_training(params, split.training, dataset, split.lineage)
    chosen = split.training.first(params.train.images)
    return Task(params.model, params.train, chosen, split.validation), description


if __name__ == "__main__":
    run_stage(
        train,
        *("train", "validation", "source", "features", "dataset"),
        *("network", "record", "history", "checkpoints"),
    )
