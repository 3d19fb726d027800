"""What was asked of the doors, and whether it holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.serving.measurements import Growth, Ready, Row, Spread
from benchmarks.serving.networks import INCEPTION, MNIST
from benchmarks.serving.servers import DOOR_1, DOOR_2, LITSERVE, STOCK


@dataclass(frozen=True)
class Goal:
    """One thing that was asked, and what was measured."""

    subject: str
    asked: str
    measured: str
    holds: bool


def judge(rows: Sequence[Row], ready: Sequence[Ready], growth: Growth | None) -> list[Goal]:
    """Compare what was asked with the medians; what was not measured is left out."""
    return [*_judge_loads(rows), *_judge_ratios(rows), *_judge_memory(rows, ready, growth)]


def _judge_loads(rows: Sequence[Row]) -> Iterator[Goal]:
    for model, connections, least in ((MNIST, 1, 2_000), (MNIST, 8, 3_000)):
        if row := _find(rows, DOOR_2, model, connections):
            rate = row.requests_per_s.median
            yield Goal(_name(2, model, connections), f"at least {least:,}/s", f"{rate:,.0f}/s", rate >= least)
    for model, connections, most_ms in ((MNIST, 1, 0.6), (INCEPTION, 1, 30.0)):
        if row := _find(rows, DOOR_2, model, connections):
            p50_ms = row.p50_ms.median
            subject = _name(2, model, connections)
            yield Goal(subject, f"p50 under {most_ms:g} ms", f"{p50_ms:.2f} ms", p50_ms < most_ms)


def _judge_ratios(rows: Sequence[Row]) -> Iterator[Goal]:
    for door, server, model, connections, peer, title, least in (
        (2, DOOR_2, MNIST, 8, LITSERVE, "LitServe", 3),
        (2, DOOR_2, INCEPTION, 8, STOCK, "the TensorFlow flavor", 40),
        (1, DOOR_1, MNIST, 1, STOCK, "the TensorFlow flavor", 20),
        (1, DOOR_1, MNIST, 8, STOCK, "the TensorFlow flavor", 20),
        (1, DOOR_1, INCEPTION, 1, STOCK, "the TensorFlow flavor", 30),
        (1, DOOR_1, INCEPTION, 8, STOCK, "the TensorFlow flavor", 30),
    ):
        own, other = _find(rows, server, model, connections), _find(rows, peer, model, connections)
        if own and other:
            ratio = own.requests_per_s.median / other.requests_per_s.median
            asked = f"at least {least} x {title}"
            yield Goal(_name(door, model, connections), asked, f"{ratio:.1f} x", ratio >= least)


def _judge_memory(rows: Sequence[Row], ready: Sequence[Ready], growth: Growth | None) -> Iterator[Goal]:
    if ready:
        for copy, seconds in (
            ("an empty copy", Spread.of(one.empty_copy_s for one in ready)),
            ("a filled copy", Spread.of(one.filled_copy_s for one in ready)),
        ):
            asked = "under 2 s"
            yield Goal(f"door 2, ready with {copy}", asked, f"{seconds.median:.2f} s", seconds.median < 2)
    if _find(rows, DOOR_2, INCEPTION, 1) and (row := _find(rows, DOOR_2, MNIST, 1)):
        measured = f"RSS {row.rss_mb.median:.0f} MB, PSS {row.pss_mb.median:.0f} MB"
        yield Goal("door 2, memory with both models", "under 350 MB", measured, row.rss_mb.median < 350)
    if growth:
        subject = f"door 2, memory after {growth.many:,} requests"
        asked = f"within 5 % of that after {growth.few:,}"
        before, after = growth.few_memory.rss_mb, growth.many_memory.rss_mb
        measured = f"{growth.share:+.1%} ({before:.1f} to {after:.1f} MB)"
        yield Goal(subject, asked, measured, abs(round(growth.share, 4)) <= 0.05)


def _find(rows: Sequence[Row], server: str, model: str, connections: int) -> Row | None:
    wanted = (server, model, connections)
    return next((row for row in rows if (row.server, row.model, row.connections) == wanted), None)


def _name(door: int, model: str, connections: int) -> str:
    return f"door {door}, {model}, {connections} connection{'s' if connections > 1 else ''}"
