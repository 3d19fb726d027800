"""What loading a bundle did to a process before, kept in the local copy for the next one that loads it.

A bundle goes into a service's own memory once a process of its own has loaded it without a crash. A process
that ends all the same while it loads one leaves that on record, and the record is what the next one reads.
"""

import contextlib
import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelyard.inference.bundle import BundleError
from modelyard.inference.trial import try_bundle

RECORD = "attempts.json"
MOST_BYTES = 1000
MOST_CRASHES = 2


def try_once(folder: Path) -> None:
    """Try a bundle of the local copy in a process of its own, unless that went well before.

    Several processes that come at once try it once.

    Raises:
        BundleError: it cannot be loaded, or it ended the processes that loaded it.
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
    """Count a crash of this process within the body; a process that comes through it resets the count."""
    with _open(folder) as record:
        record.crashes += 1
        record.write()
        try:
            yield
        finally:
            record.crashes = 0
            record.write()


@dataclass
class _Record:
    """What stands in the file.

    Attributes:
        crashes: one after the other, without a load that went well between them.
        tried: where a trial went well.
        handle: of the file; None where the copy cannot be written.
    """

    crashes: int = 0
    tried: str | None = None
    handle: int | None = None

    def read(self) -> None:
        """Read it; one that is empty or cut off says nothing."""
        if self.handle is not None:
            with contextlib.suppress(ValueError, TypeError, KeyError):
                found = json.loads(os.pread(self.handle, MOST_BYTES, 0))
                self.crashes, self.tried = int(found["crashes"]), found["tried"]

    def write(self) -> None:
        """Write it; where the disk is full there is none, as before the first."""
        if self.handle is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self.handle, 0)
                os.pwrite(self.handle, json.dumps({"crashes": self.crashes, "tried": self.tried}).encode(), 0)


@contextmanager
def _open(folder: Path) -> Iterator[_Record]:
    """Give the record of a bundle to this process alone."""
    try:
        handle = os.open(folder / RECORD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError:
        # A copy that cannot be written keeps no records: its bundles are tried at every start.
        yield _Record()
        return
    try:
        # The system lets go of it when the process ends, however it does.
        fcntl.flock(handle, fcntl.LOCK_EX)
        record = _Record(handle=handle)
        record.read()
        yield record
    finally:
        os.close(handle)


def _describe_machine() -> str:
    """Return what a trial's outcome holds for."""
    import ai_edge_litert

    return f"LiteRT {ai_edge_litert.__version__}, {platform.machine()}"
