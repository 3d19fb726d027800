"""Tries a bundle in a process of its own, so that a crash of LiteRT ends no other.

LiteRT trusts most of what a file states about its tensors, and some damaged files end the process that loads
them. `python -m modelyard.inference.runtime.trial` reads folders, one a line, and prints what is wrong with
each.
"""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from modelyard.inference.bundle import BundleError, read_bundle
from modelyard.inference.plain_text import show

# A model that takes longer would also hold up the service; Inception takes half a second.
TIME_LIMIT_S = 60
# The memory that a trial may use: a multiple of the model's size, and this much in addition.
MEMORY_TIMES, MEMORY_BYTES = 16, 2 << 30


def try_bundle(folder: Path) -> None:
    """Load a bundle and ask it once, in a process of its own, which takes 0.3 s.

    Raises BundleError if it cannot answer, or ended that process.
    """
    with Trials() as trials:
        trials.run(folder)


class Trials:
    """One process for many trials, each in a fork of it (15 ms); a context manager."""

    def __enter__(self) -> "Trials":
        # The child finds the same packages as this process, and none in the working directory.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "modelyard.inference.runtime.trial"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            # A signal from the terminal that stops the command is not a crash of a model.
            start_new_session=True,
        )
        return self

    def __exit__(self, *error: object) -> None:
        with self._process:
            pass

    def run(self, folder: Path) -> None:
        """Try one bundle, and raise BundleError if it cannot answer, or ended its process.

        Raises ChildProcessError if there is no process to try it in.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(str(folder.absolute())), file=stdin, flush=True)
        line = stdout.readline() if stdout else ""
        if not line:
            raise ChildProcessError("no process can be started to try a bundle in")
        if wrong := json.loads(line):
            raise BundleError(*wrong)


def main() -> None:
    """Try the bundles that stdin names."""
    # Once for all forks.
    import modelyard.inference.predictor  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(_fork(Path(json.loads(line)))), flush=True)


def _fork(folder: Path) -> Any:
    """Return message and reason of what is wrong with a bundle, None if nothing is."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _limit(folder)
            os.write(writer, json.dumps(_load(folder)).encode())
            os._exit(0)
        finally:
            # Whatever was raised: this process is a fork, and must never go on with its parent's work.
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == 0:
        return json.loads(said)
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    reason = f"LiteRT crashed on its model when that was tried in a process of its own ({how})"
    if code == -signal.SIGALRM:
        reason = f"its model took longer than {TIME_LIMIT_S} s to load when it was tried"
    return f"{folder}: {reason}", reason


def _load(folder: Path) -> tuple[str, str] | None:
    from modelyard.inference.predictor import Predictor

    try:
        Predictor(read_bundle(folder)).warm_up()
    except BundleError as error:
        return show(error, 1000), error.reason
    except Exception as error:  # whatever it is, it is the bundle's
        return f"{folder}: {show(repr(error))}", "it cannot be loaded"
    return None


def _limit(folder: Path) -> None:
    """Bound a trial's memory and time, and let its crash leave no core dump."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(TIME_LIMIT_S)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        size_bytes = sum(file.stat().st_size for file in folder.iterdir())
        most = MEMORY_BYTES + MEMORY_TIMES * size_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    # If memory is short all the same, Linux ends this process first.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main()
