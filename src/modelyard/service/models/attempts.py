"""A record of attempts to load a bundle, kept beside it for the next process that loads it.

The service loads a bundle once a trial process has loaded it without a crash. If the service crashes
nevertheless, the next process learns it from the record.
"""

import contextlib
import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.inference.bundle import BundleError
from modelyard.inference.runtime.trial import try_bundle

RECORD = "attempts.json"
MOST_BYTES = 1000
MOST_CRASHES = 2


def try_once(folder: Path) -> None:
    """Try a bundle in a process of its own, unless an earlier trial succeeded; several processes try it once.

    Raises BundleError if it cannot be loaded, or it crashed the processes that loaded it.
    """
    with _open(folder) as record:
        if record.crashes >= MOST_CRASHES:
            happened = f"the service ended {record.crashes} times while it loaded it"
            raise BundleError(
                f"{happened}: use another version, or remove {folder / RECORD} to have it tried again",
                f"{happened}: use another version (the log says more)",
            )
        wanted = _describe_machine()
        if record.crashes or record.tried != wanted:
            try_bundle(folder)
            record.tried = wanted
            record.write()


@contextmanager
def count_crash(folder: Path) -> Iterator[None]:
    """Count a crash of this process within the body; a process that survives resets the count."""
    with _open(folder) as record:
        record.crashes += 1
        record.write()
        try:
            yield
        finally:
            record.crashes = 0
            record.write()


class _Record:
    """Crashes since the last successful load, and where a trial succeeded; kept in a file if possible."""

    def __init__(self, handle: int | None = None) -> None:
        self._handle = handle
        self.crashes = 0
        self.tried: str | None = None
        if handle is not None:
            # A file that is empty or truncated says nothing.
            with contextlib.suppress(ValueError, TypeError, KeyError):
                found = json.loads(os.pread(handle, MOST_BYTES, 0))
                self.crashes, self.tried = int(found["crashes"]), found["tried"]

    def write(self) -> None:
        """Write the file, which stays empty if the disk is full."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, 0)
                told = {"crashes": self.crashes, "tried": self.tried}
                os.pwrite(self._handle, json.dumps(told).encode(), 0)


@contextmanager
def _open(folder: Path) -> Iterator[_Record]:
    """Lock and read the record of a bundle."""
    try:
        handle = os.open(folder / RECORD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError:
        # Without a record, bundles are tried at every start.
        yield _Record()
        return
    try:
        # The system releases the lock when the process ends, even by a crash.
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield _Record(handle)
    finally:
        os.close(handle)


def _describe_machine() -> str:
    """Describe where the outcome of a trial is valid."""
    import ai_edge_litert

    return f"LiteRT {ai_edge_litert.__version__}, {platform.machine()}"
