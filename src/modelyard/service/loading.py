"""From a version of the registry to one in memory: fetched, checked and warmed up, once."""

import io
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from PIL import Image

from modelyard.inference.bundle import Bundle
from modelyard.inference.images import Limits
from modelyard.inference.predictor import MOST_INTERPRETERS, Predictor
from modelyard.service.local_copy import LocalCopy
from modelyard.service.memory import Memory, ServedVersion
from modelyard.service.registry_state import RegisteredVersion, RegistryState, SourceError

# What is told of every attempt to load a version: its name, its number, and whether that went well.
LoadObserver = Callable[[str, int, bool], None]

# How long a version that could not be loaded is left alone, at most.
LONGEST_WAIT_S = 60.0

log = logging.getLogger(__name__)


class Unavailable(RuntimeError):  # noqa: N818  # nothing is wrong with the request
    """A version is known, but cannot be loaded now; the message says why."""


class Source(Protocol):
    """Where versions come from; `RegistryClient` says what the methods do."""

    def read(self, names: Sequence[str]) -> RegistryState: ...  # noqa: D102

    def download(self, name: str, version: int, folder: Path) -> Path: ...  # noqa: D102


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

    def restore(self, name: str, wanted: RegisteredVersion, alias: str) -> None:
        """Load a version if the local copy has it; what goes wrong is logged."""
        try:
            if wanted.content_key and (bundle := self._copy.read(wanted.content_key)):
                self._memory.keep(self._build(name, wanted, bundle), alias)
        except Exception as error:  # a start must not depend on what an earlier one left
            log.warning("%s: version %s in the local copy: %r", name, wanted.version, error)

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
            reason = f"version {wanted.version} cannot be loaded ({error})"
            log.warning("%s: %s", name, reason)
            wait_s = min(self._wait_s if failure is None else 2 * failure.wait_s, LONGEST_WAIT_S)
            self._failures[key] = _Failure(reason, time.monotonic() + wait_s, wait_s)
            self._observe(name, wanted.version, False)
            raise Unavailable(reason) from error
        self._failures.pop(key, None)
        return served

    def _fetch(self, name: str, wanted: RegisteredVersion) -> Bundle:
        if wanted.content_key is None:
            raise SourceError("it has no tag content_key: register it with the register stage")
        bundle = self._copy.fetch(wanted.content_key, partial(self._source.download, name, wanted.version))
        self._copy.prune(self._memory.content_keys())
        return bundle

    def _build(self, name: str, registered: RegisteredVersion, bundle: Bundle) -> ServedVersion:
        with self._building:
            predictor = Predictor(bundle, limits=self._limits)
            _warm_up(predictor)
        log.info("%s: version %s is loaded", name, registered.version)
        self._observe(name, registered.version, True)
        return ServedVersion(name, registered.version, predictor, registered.tags, registered.metrics)


def _warm_up(predictor: Predictor) -> None:
    """Answer a picture, half light and half dark, once with every interpreter: they take turns."""
    how = predictor.bundle.preprocessing
    picture = Image.new("L", (how.width, how.height))
    picture.paste(255, (0, 0, how.width // 2, how.height))
    stream = io.BytesIO()
    picture.save(stream, "PNG" if how.channels == 1 else "JPEG")
    predictor.predict([stream.getvalue()] * MOST_INTERPRETERS)
