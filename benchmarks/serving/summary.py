"""Medians of the rounds: the content of serving.csv, and the tables made from it."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.report import Frame, Table, show
from benchmarks.serving.servers import TITLES

SPREADS = ("requests_per_s", "p50_ms", "p99_ms", "first_answer_s", "rss_mb", "pss_mb")
HEAD = ["server", "conn.", "requests/s", "least..most", "p50 ms", "p99 ms"]
HEAD += ["first answer s", "RSS MB", "PSS MB"]


def summarise(records: Sequence[Mapping[str, Any]]) -> Frame:
    """Make a row of all rounds of the same model, server and connections, in the order of measurement.

    The columns are those of serving.csv without `about`: `p50_ms` holds the median, `p50_ms_least` and
    `p50_ms_most` the extremes.
    """
    import pandas as pd  # type: ignore[import-untyped]

    rounds = pd.DataFrame(records).groupby(["model", "server", "connections"], sort=False)
    columns = {"rounds": rounds.size(), "requests": rounds["requests"].sum()}
    for name in SPREADS:
        own = rounds[name]
        columns |= {name: own.median(), f"{name}_least": own.min(), f"{name}_most": own.max()}
    return pd.DataFrame(columns | {"processes": rounds["processes"].max()}).reset_index()


def sort_by_server(frame: Frame, model: str) -> Frame:
    """Return the rows of one model in the order of `TITLES`, then of connections."""
    own = frame[frame["model"] == model].sort_values("connections")
    return own.sort_values("server", key=lambda servers: servers.map(list(TITLES).index), kind="stable")


def list_rates(frame: Frame, titles: Mapping[str, str]) -> dict[str, Table]:
    """Return a table of each model that was measured, by its title."""
    tables = {}
    for model, title in titles.items():
        if rows := [_show_row(row) for row in sort_by_server(frame, model).itertuples()]:
            tables[title] = [HEAD, *rows]
    return tables


def _show_row(row: Any) -> list[str]:
    spread = f"{show(row.requests_per_s_least)}..{show(row.requests_per_s_most)}"
    rates = [f"{row.connections}", show(row.requests_per_s), spread, show(row.p50_ms), show(row.p99_ms)]
    costs = [f"{row.first_answer_s:.1f}", f"{row.rss_mb:,.0f}", f"{row.pss_mb:,.0f}"]
    return [TITLES[row.server], *rates, *costs]
