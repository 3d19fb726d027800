"""Temporary files in memory, where there is room: a version is published in two thirds of the time.

SQLite and DVC wait for the disk at each step, and no test is about what survives a power cut.
"""

import os
import shutil
import tempfile
from pathlib import Path

import psutil

MEMORY = Path("/dev/shm")  # noqa: S108  # Linux alone has it
# All tests together leave two thirds of a gigabyte; what the tests themselves need comes on top.
LEAST_BYTES = 4 << 30
PREFIX = "modelyard-tests-"


def use_memory() -> Path | None:
    """Let this process and those that it starts make temporary files in memory; return the folder, if so."""
    if "PYTEST_DEBUG_TEMPROOT" in os.environ or not MEMORY.is_dir():
        return None
    _clear_away()
    if min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) < LEAST_BYTES:
        return None
    folder = MEMORY / f"{PREFIX}{os.getpid()}"
    folder.mkdir()
    # PostgreSQL, which does not run as root, has its folder in it.
    folder.chmod(0o711)
    os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.tempdir = str(folder)
    return folder


def _clear_away() -> None:
    """Remove what sessions left that were killed, or had a failure that somebody may have looked at."""
    for folder in MEMORY.glob(f"{PREFIX}*"):
        if not psutil.pid_exists(int(folder.name.removeprefix(PREFIX))):
            shutil.rmtree(folder, ignore_errors=True)
