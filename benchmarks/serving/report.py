"""The outcome for people and for programs: tables on the terminal and in Markdown, and a CSV."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from benchmarks.serving.goals import Goal
from benchmarks.serving.measurements import Row, Spread
from benchmarks.serving.servers import TITLES
from benchmarks.tables import Table, align, mark_down
from modelyard.files import replace_file


@dataclass(frozen=True)
class Report:
    """A finished run.

    Attributes:
        about: one line: machine, date, versions.
        titles: of the models, by their keys.
        rows: medians.
        goals: what was asked of the doors.
    """

    about: str
    titles: dict[str, str]
    rows: Sequence[Row]
    goals: Sequence[Goal]

    def tables(self) -> list[tuple[str, Table]]:
        """Return a title and a table for each model, and one for what was asked; heads come first."""
        found = []
        for model, title in self.titles.items():
            rows = sorted((row for row in self.rows if row.model == model), key=_place)
            if rows:
                found.append((title, [list(_HEAD), *(_show_row(row) for row in rows)]))
        goals = [
            [goal.subject, goal.asked, goal.measured, "yes" if goal.holds else "NO"] for goal in self.goals
        ]
        if goals:
            found.append(("What was asked of the doors", [["what", "asked", "measured", "holds"], *goals]))
        return found

    def to_text(self) -> str:
        """Return the tables for a terminal."""
        parts = [self.about]
        for title, table in self.tables():
            parts.append("\n".join([title, *align(table)]))
        return "\n\n".join(parts)

    def to_markdown(self, picture: str) -> str:
        """Return the same for a page; `picture` is the name of the file beside it."""
        parts = ["# Serving, side by side", self.about, f"![requests a second and latency]({picture})"]
        for title, table in self.tables():
            parts.append("\n".join([f"## {title}", "", *mark_down(table)]))
        return "\n\n".join(parts) + "\n"

    def write_csv(self, path: Path) -> None:
        """Write the rows; each spread has its median, its least and its most; `about` closes every line."""
        with replace_file(path) as new, new.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            lines = [_flatten(row) for row in self.rows]
            if lines:
                writer.writerow([*lines[0], "about"])
            writer.writerows([*line.values(), self.about] for line in lines)


_HEAD = (
    "server",
    "conn.",
    "requests/s",
    "least..most",
    "p50 ms",
    "p99 ms",
    "first answer s",
    "RSS MB",
    "PSS MB",
)


def _place(row: Row) -> tuple[int, int]:
    return list(TITLES).index(row.server), row.connections


def _show_row(row: Row) -> list[str]:
    rate = row.requests_per_s
    numbers = [f"{row.connections}", show(rate.median), f"{show(rate.least)}..{show(rate.most)}"]
    numbers += [show(spread.median) for spread in (row.p50_ms, row.p99_ms)]
    numbers += [f"{row.first_answer_s.median:.1f}", f"{row.rss_mb.median:,.0f}", f"{row.pss_mb.median:,.0f}"]
    return [TITLES[row.server], *numbers]


def show(value: float) -> str:
    """Show three digits that count."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _flatten(row: Row) -> dict[str, str]:
    flat: dict[str, str] = {}
    for one in fields(row):
        value = getattr(row, one.name)
        if isinstance(value, Spread):
            flat[one.name] = f"{value.median:.3f}"
            flat[f"{one.name}_least"] = f"{value.least:.3f}"
            flat[f"{one.name}_most"] = f"{value.most:.3f}"
        else:
            flat[one.name] = str(value)
    return flat
