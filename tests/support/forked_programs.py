"""Python programs in forks of a process that has imported what they need: see forking_process.py."""

import atexit
import functools
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

import forking_process
import forking_python
from modelyard.tracking.environment import QUIET
from modelyard.ui.__main__ import WITHOUT_JOBS

# With uvicorn there, MLflow's server is made as one that serves.
MLFLOW = (
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "uvicorn.main",
    "mlflow.server.fastapi_app",
    "mlflow.cli",
)
TENSORFLOW = (
    *("keras", "tensorflow", "mlflow", "mlflow.store.tracking.sqlalchemy_store", "optuna"),
    *("hydra", "pandas", "matplotlib.pyplot", "modelyard.params", "modelyard.stages.stage"),
)
# Of each call of DVC's command, what it imports is more than half of its time.
DVC = (
    *("dvc.cli", "dvc.repo", "dvc.repo.experiments.queue.celery", "dvc.repo.experiments.executor.local"),
    *("dvc.commands.repro", "dvc.commands.experiments.run", "dvc.utils.hydra", "hydra", "dvc_data.index"),
)


class ForkedProgram:
    """A program in a fork.

    Args:
        program: {"folder": the working directory, "arguments": [script or module, ...], "environment": all
            of it, "setup": code that runs before it}.
        output: where stdout and stderr go.
        imports: what is there.
    """

    def __init__(
        self, program: dict[str, Any], output: IO[bytes], imports: tuple[str, ...] = TENSORFLOW
    ) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(hold_process(imports))
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123
            files = [nothing.fileno(), output.fileno(), output.fileno()]
            forking_python.send(self._connection, program, files)

    def wait(self) -> int:
        """Return its exit code, or minus its signal, once it has ended."""
        with self._connection:
            said = self._connection.makefile().readline()
        assert said, "the process whose forks run programs has ended"
        return int(said)

    def kill(self) -> None:
        """Kill it, and wait for its end."""
        self._connection.sendall(b"%d\n" % signal.SIGKILL)
        self.wait()


def run_programs(
    rounds: list[list[dict[str, Any]]], environment: dict[str, str], imports: tuple[str, ...] = TENSORFLOW
) -> list[tuple[int, str]]:
    """Run programs; the rounds one after the other, those of a round at the same time."""
    told = [
        [each | {"environment": environment | each.get("environment", {})} for each in programs]
        for programs in rounds
    ]
    return [end for programs in told for end in _run_at_once(programs, imports)]


def _run_at_once(programs: list[dict[str, Any]], imports: tuple[str, ...]) -> list[tuple[int, str]]:
    # Closed in this process alone: the forks still write.
    outputs = [tempfile.TemporaryFile() for _ in programs]  # noqa: SIM115
    started = [ForkedProgram(*both, imports) for both in zip(programs, outputs, strict=True)]
    codes = [program.wait() for program in started]
    return [(code, _read_and_close(output)) for code, output in zip(codes, outputs, strict=True)]


def _read_and_close(output: IO[bytes]) -> str:
    with output:
        output.seek(0)
        return output.read().decode()


@functools.cache
def hold_process(imports: tuple[str, ...]) -> str:
    """Return the socket of the session's process with these imports, which is started where there is none."""
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[:8]
    path = Path(tempfile.gettempdir(), f"modelyard-{session}-{imports[0]}")
    with FileLock(f"{path}.lock"):
        holder = _hold(path)
        if holder is None:
            path.unlink(missing_ok=True)
            # It leaves this process' children, among which tests look for their own.
            subprocess.run(
                [sys.executable, forking_process.__file__, path, *imports],
                cwd="/",
                # TensorFlow greets on import, and a stage lets it say less.
                env=os.environ | QUIET | WITHOUT_JOBS | {"TF_CPP_MIN_LOG_LEVEL": "3"},
                check=True,
            )
            holder = _hold(path)
    assert holder is not None
    atexit.register(holder.close)
    return str(path)


def _hold(path: Path) -> socket.socket | None:
    holder = socket.socket(socket.AF_UNIX)
    # Nobody has started the process yet, or it has ended.
    with suppress(OSError):
        holder.connect(str(path))
        holder.sendall(b"null\n")
        if holder.recv(1):
            return holder
    holder.close()
    return None


def put_on_path(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """Return the environment with a `python` and a `dvc` first on PATH whose programs are forks.

    Both are made in `folder`. A fork has its shim's working directory, environment, files and end; SIGINT and
    SIGTERM reach it, and it is killed with the shim.
    """
    for name, imports, options in (("python", TENSORFLOW, ()), ("dvc", DVC, ("-m", "dvc"))):
        command = [sys.executable, "-IS", forking_python.__file__, hold_process(imports), *options]
        shim = folder / name
        shim.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        shim.chmod(0o755)
    return environment | {"PATH": f"{folder}{os.pathsep}{environment['PATH']}"}
