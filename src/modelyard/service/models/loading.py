"""From a version of the registry to one in memory: fetched, checked and warmed up, once."""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from modelyard.inference.bundle import Bundle, BundleError
from modelyard.inference.decoding.images import Limits
from modelyard.inference.plain_text import show
from modelyard.inference.predictor import Predictor
from modelyard.registry.artifact_files import ArtifactError
from modelyard.service.models.attempts import count_crash, try_once
from modelyard.service.models.local_copy import LocalCopy
from modelyard.service.models.memory import Memory, ServedVersion
from modelyard.service.models.registry_client import RegistryClient
from modelyard.service.models.registry_state import RegisteredVersion, SourceError

# Called after each attempt to load a version with its name, its number, and whether it was loaded.
LoadObserver = Callable[[str, int, bool], None]

# The longest time between two attempts to load a version.
LONGEST_WAIT_S = 60.0
# Characters of an error in the log.
MOST_LOGGED = 1000

T = TypeVar("T")
log = logging.getLogger(__name__)


class Unavailable(RuntimeError):  # noqa: N818  # nothing is wrong with the request
    """A known version cannot be loaded now; the message says why, in words of our own."""


@dataclass(frozen=True)
class _Failure:
    """Why a version could not be loaded, and until when (monotonic, in s) it is not tried again."""

    reason: str
    until: float
    wait_s: float


class Loader:
    """Loads versions into `memory`, from the local copy where it has them.

    After a failure a version is not tried for `wait_s`, then for twice as long each time, up to a minute.
    """

    def __init__(
        self, source: RegistryClient, copy: LocalCopy, memory: Memory, wait_s: float, limits: Limits
    ) -> None:
        self._source, self._copy, self._memory = source, copy, memory
        self._wait_s, self._limits = wait_s, limits
        self.observer: LoadObserver = lambda name, version, well: None  # noqa: ARG005
        self._lock = threading.Lock()
        self._loading: dict[tuple[str, int], threading.Lock] = {}
        self._failures: dict[tuple[str, int], _Failure] = {}
        # One version at a time is read from disk, so that memory holds at most one too many.
        self._building = threading.Lock()

    def load(self, name: str, wanted: RegisteredVersion, alias: str | None) -> ServedVersion:
        """Load a version if needed, and serve it by its number and by the alias, if one is given.

        Raises Unavailable if it cannot be loaded, or could not be a moment ago.
        """
        key = (name, wanted.version)
        with self._lock:
            alone = self._loading.setdefault(key, threading.Lock())
        with alone:
            served = self._memory.peek(name, wanted.version, None)
            if served is None or not served.is_still(wanted):
                served = self._try(name, wanted, partial(self._build, name, wanted))
            self._memory.keep(served, alias)
            return served

    def fetch(self, name: str, wanted: RegisteredVersion) -> Bundle:
        """Return a version's bundle in the local copy, tried in another process, but not loaded here.

        Raises Unavailable if it cannot be used, or could not be a moment ago.
        """
        return self._try(name, wanted, _keep_tried)

    def forget_failures(self) -> None:
        """Try every version again at the next request for it."""
        self._failures.clear()

    def _try(self, name: str, wanted: RegisteredVersion, use: Callable[[Bundle], T]) -> T:
        key = (name, wanted.version)
        failure = self._failures.get(key)
        if failure is not None and time.monotonic() < failure.until:
            raise Unavailable(failure.reason)
        try:
            found = use(self._fetch(name, wanted))
        except Exception as error:  # the others are served, whatever is wrong with one version
            why, full = _give_reason(error), show(error, MOST_LOGGED)
            reason = f"version {wanted.version} cannot be loaded ({why})"
            if failure is None or failure.reason != reason:
                told = full if why in full else f"{why} ({type(error).__name__}: {full})"
                log.warning("%s: version %s cannot be loaded: %s", name, wanted.version, told)
            wait_s = min(self._wait_s if failure is None else 2 * failure.wait_s, LONGEST_WAIT_S)
            self._failures[key] = _Failure(reason, time.monotonic() + wait_s, wait_s)
            self.observer(name, wanted.version, False)
            raise Unavailable(reason) from error
        self._failures.pop(key, None)
        return found

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
        self.observer(name, registered.version, True)
        return ServedVersion(name, registered.version, predictor)


def _keep_tried(bundle: Bundle) -> Bundle:
    try_once(bundle.folder)
    return bundle


def _give_reason(error: Exception) -> str:
    """Say briefly why a version cannot be loaded, without paths and without what others wrote."""
    match error:
        case SourceError() | ArtifactError() | BundleError():
            return error.reason
        case OSError():
            why = os.strerror(error.errno) if error.errno else "it is in use by another process"
            return f"the local copy cannot be written: {why}: make room there, or choose another with --copy"
        case _:
            return f"{type(error).__name__}; the log says more"
