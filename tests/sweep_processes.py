"""Sweeps in processes of their own, which all are forks of one that has imported TensorFlow, but not used it.

    python sweep_processes.py < ROUNDS

ROUNDS is JSON: a list of rounds, one after the other, each a list of sweeps that run at once, each
{"folder": where, "arguments": [of the command], "dies": whether it is killed in its first trial}.
Prints, as JSON, the exit code and the output of each.
"""

import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

import keras  # noqa: F401  # imported once for all
import mlflow  # noqa: F401
import optuna  # noqa: F401
import tensorflow as tf  # noqa: F401

from modelyard.cli import main
from modelyard.sweeps import trials


def sweep(told: dict[str, Any], output: Path) -> None:
    os.chdir(told["folder"])
    file = os.open(output, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    if told.get("dies"):
        trials.fit_members = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
    sys.exit(main(["sweep", *told["arguments"]]))


def run_rounds(rounds: list[list[dict[str, Any]]]) -> list[tuple[int | None, str]]:
    fork = multiprocessing.get_context("fork")
    ends: list[tuple[int | None, str]] = []
    for sweeps in rounds:
        begun = []
        for told in sweeps:
            output = Path(told["folder"], f"output-{len(ends) + len(begun)}")
            process = fork.Process(target=sweep, args=(told, output))
            process.start()
            begun.append((process, output))
        for process, output in begun:
            process.join()
            ends.append((process.exitcode, output.read_text()))
    return ends


if __name__ == "__main__":
    print(json.dumps(run_rounds(json.load(sys.stdin))))
