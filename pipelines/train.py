"""train: fit the network, with an MLflow run that grows epoch by epoch; a killed one goes on.

With train.strategy=multi_worker DVC runs the first worker. On the other machines this script is started by
hand, with the paths that dvc.yaml gives it: they fit along and write nothing.
"""

import json
import time
from argparse import Namespace
from dataclasses import replace

from modelyard.files import write_json
from modelyard.images.dataset import read_digits
from modelyard.images.examples import choose_pictures
from modelyard.networks.features import read_features
from modelyard.params import Params
from modelyard.registry.versions import fetch_network
from modelyard.stage import run_stage
from modelyard.tracking.runs import RunDescription, describe_training, training_run
from modelyard.tracking.store import open_tracking
from modelyard.training.checkpoints import Checkpoints
from modelyard.training.cluster import read_cluster
from modelyard.training.members import fit_members
from modelyard.training.outcome import save_network, write_history
from modelyard.training.strategy import open_strategy
from modelyard.training.task import Task


def train(paths: Namespace, params: Params) -> None:
    """Write the network with its optimizer, the record of its training, and a row of metrics an epoch."""
    if not read_cluster(params.train.strategy).is_chief:
        fit_along(paths, params)
        return
    tracking = open_tracking(params.registry.experiment)
    task, description = read_task(paths, params)
    checkpoints = Checkpoints(paths.checkpoints, description.identity)
    with training_run(tracking, description, checkpoints.read_run()) as run:
        checkpoints.begin(run.run_id)
        task = replace(task, start=fetch_network(tracking, params.train.resume_from))
        # TensorFlow's import is no fitting, nor is waiting for other workers.
        open_strategy(params.train.strategy)
        began = time.perf_counter()
        network, history = fit_members(task, run.log_epoch, checkpoints)
        fit_s = time.perf_counter() - began
        save_network(network, paths.network)
    write_history(paths.history, history)
    facts = {"fit_s": fit_s, "weights": network.count_params(), "history": history}
    write_json(paths.record, {"run_id": run.run_id, **facts, "run": description.plain()})
    checkpoints.clear()


def fit_along(paths: Namespace, params: Params) -> None:
    """Do a worker's share of the work."""
    task, description = read_task(paths, params)
    if params.train.resume_from is not None:
        tracking = open_tracking(params.registry.experiment)
        task = replace(task, start=fetch_network(tracking, params.train.resume_from))
    checkpoints = Checkpoints(paths.checkpoints, description.identity, writes=False)
    fit_members(task, lambda _epoch, _row: None, checkpoints)


def read_task(paths: Namespace, params: Params) -> tuple[Task, RunDescription]:
    """Return what is to be fitted, from fresh weights, and its description."""
    digits, validation = read_digits(paths.train), read_digits(paths.validation)
    split = choose_pictures(params, digits, validation)
    if params.model.input == "inception_features":
        split = read_features(paths.features, split.training, split.validation)
    source = json.loads(paths.source.read_text())
    description = describe_training(params, digits, source, split.lineage)
    return Task(params.model, params.train, split.training, split.validation), description


if __name__ == "__main__":
    run_stage(
        train, "train", "validation", "features", "source", "network", "record", "history", "checkpoints"
    )
