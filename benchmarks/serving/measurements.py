"""What is measured, and how rounds become medians."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.serving.load import Load
from benchmarks.serving.memory import Memory


@dataclass(frozen=True)
class Measurement:
    """One load on one server, in one round."""

    server: str
    model: str
    connections: int
    load: Load


@dataclass(frozen=True)
class Start:
    """One start of a server, in one round.

    Attributes:
        server: its key.
        model: that it served; a process with several counts once for each.
        first_answer_s: from the start of the process to its first right answer.
        memory: after the loads of the round, of all its processes.
    """

    server: str
    model: str
    first_answer_s: float
    memory: Memory


@dataclass(frozen=True)
class Ready:
    """How soon door 2 is ready, and for what.

    Attributes:
        empty_copy_s: seconds from its start to its readiness for all models, with an empty local copy.
        filled_copy_s: the same with the copy that an earlier start left.
        served: the versions, such as "mnist 1 (float32)".
    """

    empty_copy_s: float
    filled_copy_s: float
    served: tuple[str, ...] = ()


@dataclass(frozen=True)
class Growth:
    """Memory of door 2 after few requests, and after many."""

    few: int
    few_memory: Memory
    many: int
    many_memory: Memory

    @property
    def share(self) -> float:
        """By how much memory (RSS) changed: 0.05 is 5 % more."""
        return self.many_memory.rss_mb / self.few_memory.rss_mb - 1


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, with the smallest and the largest of them."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Sum rounds up.

        Raises:
            ValueError: there are none.
        """
        given = list(values)
        if not given:
            raise ValueError("expected at least one round")
        return cls(statistics.median(given), min(given), max(given))


@dataclass(frozen=True)
class Row:
    """A server under so many connections: one line of the table."""

    model: str
    server: str
    connections: int
    rounds: int
    requests: int
    requests_per_s: Spread
    p50_ms: Spread
    p99_ms: Spread
    first_answer_s: Spread
    rss_mb: Spread
    pss_mb: Spread
    processes: int


def summarise(measurements: Sequence[Measurement], starts: Sequence[Start]) -> list[Row]:
    """Make a row of all rounds of the same server, model and connections, in the order they were measured."""
    rounds: dict[tuple[str, str, int], list[Load]] = {}
    for one in measurements:
        rounds.setdefault((one.server, one.model, one.connections), []).append(one.load)
    return [_make_row(*key, loads, starts) for key, loads in rounds.items()]


def _make_row(
    server: str, model: str, connections: int, loads: Sequence[Load], starts: Sequence[Start]
) -> Row:
    own = [start for start in starts if (start.server, start.model) == (server, model)]
    return Row(
        model=model,
        server=server,
        connections=connections,
        rounds=len(loads),
        requests=sum(load.requests for load in loads),
        requests_per_s=Spread.of(load.requests_per_s for load in loads),
        p50_ms=Spread.of(load.p50_ms for load in loads),
        p99_ms=Spread.of(load.p99_ms for load in loads),
        first_answer_s=Spread.of(start.first_answer_s for start in own),
        rss_mb=Spread.of(start.memory.rss_mb for start in own),
        pss_mb=Spread.of(start.memory.pss_mb for start in own),
        processes=max(start.memory.processes for start in own),
    )
