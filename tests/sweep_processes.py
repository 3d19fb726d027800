"""Three sweeps of one study: the first is killed in its first trial, the other two then run at once.

    python sweep_processes.py URL

prints their exit codes as JSON. All are forks of one process that has imported TensorFlow, but not used it.
"""

import json
import multiprocessing
import os
import signal
import sys

import keras  # noqa: F401  # imported once for all
import mlflow  # noqa: F401
import optuna  # noqa: F401
import tensorflow as tf  # noqa: F401

from modelyard.cli import main
from modelyard.tracking.runs import TrainingRun


def sweep(url: str) -> None:
    sys.exit(main(["sweep", "--trials", "6", "--storage", url]))


def sweep_and_die(url: str) -> None:
    """Sweep until the first epoch has ended."""
    TrainingRun.log_epoch = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    sweep(url)


def main_of_all(url: str) -> None:
    fork = multiprocessing.get_context("fork")
    codes = []
    for targets in ([sweep_and_die], [sweep, sweep]):
        processes = [fork.Process(target=target, args=(url,)) for target in targets]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            codes.append(process.exitcode)
    print(json.dumps(codes))


if __name__ == "__main__":
    main_of_all(sys.argv[1])
