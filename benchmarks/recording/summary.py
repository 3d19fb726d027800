"""Medians of the rounds beside those without a record: the content of recording.csv and of its tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.recording.counting import Count
from benchmarks.recording.modes import OFF, ON, PICTURES, SHADOW, TITLES
from benchmarks.report import Frame, Goal, Table, show

FIGURES = ("requests_per_s", "p50_ms", "p99_ms")
HEAD = ["record", "conn.", "requests/s", "of off", "p50 ms", "least..most", "of off", "p99 ms", "least..most"]
HEAD += ["of off", "peak RSS MB"]
MOST_RATIO = 1.05
# The mode, the figure, its name, and the mode that it is compared with: recording must not delay answers, and
# a shadow must not delay those of a service that records.
LIMITED = (
    (ON, "p50_ms", "p50", OFF),
    (PICTURES, "p50_ms", "p50", OFF),
    (SHADOW, "p99_ms", "p99", ON),
)


def summarise(records: Sequence[Mapping[str, Any]], peak_mb: Mapping[str, float]) -> Frame:
    """Make a row of all rounds of the same mode and number of connections.

    `p50_ms` holds the median, `p50_ms_least` and `p50_ms_most` the extremes. `p50_ms_of_off` is the median of
    the ratios to the mode without a record in the same round, so that a busy round is so for both;
    `p50_ms_of_on` is that to the record alone.
    """
    import pandas as pd  # type: ignore[import-untyped]

    loads = pd.DataFrame(records).set_index(["connections", "round"])
    others = {mode: loads[loads["mode"] == mode] for mode in (OFF, ON)}
    rows = []
    for (mode, connections), own in loads.groupby(["mode", "connections"], sort=False):
        row = {
            "mode": mode,
            "connections": connections,
            "rounds": len(own),
            "requests": own["requests"].sum(),
        }
        for name in FIGURES:
            found = own[name]
            row |= {name: found.median(), f"{name}_least": found.min(), f"{name}_most": found.max()}
            for other, beside in others.items():
                row[f"{name}_of_{other}"] = (found / beside[name].loc[own.index]).median()
        rows.append({**row, "peak_rss_mb": peak_mb[mode]})
    frame = pd.DataFrame(rows)
    return frame.sort_values(["connections", "mode"], key=_place, kind="stable").reset_index(drop=True)


def _place(column: Any) -> Any:
    return column.map(list(TITLES).index) if column.name == "mode" else column


def list_loads(frame: Frame) -> Table:
    """Return the table of all loads."""
    return [HEAD, *(_show_row(row) for row in frame.itertuples())]


def _show_row(row: Any) -> list[str]:
    cells = [TITLES[row.mode], str(row.connections)]
    cells += [show(row.requests_per_s), f"{row.requests_per_s_of_off:.2f}"]
    for name in FIGURES[1:]:
        found = (getattr(row, f"{name}{end}") for end in ("", "_least", "_most", "_of_off"))
        median, least, most, ratio = found
        cells += [show(median), f"{show(least)}..{show(most)}", f"{ratio:.2f}"]
    return [*cells, f"{row.peak_rss_mb:,.0f}"]


def list_counts(counts: Sequence[Count]) -> Table:
    """Return the table of rows beside answers."""
    head = ["record: role", "answered", "dropped", "rows", "missing"]
    return [head, *(_show_count(count) for count in counts)]


def _show_count(count: Count) -> list[str]:
    numbers = (count.answered, count.dropped, count.rows, count.missing)
    return [f"{TITLES[count.mode]}: {count.role}", *(f"{number:,}" for number in numbers)]


def judge(frame: Frame, counts: Sequence[Count]) -> list[Goal]:
    """Compare the goals with what was measured."""
    goals = []
    for mode, figure, name, other in LIMITED:
        for row in frame[frame["mode"] == mode].itertuples():
            ratio = getattr(row, f"{figure}_of_{other}")
            subject = f"{TITLES[mode]}, {name} over {row.connections} connection{'s' * (row.connections > 1)}"
            limit = f"at most {MOST_RATIO:.2f} of {TITLES[other]}"
            goals.append(Goal(subject, limit, f"{ratio:.3f}", ratio <= MOST_RATIO))
    for count in counts:
        subject = f"{TITLES[count.mode]}, rows of {count.answered:,} answers"
        goals.append(Goal(subject, "none missing", f"{count.missing:,} missing", count.missing == 0))
    return goals
