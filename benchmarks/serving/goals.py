"""What this project's servers should reach, and whether they do."""

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.report import Frame, Goal
from benchmarks.serving.questions import INCEPTION, MNIST
from benchmarks.serving.rounds import Growth, Ready
from benchmarks.serving.servers import LITSERVE, MLFLOW_MODELYARD, MLFLOW_TENSORFLOW, MODELYARD, TITLES

RATES = ((MNIST, 1, 2_000), (MNIST, 8, 3_000))
LATENCIES_MS = ((MNIST, 1, 0.6), (INCEPTION, 1, 30))
RATIOS = (
    (MODELYARD, LITSERVE, MNIST, 8, 3),
    (MODELYARD, MLFLOW_TENSORFLOW, INCEPTION, 8, 40),
    (MLFLOW_MODELYARD, MLFLOW_TENSORFLOW, MNIST, 1, 20),
    (MLFLOW_MODELYARD, MLFLOW_TENSORFLOW, MNIST, 8, 20),
    (MLFLOW_MODELYARD, MLFLOW_TENSORFLOW, INCEPTION, 1, 30),
    (MLFLOW_MODELYARD, MLFLOW_TENSORFLOW, INCEPTION, 8, 30),
)
READY_S, MEMORY_MB, GROWTH_SHARE = 2, 350, 0.05
# By server, model and number of connections.
Rows = dict[tuple[str, str, int], Any]


def judge(frame: Frame, ready: Sequence[Ready], growth: Growth | None) -> list[Goal]:
    """Compare the goals with the medians; what was not measured is left out."""
    rows: Rows = {(row.server, row.model, row.connections): row for row in frame.itertuples()}
    return [*_judge_loads(rows), *_judge_starts(ready), *_judge_memory(rows, growth)]


def _judge_loads(rows: Rows) -> Iterator[Goal]:
    for model, connections, least in RATES:
        if row := rows.get((MODELYARD, model, connections)):
            rate = row.requests_per_s
            yield Goal(_name(row), f"at least {least:,}/s", f"{rate:,.0f}/s", rate >= least)
    for model, connections, most_ms in LATENCIES_MS:
        if row := rows.get((MODELYARD, model, connections)):
            asked, measured = f"median under {most_ms:g} ms", f"{row.p50_ms:.2f} ms"
            yield Goal(_name(row), asked, measured, row.p50_ms < most_ms)
    for server, other, model, connections, least in RATIOS:
        row, beside = (rows.get((one, model, connections)) for one in (server, other))
        if row and beside:
            ratio = row.requests_per_s / beside.requests_per_s
            yield Goal(_name(row), f"at least {least} x {TITLES[other]}", f"{ratio:.1f} x", ratio >= least)


def _judge_starts(ready: Sequence[Ready]) -> Iterator[Goal]:
    empty, filled = [one.empty_copy_s for one in ready], [one.filled_copy_s for one in ready]
    for copy, rounds in (("an empty copy", empty), ("a filled copy", filled)) if ready else ():
        seconds = statistics.median(rounds)
        asked, measured = f"under {READY_S} s", f"{seconds:.2f} s"
        yield Goal(f"{TITLES[MODELYARD]}, ready with {copy}", asked, measured, seconds < READY_S)


def _judge_memory(rows: Rows, growth: Growth | None) -> Iterator[Goal]:
    title, row = TITLES[MODELYARD], rows.get((MODELYARD, MNIST, 1))
    if row and (MODELYARD, INCEPTION, 1) in rows:
        asked, measured = f"under {MEMORY_MB} MB", f"RSS {row.rss_mb:.0f} MB, PSS {row.pss_mb:.0f} MB"
        yield Goal(f"{title}, memory with both models", asked, measured, row.rss_mb < MEMORY_MB)
    if growth:
        (few, few_mb), (many, many_mb) = growth
        share = many_mb / few_mb - 1
        asked = f"within {GROWTH_SHARE:.0%} of that after {few:,}"
        measured = f"{share:+.1%} ({few_mb:.1f} to {many_mb:.1f} MB)"
        holds = abs(round(share, 4)) <= GROWTH_SHARE
        yield Goal(f"{title}, memory after {many:,} requests", asked, measured, holds)


def _name(row: Any) -> str:
    plural = "s" if row.connections > 1 else ""
    return f"{TITLES[row.server]}, {row.model}, {row.connections} connection{plural}"
