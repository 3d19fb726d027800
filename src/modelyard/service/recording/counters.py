"""Metrics of the record."""

import os
import shutil
import tempfile
import threading
from collections import Counter as Count
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from modelyard.service.http.metrics import SHARED

# Series of labels for each version; all other labels are counted together.
MOST_LABELS = 100
OTHER = "(other)"
SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
# What is recorded beside answers, which are of the kinds `ANSWER` and `SHADOW`.
LABEL, IMAGE = "label", "image"
# Why it is not: too many at once, too much in one request, a place that cannot be written for too long, no
# spare time for a shadow, or a fault of our own.
FULL, LARGE, PLACE, LOAD, FAILED = "queue_full", "too_large", "place", "load", "failed"


# In the environment of the process that records: the folder that was made for it alone.
_OWN = "MODELYARD_RECORD_COUNTERS"


class RecordingCounters:
    """Counts rows that were written and dropped, and answers by their labels and scores."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._recorded = Counter(
            "modelyard_recorded", "Rows and images in the record.", ["kind"], registry=registry
        )
        self._dropped = Counter(
            "modelyard_record_dropped",
            "Rows and images that are missing in the record, by reason.",
            ["kind", "reason"],
            registry=registry,
        )
        labels = ["model", "version"]
        self._answers = Counter(
            "modelyard_answers", "Images by their first label.", [*labels, "label"], registry=registry
        )
        self._scores = Histogram(
            "modelyard_scores", "Scores of first labels.", labels, buckets=SCORES, registry=registry
        )
        self._known: dict[tuple[str, str], set[str]] = {}
        self._lock = threading.Lock()
        self._settled: Count[str] = Count()

    @property
    def settled(self) -> dict[str, int]:
        """How many rows and images were written or dropped, by their kind."""
        with self._lock:
            return dict(self._settled)

    def count_recorded(self, kind: str, number: int) -> None:
        """Count rows, or images, that were written."""
        self._settle(kind, number)
        self._recorded.labels(kind).inc(number)

    def count_dropped(self, kind: str, reason: str, number: int) -> None:
        """Count rows, or images, that will not be written."""
        self._settle(kind, number)
        self._dropped.labels(kind, reason).inc(number)

    def count_answers(self, model: str, version: str, best: Iterable[tuple[str, float]]) -> None:
        """Count first labels with their scores; call it from one thread only."""
        known = self._known.setdefault((model, version), set())
        scores: Any = self._scores.labels(model, version)
        counts: Count[str] = Count()
        for label, score in best:
            if label not in known and len(known) < MOST_LABELS:
                known.add(label)
            counts[label if label in known else OTHER] += 1
            scores.observe(score)
        for label, number in counts.items():
            self._answers.labels(model, version, label).inc(number)

    def _settle(self, kind: str, number: int) -> None:
        with self._lock:
            self._settled[kind] += number


class CounterFolder:
    """A folder where the process that records counts, so that this process has the counts in its /metrics.

    With several workers they have such a folder already, and count there themselves.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._own = None
        if SHARED not in os.environ:
            self._own = tempfile.TemporaryDirectory(prefix="modelyard-record-", ignore_cleanup_errors=True)
            MultiProcessCollector(registry, path=self._own.name)  # type: ignore[no-untyped-call]

    @property
    def environment(self) -> dict[str, str]:
        """What the process that records needs in its environment."""
        return {} if self._own is None else {SHARED: self._own.name, _OWN: self._own.name}

    def remove(self) -> None:
        """Remove the folder, unless it belongs to all workers."""
        if self._own is not None:
            self._own.cleanup()


def remove_folder() -> None:
    """Remove a `CounterFolder` in the process that records, after a service that was killed."""
    if _OWN in os.environ:
        shutil.rmtree(os.environ[_OWN], ignore_errors=True)
