"""DVC's experiment queue, run to its end."""

import subprocess
import time
from pathlib import Path

import psutil

PATIENCE_S = 240


def run_queue(folder: Path, environment: dict[str, str], jobs: int) -> None:
    """Run all queued experiments of the repository in `folder`, `jobs` at a time.

    What counts is the queue's own status: a worker of DVC's may miss the message that ends it, and stay when
    all is done. No pipe of ours is left to such a worker, and it is ended here.
    """
    try:
        with (folder / ".dvc/tmp/queue.log").open("w") as log:
            start = ["dvc", "queue", "start", "--jobs", str(jobs)]
            subprocess.run(start, cwd=folder, env=environment, stdout=log, stderr=log, check=True)
        for _ in range(PATIENCE_S // 4):
            if not _is_busy(folder, environment):
                return
            # To ask takes DVC a second of a core, which the experiments need.
            time.sleep(4)
        raise AssertionError(f"the queue was not done after {PATIENCE_S} s")
    finally:
        _end_workers(folder)


def _is_busy(folder: Path, environment: dict[str, str]) -> bool:
    status = ["dvc", "queue", "status"]
    said = subprocess.run(
        status, cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout
    tasks, _, _ = said.partition("Worker status")
    return "Queued" in tasks or "Running" in tasks


def _end_workers(folder: Path) -> None:
    """End DVC's workers in this folder, and nobody else there: a test may have changed into it too."""
    for process in psutil.process_iter(["cwd", "cmdline"]):
        if process.info["cwd"] == str(folder) and "queue-worker" in (process.info["cmdline"] or []):
            process.kill()
