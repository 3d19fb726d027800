"""From a version of the registry to one in memory: fetched, checked and warmed up, once."""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from modelyard.inference.bundle import Bundle, BundleError
from modelyard.inference.decoding.images import Limits
from modelyard.inference.plain_text import show
from modelyard.inference.predictor import Predictor
from modelyard.service.models.attempts import count_crash, try_once
from modelyard.service.models.local_copy import LocalCopy
from modelyard.service.models.memory import Memory, ServedVersion
from modelyard.service.models.registry_state import RegisteredVersion, RegistryState, SourceError

# What is told of every attempt to load a version: its name, its number, and whether that went well.
LoadObserver = Callable[[str, int, bool], None]

# How long a version that could not be loaded is left alone, at most.
LONGEST_WAIT_S = 60.0
# Characters of an error in the log.
MOST_LOGGED = 1000

log = logging.getLogger(__name__)


class Unavailable(RuntimeError):  # noqa: N818  # nothing is wrong with the request
    """A version is known, but cannot be loaded now; the message says why, in words of our own."""


class Source(Protocol):
    """Where versions come from; `RegistryClient` says what the methods do."""

    def read(self, names: Sequence[str]) -> RegistryState: ...  # noqa: D102

    def download(self, name: str, version: int, folder: Path) -> Path: ...  # noqa: D102

    def samples(self, name: str, version: int) -> dict[str, bytes]: ...  # noqa: D102


@dataclass(frozen=True)
class _Failure:
    """Why a version cannot be loaded, and until when (monotonic, in s) that is taken for granted."""

    reason: str
    until: float
    wait_s: float


class Loader:
    """Loads versions into memory.

    Args:
        source: where bundles come from that the local copy lacks.
        copy: bundles on this machine.
        memory: where the versions go.
        wait_s: after a first failure; every further one of a version doubles it, up to a minute.
        limits: on every image.
    """

    def __init__(
        self, source: Source, copy: LocalCopy, memory: Memory, wait_s: float, limits: Limits
    ) -> None:
        self._limits = limits
        self._source, self._copy, self._memory, self._wait_s = source, copy, memory, wait_s
        self._observe: LoadObserver = lambda name, version, well: None  # noqa: ARG005
        self._lock = threading.Lock()
        self._loading: dict[tuple[str, int], threading.Lock] = {}
        self._failures: dict[tuple[str, int], _Failure] = {}
        # One at a time goes from disk into memory, so that memory holds one too many at most.
        self._building = threading.Lock()

    def observe(self, observer: LoadObserver) -> None:
        """Tell `observer` of every attempt from now on, from the thread that made it."""
        self._observe = observer

    def load(self, name: str, wanted: RegisteredVersion, alias: str | None) -> ServedVersion:
        """Load a version unless it is loaded, and serve it, also by the alias where one is given.

        Raises:
            Unavailable: it cannot be loaded, or could not a moment ago.
        """
        key = (name, wanted.version)
        with self._lock:
            alone = self._loading.setdefault(key, threading.Lock())
        with alone:
            served = self._memory.peek(name, wanted.version, None)
            if served is None or not served.is_still(wanted):
                served = self._try(name, wanted)
            self._memory.keep(served, alias)
            return served

    def forget_failures(self) -> None:
        """Try everything again when it is asked for next."""
        self._failures.clear()

    def _try(self, name: str, wanted: RegisteredVersion) -> ServedVersion:
        key = (name, wanted.version)
        failure = self._failures.get(key)
        if failure is not None and time.monotonic() < failure.until:
            raise Unavailable(failure.reason)
        try:
            served = self._build(name, wanted, self._fetch(name, wanted))
        except Exception as error:  # whatever a broken version does, the others go on serving
            why, full = _give_reason(error), show(error, MOST_LOGGED)
            reason = f"version {wanted.version} cannot be loaded ({why})"
            if failure is None or failure.reason != reason:
                told = full if why in full else f"{why} ({type(error).__name__}: {full})"
                log.warning("%s: version %s cannot be loaded: %s", name, wanted.version, told)
            wait_s = min(self._wait_s if failure is None else 2 * failure.wait_s, LONGEST_WAIT_S)
            self._failures[key] = _Failure(reason, time.monotonic() + wait_s, wait_s)
            self._observe(name, wanted.version, False)
            raise Unavailable(reason) from error
        self._failures.pop(key, None)
        return served

    def _fetch(self, name: str, wanted: RegisteredVersion) -> Bundle:
        if wanted.content_key is None:
            raise SourceError(
                "it has no content_key, so modelyard did not register it: "
                "`modelyard rollback` or `promote` another version"
            )
        bundle = self._copy.fetch(wanted.content_key, partial(self._source.download, name, wanted.version))
        self._copy.prune(self._memory.content_keys())
        return bundle

    def _build(self, name: str, registered: RegisteredVersion, bundle: Bundle) -> ServedVersion:
        try_once(bundle.folder)
        with self._building, count_crash(bundle.folder):
            predictor = Predictor(bundle, limits=self._limits)
            predictor.warm_up()
        log.info("%s: version %s is loaded", name, registered.version)
        self._observe(name, registered.version, True)
        return ServedVersion(name, registered.version, predictor, registered.tags, registered.metrics)


def _give_reason(error: Exception) -> str:
    """Say why a version cannot be loaded, briefly, without paths and without what others wrote."""
    match error:
        case SourceError() | BundleError():
            return error.reason
        case OSError():
            why = os.strerror(error.errno) if error.errno else "it is in use by another process"
            return f"the local copy cannot be written: {why}: make room there, or choose another with --copy"
        case _:
            return f"{type(error).__name__}; the log says more"
