"""Metrics for Prometheus: requests, latencies, rejections, loaded versions."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from modelyard.processes import is_running

# prometheus-client's variable for a folder in which the processes of a service share their numbers.
SHARED = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds: from a small network on an idle machine to a large one with a full queue.
BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
REJECTIONS = {401: "token", 413: "too_large", 503: "busy", 504: "deadline"}
_LABELS = ("model", "version", "status")


class Metrics:
    """Counts requests; with several processes, each reports the counts of all.

    Every reading calls `describe`, which is that of `Models`, and `problems`, which returns what is wrong
    with the service, one sentence each.
    """

    def __init__(
        self, describe: Callable[[], list[dict[str, Any]]], problems: Callable[[], list[str]]
    ) -> None:
        # Other parts of the service register their metrics here.
        self.own = own = CollectorRegistry()
        self._requests = Counter("modelyard_requests", "Requests that were answered.", _LABELS, registry=own)
        self._seconds = Histogram(
            "modelyard_request_seconds",
            "From headers to answer, in seconds.",
            _LABELS,
            registry=own,
            buckets=BUCKETS,
        )
        self._rejected = Counter(
            "modelyard_rejected", "Requests turned away, by reason.", ["reason"], registry=own
        )
        self._loads = Counter(
            "modelyard_loads", "Attempts to load a version.", ["model", "version", "outcome"], registry=own
        )
        self._in_flight = Gauge(
            "modelyard_in_flight", "Requests being answered.", registry=own, multiprocess_mode="livesum"
        )
        # Looking a series up by its labels costs more than counting.
        self._series: dict[tuple[str, int, int], tuple[Counter, Histogram]] = {}
        self._shared = os.environ.get(SHARED)
        self._registry = own
        if self._shared:
            self._registry = CollectorRegistry()
            MultiProcessCollector(self._registry, path=self._shared)  # type: ignore[no-untyped-call]
        self._registry.register(_Loaded(describe, problems))

    def enter(self) -> None:
        """Count a request as inside."""
        self._in_flight.inc()

    def leave(self, model: str, version: int, status: int, seconds: float) -> None:
        """Count a request as answered.

        The model is "" and the version 0 where none was found, so that clients cannot make up series.
        """
        self._in_flight.dec()
        key = (model, version, status)
        series = self._series.get(key)
        if series is None:
            labels = (model, str(version or ""), str(status))
            series = (self._requests.labels(*labels), self._seconds.labels(*labels))
            self._series[key] = series
        series[0].inc()
        series[1].observe(seconds)
        if status in REJECTIONS:
            self._rejected.labels(REJECTIONS[status]).inc()

    def count_load(self, model: str, version: int, well: bool) -> None:
        """Count an attempt to load a version."""
        self._loads.labels(model, str(version), "loaded" if well else "failed").inc()

    def render(self) -> bytes:
        """Return Prometheus' text format."""
        if self._shared:
            _forget_dead(Path(self._shared))
        return generate_latest(self._registry)


class _Loaded(Collector):
    """Reports the loaded versions and the number of problems at each reading."""

    def __init__(
        self, describe: Callable[[], list[dict[str, Any]]], problems: Callable[[], list[str]]
    ) -> None:
        self._describe = describe
        self._problems = problems

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "modelyard_problems", "Problems of the service; /readyz lists them.", len(self._problems())
        )
        loaded = GaugeMetricFamily(
            "modelyard_version_loaded", "1 where a version is in memory.", labels=["model", "version"]
        )
        size = GaugeMetricFamily(
            "modelyard_version_bytes", "Size of a version in memory.", labels=["model", "version"]
        )
        for model in self._describe():
            for version in model["versions"]:
                labels = [model["name"], str(version["version"])]
                loaded.add_metric(labels, float(version["loaded"]))
                if version["loaded"] and version["size_bytes"] is not None:
                    size.add_metric(labels, version["size_bytes"])
        yield from (loaded, size)


def _forget_dead(folder: Path) -> None:
    """Drop the requests in flight of processes that died; their counts stay."""
    for file in folder.glob("gauge_live*_*.db"):
        number = int(file.stem.rpartition("_")[2])
        if not is_running(number):
            mark_process_dead(number, str(folder))  # type: ignore[no-untyped-call]
