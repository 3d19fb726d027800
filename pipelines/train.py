"""train: fit the network, with an MLflow run that grows epoch by epoch; a killed one goes on."""

import json
import time
from argparse import Namespace

from modelyard.digits.dataset import read_digits
from modelyard.files import write_json
from modelyard.params import Params
from modelyard.registry.versions import fetch_network
from modelyard.stage import run_stage
from modelyard.tracking.runs import describe_training, training_run
from modelyard.tracking.store import open_tracking
from modelyard.training.checkpoints import Checkpoints
from modelyard.training.examples import choose_pictures
from modelyard.training.fitting import Task, fit_members, save_network, write_history
from modelyard.transfer.features import read_features


def train(paths: Namespace, params: Params) -> None:
    """Write the network with its optimizer, the record of its training, and a row of metrics an epoch."""
    tracking = open_tracking(params.registry.experiment)
    digits, validation = read_digits(paths.train), read_digits(paths.validation)
    split = choose_pictures(params, digits, validation)
    if params.model.input == "inception_features":
        split = read_features(paths.features, split.training, split.validation)
    source = json.loads(paths.source.read_text())
    description = describe_training(params, digits, source, split.lineage)
    checkpoints = Checkpoints(paths.checkpoints, description.identity)
    with training_run(tracking, description, checkpoints.read_run()) as run:
        checkpoints.begin(run.run_id)
        task = Task(
            params.model,
            params.train,
            split.training,
            split.validation,
            fetch_network(tracking, params.train.resume_from),
        )
        began = time.perf_counter()
        network, history = fit_members(task, run.log_epoch, checkpoints)
        fit_s = time.perf_counter() - began
        save_network(network, paths.network)
    write_history(paths.history, history)
    facts = {"fit_s": fit_s, "weights": network.count_params(), "history": history}
    write_json(paths.record, {"run_id": run.run_id, **facts, "run": description.plain()})
    checkpoints.clear()


if __name__ == "__main__":
    run_stage(
        train, "train", "validation", "features", "source", "network", "record", "history", "checkpoints"
    )
