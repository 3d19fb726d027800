"""The outcome for people and for programs: tables on the terminal and in Markdown, and a CSV."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.goals import Goal
from benchmarks.tables import Table, align, mark_down
from benchmarks.training.goals import show_accuracy
from benchmarks.training.runs import Run
from benchmarks.training.summary import Row
from modelyard.files import replace_file

CLOCK = (
    "Seconds are those of fitting: making the network, building graphs, all epochs, and after each of them a "
    "preset's validation. Reading the data and importing TensorFlow come before; for the textbook script, "
    "scaling and validation are left out too. Every fit has a process of its own."
)
HEAD = ["network", "seeds", "seconds", "least..most", "test accuracy", "least..most", "weights", "epochs"]
HEAD += ["GFLOP/s", "of peak", "peak RSS MB"]
COLUMNS = ["network", "seed", "fit_s", "import_s", "test_accuracy", "val_accuracy", "epochs", "steps"]
COLUMNS += ["weights", "gflop", "share_of_peak", "peak_rss_mb", "seconds_and_val_accuracy_of_epochs", "about"]


@dataclass(frozen=True)
class Report:
    """A finished run.

    Attributes:
        about: one line: machine, date, versions.
        rows: the textbook script and the presets, in order.
        peak_flops_per_s: of all cores, by a matrix product.
        goals: what was asked of training.
    """

    about: str
    rows: Sequence[Row]
    peak_flops_per_s: float
    goals: Sequence[Goal]

    def tables(self) -> list[tuple[str, Table]]:
        """Return each table with its title; heads come first."""
        found = [
            ("Medians of the seeds", [HEAD, *(self._show_row(row) for row in self.rows)]),
            ("Test accuracy of every seed", _show_seeds(self.rows)),
        ]
        goals = [
            [goal.subject, goal.asked, goal.measured, "yes" if goal.holds else "NO"] for goal in self.goals
        ]
        if goals:
            found.append(("What was asked", [["what", "asked", "measured", "holds"], *goals]))
        return found

    def to_text(self) -> str:
        """Return the tables for a terminal."""
        parts = [self.about]
        parts += ["\n".join([title, *align(table)]) for title, table in self.tables()]
        return "\n\n".join(parts)

    def to_markdown(self, picture: str) -> str:
        """Return the same for a page; `picture` is the name of the file beside it."""
        parts = ["# Training, side by side", self.about, CLOCK, f"![accuracy against seconds]({picture})"]
        parts += ["\n".join([f"## {title}", "", *mark_down(table)]) for title, table in self.tables()]
        return "\n\n".join(parts) + "\n"

    def write_csv(self, path: Path) -> None:
        """Write a line for each run; `about` closes every line."""
        with replace_file(path) as new, new.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(self._flatten(run) for row in self.rows for run in row.runs)

    def _show_row(self, row: Row) -> list[str]:
        seconds, accuracy, rate = row.fit_s, row.test_accuracy, row.flops_per_s.median
        return [
            row.name,
            f"{len(row.runs)}",
            show_seconds(seconds.median),
            f"{show_seconds(seconds.least)}..{show_seconds(seconds.most)}",
            show_accuracy(accuracy.median),
            f"{100 * accuracy.least:.2f}..{100 * accuracy.most:.2f}",
            f"{row.weights:,}",
            f"{len(row.curve)}" if row.curve else "",
            f"{rate / 1e9:,.0f}" if rate >= 1e10 else f"{rate / 1e9:.1f}",
            f"{rate / self.peak_flops_per_s:.0%}",
            f"{row.peak_rss_mb.median:,.0f}",
        ]

    def _flatten(self, run: Run) -> list[str]:
        curve = " ".join(f"{epoch.elapsed_s:.3f}:{epoch.val_accuracy:.4f}" for epoch in run.epochs)
        return [
            run.name,
            "" if run.seed is None else f"{run.seed}",
            f"{run.fit_s:.3f}",
            f"{run.import_s:.3f}",
            f"{run.test_accuracy:.4f}",
            f"{run.val_accuracy:.4f}",
            f"{len(run.epochs)}",
            f"{run.steps}",
            f"{run.weights}",
            f"{run.flops / 1e9:.1f}",
            f"{run.flops_per_s / self.peak_flops_per_s:.4f}",
            f"{run.peak_rss_mb:.1f}",
            curve,
            self.about,
        ]


def show_seconds(seconds: float) -> str:
    """Show three digits that count."""
    return f"{seconds:.2f}" if seconds < 10 else f"{seconds:.1f}" if seconds < 100 else f"{seconds:,.0f}"


def _show_seeds(rows: Sequence[Row]) -> Table:
    """A column a seed, and their mean; a network that was fitted with fewer has empty cells."""
    seeds = sorted({run.seed for row in rows for run in row.runs if run.seed is not None})
    lines = [["network", *(f"seed {seed}" for seed in seeds), "mean"]]
    for row in rows:
        found = {run.seed: show_accuracy(run.test_accuracy) for run in row.runs}
        lines.append(
            [row.name, *(found.get(seed, "") for seed in seeds), show_accuracy(row.mean_accuracy, 3)]
        )
    return lines
