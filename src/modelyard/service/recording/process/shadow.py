"""A version that answers the same pictures as the champion, in time that nothing else needs."""

import logging
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from modelyard.inference.bundle import read_bundle
from modelyard.inference.decoding.images import ImageError, Limits
from modelyard.inference.predictor import Predictor
from modelyard.inference.runtime.interpreters import ModelError
from modelyard.monitoring.tables.schema import SHADOW
from modelyard.service.recording.counters import FAILED, LOAD, RecordingCounters
from modelyard.service.recording.delivery.messages import (
    Batch,
    Challenger,
    Challengers,
    Image,
    Version,
    describe_version,
    find_challenger,
)
from modelyard.service.recording.delivery.queues import Queue

MOST_ROWS, MOST_BYTES = 2_000, 64_000_000
PAUSE_S = 0.2
# The system gives such a thread what others leave, and a hundredth where they leave nothing.
LEAST_PRIORITY = 19
# Even so, it delays requests where the processors are busy. If less than this share of their time is spare,
# an image is answered after a pause of 200 times what the last one took, so that the requests' 99th
# percentile stays where it is.
ENOUGH, LEAST_PAUSE_S, PAUSES = 0.75, 0.5, 200
# How long images wait for the service to find their challenger: a download holds up other models no longer.
UNKNOWN_S = 5.0
# How long what waits is still answered before a stop.
STOP_S = 3.0
log = logging.getLogger(__name__)


class Shadow:
    """Lets challengers answer what champions have answered, in a thread of the least priority.

    `offer` and `take` are for another thread. What does not fit into the queue is dropped and counted.
    `spare` returns the share of the processors' time that nobody needs, 0..1.
    """

    def __init__(self, counters: RecordingCounters, spare: Callable[[], float]) -> None:
        self._counters, self._spare = counters, spare
        self._next_turn = 0.0
        self._queue: Queue[Batch] = Queue(MOST_ROWS, MOST_BYTES)
        self._answered: deque[Batch] = deque()
        # Only replaced, never changed.
        self.challengers: Challengers = {}
        self._loaded: dict[Path, Predictor] = {}
        self._fault = ""
        self._stopping = threading.Event()
        self._ends_at = math.inf
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def offer(self, batch: Batch) -> None:
        """Let the same images be answered again when there is time, unless nothing answers beside them."""
        rows, name = len(batch.images), batch.version.name
        if name in self.challengers and find_challenger(batch.version, self.challengers) is None:
            return
        if not self._queue.put(batch, rows, batch.size):
            self._counters.count_dropped(SHADOW, LOAD, rows)

    def take(self) -> list[Batch]:
        """Return what was answered since the last call."""
        return [self._answered.popleft() for _ in range(len(self._answered))]

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what waits for some seconds more, drop the rest, and end."""
        self._ends_at = time.monotonic() + STOP_S
        self._stopping.set()
        self._thread.join(STOP_S + 1)

    @property
    def _is_over(self) -> bool:
        return time.monotonic() > self._ends_at

    def _pause_after(self, started: float) -> None:
        """Let the next turn come after a pause for what began at `started` (monotonic, in s)."""
        self._next_turn = started + max(LEAST_PAUSE_S, PAUSES * (time.monotonic() - started))

    def _wait_for_turn(self) -> None:
        """Wait until there is time for an image, or the service stops."""
        while self._spare() < ENOUGH and time.monotonic() < self._next_turn:
            if self._stopping.wait(PAUSE_S):
                return

    def _run(self) -> None:
        # Other systems would take this for the whole process, which still has to write.
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, 0, LEAST_PRIORITY)
        while not self._is_over:
            was_stopped, taken = self._stopping.is_set(), self._queue.take(1)
            for batch in taken:
                self._answer(batch)
            if not taken:
                if was_stopped:
                    break
                self._stopping.wait(PAUSE_S)
        while left := self._queue.take(MOST_ROWS):
            self._counters.count_dropped(SHADOW, LOAD, sum(len(batch.images) for batch in left))

    def _answer(self, batch: Batch) -> None:
        try:
            name = batch.version.name
            until = time.monotonic() + UNKNOWN_S
            while name not in self.challengers and time.monotonic() < until:
                if self._stopping.wait(PAUSE_S):
                    break
            if name not in self.challengers:
                self._counters.count_dropped(SHADOW, LOAD, len(batch.images))
            elif challenger := find_challenger(batch.version, self.challengers):
                predictor = self._loaded.get(challenger.folder) or self._load(
                    challenger, batch.version.limits
                )
                version = describe_version(name, challenger.number, predictor)
                self._answer_beside(batch, version, predictor)
        except Exception as error:  # the thread must not end: nobody would notice
            if repr(error) != self._fault:
                self._fault = repr(error)
                log.exception("a shadow cannot answer; this is told once")
            self._counters.count_dropped(SHADOW, FAILED, len(batch.images))

    def _load(self, challenger: Challenger, limits: Limits) -> Predictor:
        self._wait_for_turn()
        started = time.monotonic()
        predictor = Predictor(read_bundle(challenger.folder), interpreters=1, threads=1, limits=limits)
        self._pause_after(started)
        needed = {known.folder for known in self.challengers.values() if known is not None}
        stay = {folder: loaded for folder, loaded in self._loaded.items() if folder in needed}
        self._loaded = {**stay, challenger.folder: predictor}
        return predictor

    def _answer_beside(self, batch: Batch, version: Version, predictor: Predictor) -> None:
        """Answer the same prepared inputs, or the same pictures where the two prepare theirs differently."""
        is_same = batch.version.preprocessing == version.preprocessing
        images: list[Image] = []
        inputs, scores = [], []
        for place, image in enumerate(batch.images):
            self._wait_for_turn()
            if self._is_over:
                self._counters.count_dropped(SHADOW, LOAD, len(batch.images) - place)
                break
            started = time.monotonic()
            try:
                ready = batch.inputs[place] if is_same else predictor.preprocess(image.content)
                given = predictor.ask(ready)
            except (ImageError, ModelError):
                self._counters.count_dropped(SHADOW, FAILED, 1)
                continue
            finally:
                self._pause_after(started)
            seconds = time.monotonic() - started
            images.append(image._replace(unlikeness=given.unlikeness, seconds=seconds))
            inputs.append(ready)
            scores.append(given.scores)
        if images:
            self._answered.append(Batch(version, SHADOW, images, np.stack(inputs), np.stack(scores)))
