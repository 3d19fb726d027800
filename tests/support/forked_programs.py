"""Python programs in forks of one process that has imported TensorFlow and MLflow, but not used them.

    python forked_programs.py < ROUNDS

ROUNDS is JSON: a list of rounds, one after the other, each a list of programs that run at the same time:
{"folder": the working directory, "arguments": [script or module, ...], "environment": {...}, "setup": code}.
Prints the exit code (or minus the signal) and the output of each program as JSON.
"""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any


def run_programs(rounds: list[list[dict[str, Any]]], environment: dict[str, str]) -> list[tuple[int, str]]:
    """Run programs from a test, in a process of their own."""
    done = subprocess.run(
        [sys.executable, __file__],
        env=environment,
        input=json.dumps(rounds),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(code, output) for code, output in json.loads(done.stdout.splitlines()[-1])]


def run_rounds(rounds: list[list[dict[str, Any]]]) -> list[tuple[int, str]]:
    ends: list[tuple[int, str]] = []
    for programs in rounds:
        outputs = [Path(each["folder"], f"output-{len(ends) + place}") for place, each in enumerate(programs)]
        started = [fork(*both) for both in zip(programs, outputs, strict=True)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in started]
        ends += [(code, output.read_text()) for code, output in zip(codes, outputs, strict=True)]
    return ends


def fork(program: dict[str, Any], output: Path) -> int:
    """Return the id of the new process; in that process, run the program and exit as Python does."""
    if pid := os.fork():
        return pid
    os.chdir(program["folder"])
    os.environ.update(program.get("environment", {}))
    file = os.open(output, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    exec(program.get("setup", ""), {})  # noqa: S102
    sys.argv = program["arguments"]
    run = runpy.run_path if sys.argv[0].endswith(".py") else runpy.run_module
    run(sys.argv[0], run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    import keras  # noqa: F401
    import mlflow  # noqa: F401
    import optuna  # noqa: F401
    import tensorflow as tf  # noqa: F401

    print(json.dumps(run_rounds(json.load(sys.stdin))))
