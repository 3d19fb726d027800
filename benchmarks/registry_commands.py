"""Time the commands over a registry with many versions of a model in SQLite, as whole processes.

    python -m benchmarks.registry_commands [--versions 1000] [--runs 5]

MLflow's own calls make the registry in a temporary folder: every version has a run with parameters and
metrics by epoch, a logged model with its metrics, tags, and predictions of 10,000 images.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from tqdm import tqdm

from benchmarks.command import describe_machine
from modelyard.evaluation.measures.classification import confusion_matrix, measure_answers, measure_classes
from modelyard.evaluation.reports import Predictions, write_predictions
from modelyard.nesting import flatten
from modelyard.registry.champions.decisions import Decision, Kind
from modelyard.registry.champions.history import History
from modelyard.tracking.environment import QUIET
from modelyard.tracking.store import Store

IMAGES, DECISIONS, NAME, PAGE = 10_000, 100, "mnist", "page.html"
CLASSES, DIGEST = tuple("0123456789"), "d" * 64
TAGS = {
    "precision": "float32",
    "size_bytes": "1651929",
    "evaluation.dataset": "mnist-test",
    "evaluation.digest": DIGEST,
    "git.dirty": "false",
    "data.digest": "a" * 64,
    "published": "true",
    "libraries": "tensorflow 2.21.0, keras 3.15.1, numpy 2.4.6, mlflow 3.17.2",
}


def make_registry(folder: Path, versions: int) -> str:
    """Make a registry with so many versions of one model, and return its address."""
    import mlflow

    uri = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client, random = mlflow.MlflowClient(), np.random.default_rng(0)
    experiment = client.create_experiment("many", (folder / "artifacts").as_uri())
    client.create_registered_model(NAME)
    for number in tqdm(range(1, versions + 1), "versions", disable=None, leave=False):
        add_version(client, experiment, folder / "report", number, random)
    client.set_registered_model_alias(NAME, "challenger", str(versions))
    history = History(Store(client, uri), NAME)
    for number in range(1, min(versions, DECISIONS) + 1):
        history.record(Decision(number, Kind.PROMOTE, number, number - 1 or None, moved=True))
    return uri


def add_version(client: Any, experiment: str, report: Path, number: int, random: np.random.Generator) -> None:
    """Register another version, as `registry.publishing` leaves it."""
    from mlflow.entities import Metric, Param

    key = f"{number:064x}"
    run = client.create_run(experiment, run_name=f"{NAME} {number}").info.run_id
    params = [Param(f"train.parameter_{place}", f"{number + place}") for place in range(13)]
    epochs = [Metric("train/loss", 1 / epoch, epoch, epoch) for epoch in range(1, 11)]
    predictions = make_predictions(random)
    model = client.create_logged_model(experiment, name=NAME).model_id
    of_model = (1000, 0, model, "mnist-test", DIGEST[:36], run)
    metrics = [Metric(name, value, *of_model) for name, value in measure(predictions).items()]
    client.log_batch(run, params=params, metrics=[*epochs, *metrics])
    folder = f"evaluation/float32-{key[-8:]}"
    write_predictions(report / "predictions.npz", predictions)
    facts = {"bundle": {"content_key": key}, "images_per_class": dict.fromkeys(CLASSES, 1000)}
    (report / "report.json").write_text(json.dumps(facts))
    client.log_artifacts(run, str(report), folder)
    tags = {"content_key": key, "model_id": model, "evaluation.artifacts": folder, "git.commit": key[:40]}
    client.create_model_version(NAME, f"models:/{model}", run_id=run, tags=TAGS | tags, model_id=model)


def make_predictions(random: np.random.Generator) -> Predictions:
    """Make the answers to a test set, of which 97 to 99 % are right."""
    labels = (np.arange(IMAGES) % len(CLASSES)).astype(np.uint8)
    right = random.random(IMAGES) < 0.97 + 0.02 * random.random()
    answers = np.where(right, labels, (labels + random.integers(1, 10, IMAGES)) % 10)
    probabilities = np.where(answers[:, None] == np.arange(10), 0.91, 0.01).astype(np.float32)
    return Predictions(labels, probabilities, DIGEST)


def measure(predictions: Predictions) -> dict[str, float]:
    """Return the metrics of an evaluation."""
    probabilities, labels = predictions.probabilities, predictions.labels
    classes = measure_classes(confusion_matrix(probabilities, labels), CLASSES)
    measures = {"test": measure_answers(probabilities, labels, 15), "class": classes, "size_bytes": 1_651_929}
    return flatten({**measures, "latency": {"p50_ms": 0.1, "p99_ms": 0.2}, "load_ms": 4.5}, "/")


def time_command(arguments: str, folder: str, uri: str, exit_code: int) -> tuple[float, float]:
    """Run `modelyard ARGUMENTS`, which writes into `folder`; return seconds, and those of the processor."""
    command = [sys.executable, "-m", "modelyard.cli", *arguments.split()]
    command = [f"{folder}/{part}" if part == PAGE else part for part in command]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    began_s, before = time.perf_counter(), psutil.Process().cpu_times()
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    seconds, after = time.perf_counter() - began_s, psutil.Process().cpu_times()
    if done.returncode != exit_code:
        raise RuntimeError(f"{command} ended with {done.returncode}, not {exit_code}: {done.stderr.decode()}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, used


def main() -> None:
    """Make the registry, time every command, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    os.environ.update(QUIET)
    with tempfile.TemporaryDirectory() as folder:
        uri = make_registry(Path(folder), given.versions)
        two, both = f"compare {NAME} 1 {given.versions}", f"compare {NAME} champion challenger"
        answered = [
            "--help",
            "compare --help",
            two,
            f"{both} --json",
            f"{both} --html {PAGE}",
            f"history {NAME}",
        ]
        # There is no such version: the message names the versions that exist.
        commands = dict.fromkeys(answered, 0) | {f"{two}0": 2}
        heads = f"command, {given.versions:,} versions | median | slowest of {given.runs} | processor"
        print(f"{describe_machine(('mlflow',))}\n\n| {heads} |\n|---|---|---|---|")
        for arguments, exit_code in commands.items():
            timed = np.array([time_command(arguments, folder, uri, exit_code) for _ in range(given.runs)])
            figures = (np.median(timed[:, 0]), timed[:, 0].max(), timed[:, 1].mean())
            shown = " | ".join(f"{seconds:.2f} s" for seconds in figures)
            print(f"| `modelyard {arguments}` | {shown} |", flush=True)


if __name__ == "__main__":
    main()
