"""train: fit the network, with an MLflow run that grows epoch by epoch."""

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
from modelyard.training.fitting import (
    fit_network,
    prepare_network,
    save_network,
    seed_everything,
    write_history,
)


def train(paths: Namespace, params: Params) -> None:
    """Write the network with its optimizer, the record of its training, and a row of metrics an epoch."""
    tracking = open_tracking(params.registry.experiment)
    digits, validation = read_digits(paths.train), read_digits(paths.validation)
    description = describe_training(params, digits, json.loads(paths.source.read_text()))
    with training_run(tracking, description) as run:
        resume_from = fetch_network(tracking, params.train.resume_from)
        seed_everything(params.train.seed)
        network = prepare_network(params.model, params.train, len(digits), resume_from)
        began = time.perf_counter()
        history = fit_network(network, digits, validation, params.train, run.log_epoch)
        fit_s = time.perf_counter() - began
        save_network(network, paths.network)
    write_history(paths.history, history)
    facts = {"fit_s": fit_s, "weights": network.count_params(), "history": history}
    write_json(paths.record, {"run_id": run.run_id, **facts, "run": description.plain()})


if __name__ == "__main__":
    run_stage(train, "train", "validation", "source", "network", "record", "history")
