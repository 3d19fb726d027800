"""The experiments of the last commits as one table, the fewest errors first: `make experiments`.

DVC is asked for all it knows, as JSON; its own table has a column for every parameter and every digest.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.failures import shorten
from modelyard.inference.plain_text import escape
from modelyard.metrics import find_metric
from modelyard.registry.parameter_words import show_setting
from modelyard.stages.experiments import compare_values

# Each column's heading, and the metric that it shows.
COLUMNS = {
    "errors": ("test", "errors"),
    "accuracy": ("test", "accuracy"),
    "corrupted": ("robustness", "mean_accuracy"),
    "time": ("latency", "p50_ms"),
    "size": ("size_bytes",),
}
METRICS, PARAMS = "reports/trained.json", "params.yaml"
# What an experiment is told by, in this order; a card's words are not.
TOLD = ("data.name", "model.name", "train.", "model.")
WIDEST = 158


@dataclass(frozen=True)
class Experiment:
    """An experiment, a commit, or the files as they are now."""

    name: str
    commit: str  # it started from
    state: str  # "" once it has ended well
    metrics: Mapping[str, Any]  # of its first precision, nested
    choices: tuple[str, ...]  # what differs from its commit
    tried: bool  # by `dvc exp run`; else it is a commit, or the files as they are now

    @property
    def errors(self) -> float:
        """How many test pictures it gets wrong; infinite where that is not known."""
        return float(self.metrics.get("test", {}).get("errors", float("inf")))


def main() -> int:
    """Print the table, or a line that says how to make an experiment."""
    parser = argparse.ArgumentParser(prog="make experiments", description=__doc__)
    parser.add_argument("--commits", type=int, default=1, help="how many to look back (default: %(default)s)")
    commits = parser.parse_args().commits
    if sys.stderr.isatty():
        print("asking DVC ...", end="\r", file=sys.stderr, flush=True)
    try:
        found = list(read_experiments(ask_dvc(commits)))
    except ModelyardError as error:
        sys.exit(f"experiments: {error}")
    print("\n".join(draw_table(found, min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST))))
    return 0


def ask_dvc(commits: int) -> Any:
    """Return what `dvc exp show --json` tells of the last commits; raises ModelyardError with its reason."""
    command = [sys.executable, "-m", "dvc", "exp", "show", "--json", "--num", str(commits)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ModelyardError(f"`dvc exp show` failed: {shorten(reason)}")
    return json.loads(done.stdout)


def read_experiments(told: Sequence[Mapping[str, Any]]) -> Iterator[Experiment]:
    """Yield the files as they are now, then each commit and what was tried from it."""
    # The first entry is the workspace, the second HEAD.
    head = told[1] if len(told) > 1 else told[0]
    for entry in told:
        now = entry["rev"] == "workspace"
        base = head if now else entry
        commit = base["rev"][:7]
        yield _read(entry, "these files" if now else entry.get("name") or commit, base)
        for group in entry.get("experiments") or ():
            run = group["revs"][0]
            state = (group.get("executor") or {}).get("state") or "success"
            yield _read(run, group.get("name") or run["rev"][:7], base, state.lower())


def _read(
    entry: Mapping[str, Any], name: str, base: Mapping[str, Any], state: str | None = None
) -> Experiment:
    reports = _content(entry, "metrics", METRICS)
    differences = compare_values(_content(base, "params", PARAMS), _content(entry, "params", PARAMS))
    placed = sorted((place, key) for key in differences if (place := _place(key)) is not None)
    return Experiment(
        name,
        commit=base["rev"][:7],
        state="failed" if entry.get("error") else "" if state in (None, "success") else state,
        metrics=next(iter(reports.values()), {}),
        choices=tuple(_tell(key, differences[key].get("here")) for _, key in placed),
        tried=state is not None,
    )


def _place(key: str) -> int | None:
    return next((place for place, told in enumerate(TOLD) if key.startswith(told)), None)


def _tell(key: str, value: Any) -> str:
    return f"{key.removeprefix('train.')}={show_setting(str(value))}"


def _content(entry: Mapping[str, Any], kind: str, file: str) -> dict[str, Any]:
    """Return a file's values, none if it is missing or could not be read."""
    return (((entry.get("data") or {}).get(kind) or {}).get(file) or {}).get("data") or {}


def draw_table(found: Sequence[Experiment], width: int) -> list[str]:
    """Return the lines of a table, at most `width` wide, or one line where there is no experiment."""
    if not any(one.tried for one in found):
        commits = list(dict.fromkeys(one.commit for one in found))
        since = commits[0] if len(commits) == 1 else f"the last {len(commits)} commits"
        return [
            f"no experiments from {since} yet: `dvc exp run -S model=mlp` makes one, "
            "`make experiments COMMITS=10` looks further back"
        ]
    rows = [("experiment", "from", *COLUMNS, "different from there")]
    rows += [
        (one.name, one.commit, *_cells(one), ", ".join(one.choices) or "nothing")
        for one in sorted(found, key=lambda one: one.errors)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return [_lay_out(row, widths, width) for row in rows] + [
        "",
        "`dvc exp apply NAME` keeps one of them; `dvc exp show` tells all values",
    ]


def _cells(one: Experiment) -> Iterator[str]:
    for place, path in enumerate(COLUMNS.values()):
        value: Any = one.metrics
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        shown = "" if value is None else find_metric("/".join(path)).show(value)
        yield one.state if one.state and place == 0 else shown


def _lay_out(row: Sequence[str], widths: Sequence[int], most: int) -> str:
    names = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(row[2:-1], widths[2:], strict=True)]
    line = escape("  ".join([*names, *numbers, row[-1]]))
    return line if len(line) <= most else line[: most - 4] + " ..."


if __name__ == "__main__":
    sys.exit(main())
