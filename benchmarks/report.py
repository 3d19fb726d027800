"""The outcome of a run: tables on the terminal and in Markdown, a CSV, and a picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.files import replace_file

# A pandas DataFrame; pandas has no types, and is imported only where a frame is made.
Frame = Any
# The first line is the head.
Table = list[list[str]]


@dataclass(frozen=True)
class Goal:
    """What should hold, and what was measured."""

    subject: str
    asked: str
    measured: str
    holds: bool


@dataclass(frozen=True)
class Report:
    """A finished run.

    Attributes:
        name: of its files, without their suffixes.
        about: one line: machine, date, versions.
        tables: by their titles.
        frame: the content of the CSV, except `about`, which ends each of its lines.
        plot: draws the picture, as a PNG at the path it gets; None where tables say it all.
        note: a paragraph for the page, or "".
    """

    name: str
    title: str
    about: str
    tables: Mapping[str, Table]
    frame: Frame
    plot: Callable[[Path], None] | None = None
    note: str = ""

    def to_text(self) -> str:
        """Return the tables for a terminal."""
        tables = ["\n".join([title, *align(table)]) for title, table in self.tables.items()]
        return "\n\n".join([self.about, *tables])

    def to_markdown(self) -> str:
        """Return the page, which shows the picture beside it, if there is one."""
        tables = ["\n".join([f"## {title}", "", *mark_down(table)]) for title, table in self.tables.items()]
        picture = f"![{self.title}]({self.name}.png)" if self.plot else ""
        head = [part for part in (f"# {self.title}", self.about, self.note, picture) if part]
        return "\n\n".join([*head, *tables]) + "\n"

    def write(self, folder: Path) -> None:
        """Write the CSV, the picture and the page."""
        with replace_file(folder / f"{self.name}.csv") as new:
            frame = self.frame.assign(about=self.about)
            frame.to_csv(new, index=False, float_format="%.4f", lineterminator="\n")
        if self.plot:
            self.plot(folder / f"{self.name}.png")
        (folder / f"{self.name}.md").write_text(self.to_markdown())


def list_goals(goals: Sequence[Goal]) -> dict[str, Table]:
    """Return the table of goals with its title, or nothing where there are none."""
    lines = [[goal.subject, goal.asked, goal.measured, "yes" if goal.holds else "NO"] for goal in goals]
    return {"Goals": [["what", "goal", "measured", "met"], *lines]} if lines else {}


def align(table: Table) -> list[str]:
    """Align the columns of a table: numbers and their heads to the right, words to the left."""
    columns = []
    for head, *cells in zip(*table, strict=True):
        width = max(map(len, [head, *cells]))
        right = all(not cell or cell[0].isdigit() for cell in cells)
        columns.append([cell.rjust(width) if right else cell.ljust(width) for cell in (head, *cells)])
    return ["  " + "  ".join(line).rstrip() for line in zip(*columns, strict=True)]


def mark_down(table: Table) -> list[str]:
    """Return a table's lines in Markdown, all columns but the first aligned to the right."""
    head, *lines = [f"| {' | '.join(line)} |" for line in table]
    return [head, "|---|" + "---:|" * (len(table[0]) - 1), *lines]


def show(value: float) -> str:
    """Write a number with three significant digits, or whole from 100."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"
