"""Python programs in forks of a process that has imported what they need, but not used it.

    python forked_programs.py MODULE ...

imports the modules, and reads from stdin a line of JSON for each call of `run_programs`: a list of rounds,
one after the other, each a list of programs that run at the same time: {"folder": the working directory,
"arguments": [script or module, ...], "environment": all of it, "setup": code}. It answers with a line of
JSON: the exit code (or minus the signal) and the output of each program.
"""

import atexit
import functools
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from typing import IO, Any

from modelyard.imports import left_out, without_collecting
from modelyard.tracking.environment import QUIET

MLFLOW = ("mlflow", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store")
TENSORFLOW = ("keras", "tensorflow", "mlflow", "optuna")


def run_programs(
    rounds: list[list[dict[str, Any]]], environment: dict[str, str], imports: tuple[str, ...] = TENSORFLOW
) -> list[tuple[int, str]]:
    """Run programs from a test, in forks of a process that is started once for all tests."""
    told = [
        [each | {"environment": environment | each.get("environment", {})} for each in programs]
        for programs in rounds
    ]
    server = _start_server(imports)
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(told) + "\n")
    server.stdin.flush()
    line = server.stdout.readline()
    assert line, f"the process with {', '.join(imports)} has ended with {server.wait()}"
    return [(code, output) for code, output in json.loads(line)]


@functools.cache
def _start_server(imports: tuple[str, ...]) -> "subprocess.Popen[str]":
    server = subprocess.Popen(
        [sys.executable, __file__, *imports],
        env=os.environ | QUIET,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)
    return server


def run_rounds(rounds: list[list[dict[str, Any]]]) -> list[tuple[int, str]]:
    return [end for programs in rounds for end in run_at_once(programs)]


def run_at_once(programs: list[dict[str, Any]]) -> list[tuple[int, str]]:
    # Closed in this process alone: the forks still write.
    outputs = [tempfile.TemporaryFile() for _ in programs]  # noqa: SIM115
    started = [fork(*both) for both in zip(programs, outputs, strict=True)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in started]
    return [(code, read_and_close(output)) for code, output in zip(codes, outputs, strict=True)]


def read_and_close(output: IO[bytes]) -> str:
    with output:
        output.seek(0)
        return output.read().decode()


def fork(program: dict[str, Any], output: IO[bytes]) -> int:
    """Return the id of the new process; in that process, run the program and exit as Python does."""
    if pid := os.fork():
        return pid
    os.chdir(program["folder"])
    os.environ.clear()
    os.environ.update(program["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    exec(program.get("setup", ""), {})  # noqa: S102
    sys.argv = program["arguments"]
    run = runpy.run_path if sys.argv[0].endswith(".py") else runpy.run_module
    run(sys.argv[0], run_name="__main__")
    sys.exit()


def main() -> None:
    with without_collecting(), left_out("matplotlib", "sklearn"):
        for name in sys.argv[1:]:
            importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(run_rounds(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
