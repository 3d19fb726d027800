"""How long the commands over the registry take with many versions of a model in SQLite, as whole commands.

    python benchmarks/registry_commands.py [--versions 1000] [--runs 5]

The registry is made in a temporary folder, by MLflow's own calls: every version has a run with parameters and
metrics by epoch, a logged model with its metrics, tags, and predictions of 10,000 images.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from modelyard.evaluation.measures import confusion_matrix, measure_answers, measure_classes
from modelyard.evaluation.reports import Predictions, write_predictions
from modelyard.nesting import flatten
from modelyard.registry.decisions import Decision, Kind
from modelyard.registry.history import History
from modelyard.tracking.store import QUIET, Store

IMAGES, CLASSES = 10_000, tuple(str(digit) for digit in range(10))
DIGEST = "d" * 64
NAME = "mnist"
# On record, each of a version of its own.
DECISIONS = 100


def make_registry(folder: Path, versions: int) -> str:
    """Make a registry with so many versions of one model, and return its address."""
    import mlflow

    uri = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = mlflow.MlflowClient()
    experiment = client.create_experiment("many", (folder / "artifacts").as_uri())
    client.create_registered_model(NAME)
    random = np.random.default_rng(0)
    for number in tqdm(range(1, versions + 1), "versions", disable=None, leave=False):
        add_version(client, experiment, folder / "report", number, random)
    client.set_registered_model_alias(NAME, "challenger", str(versions))
    history = History(Store(client, uri), NAME)
    for number in range(1, min(versions, DECISIONS) + 1):
        history.record(Decision(number, Kind.PROMOTE, number, number - 1 or None, moved=True))
    return uri


def add_version(client: Any, experiment: str, report: Path, number: int, random: np.random.Generator) -> None:
    """Register one more version, as `registry.publishing` leaves it."""
    from mlflow.entities import Metric, Param

    key = f"{number:064x}"
    run = client.create_run(experiment, run_name=f"{NAME} {number}").info.run_id
    params = [Param(f"train.parameter_{place}", f"{number + place}") for place in range(13)]
    client.log_batch(run, params=params)
    epochs = [Metric("train/loss", 1 / epoch, epoch, epoch) for epoch in range(1, 11)]
    predictions = answer(random, accuracy=0.97 + 0.02 * random.random())
    metrics = flatten(measure(predictions), "/")
    model = client.create_logged_model(experiment, name=NAME).model_id
    of_model = (1000, 0, model, "mnist-test", DIGEST[:36], run)
    measured = [Metric(name, value, *of_model) for name, value in metrics.items()]
    client.log_batch(run, metrics=[*epochs, *measured])
    folder = f"evaluation/float32-{key[-8:]}"
    write_predictions(report / "predictions.npz", predictions)
    facts = {"bundle": {"content_key": key}, "images_per_class": dict.fromkeys(CLASSES, 1000)}
    (report / "report.json").write_text(json.dumps(facts))
    client.log_artifacts(run, str(report), folder)
    tags = {
        "content_key": key,
        "model_id": model,
        "precision": "float32",
        "size_bytes": "1651929",
        "evaluation.dataset": "mnist-test",
        "evaluation.digest": DIGEST,
        "evaluation.artifacts": folder,
        "git.commit": key[:40],
        "git.dirty": "false",
        "data.digest": "a" * 64,
        "published": "true",
        "libraries": "tensorflow 2.21.0, keras 3.15.1, numpy 2.4.6, mlflow 3.17.2",
    }
    client.create_model_version(NAME, f"models:/{model}", run_id=run, tags=tags, model_id=model)


def answer(random: np.random.Generator, accuracy: float) -> Predictions:
    """Answer the images of a test set, rightly as often as `accuracy` says."""
    labels = (np.arange(IMAGES) % len(CLASSES)).astype(np.uint8)
    right = random.random(IMAGES) < accuracy
    answers = np.where(right, labels, (labels + random.integers(1, 10, IMAGES)) % 10)
    probabilities = np.full((IMAGES, len(CLASSES)), 0.01, np.float32)
    probabilities[np.arange(IMAGES), answers] = 0.91
    return Predictions(labels, probabilities, DIGEST)


def measure(predictions: Predictions) -> dict[str, Any]:
    """Measure them as an evaluation does."""
    probabilities, labels = predictions.probabilities, predictions.labels
    return {
        "test": measure_answers(probabilities, labels, 15),
        "class": measure_classes(confusion_matrix(probabilities, labels), CLASSES),
        "latency": {"p50_ms": 0.1, "p99_ms": 0.2},
        "load_ms": 4.5,
        "size_bytes": 1_651_929,
    }


def time_command(
    arguments: Sequence[str], environment: dict[str, str], runs: int, exit_code: int
) -> tuple[list[float], float]:
    """Run `modelyard ARGUMENTS` so often, interpreter and imports included.

    Returns:
        The seconds each took, and the mean seconds of processor time, which a busy machine hardly changes.

    Raises:
        RuntimeError: it ended with another exit code.
    """
    seconds: list[float] = []
    before = _processor_seconds()
    for _ in range(runs):
        start = time.perf_counter()
        command = [sys.executable, "-m", "modelyard.cli", *arguments]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - start)
        if ended.returncode != exit_code:
            raise RuntimeError(f"{command} ended with {ended.returncode}, not {exit_code}: {ended.stderr}")
    return seconds, (_processor_seconds() - before) / runs


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Make the registry, time every command, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    os.environ.update(QUIET)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        environment = {**os.environ, "MLFLOW_TRACKING_URI": make_registry(folder, given.versions)}
        last = str(given.versions)
        commands = {
            ("--help",): 0,
            ("compare", "--help"): 0,
            ("compare", NAME, "1", last): 0,
            ("compare", NAME, "champion", "challenger", "--json"): 0,
            ("compare", NAME, "champion", "challenger", "--html", f"{folder}/page.html"): 0,
            ("history", NAME): 0,
            # What there is instead is looked up for the message.
            ("compare", NAME, "1", f"{last}0"): 2,
        }
        heads = f"command, {given.versions:,} versions | median | slowest of {given.runs} | processor"
        print(f"| {heads} |\n|---|---|---|---|")
        for arguments, exit_code in commands.items():
            seconds, processor = time_command(arguments, environment, given.runs, exit_code)
            shown = " ".join(arguments).replace(f"{folder}/", "")
            median, slowest = statistics.median(seconds), max(seconds)
            print(
                f"| `modelyard {shown}` | {median:.2f} s | {slowest:.2f} s | {processor:.2f} s |", flush=True
            )


if __name__ == "__main__":
    main()
