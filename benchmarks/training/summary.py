"""The runs as training.csv has them, and the tables made from it."""

from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.report import Frame, Table, show
from benchmarks.training.runs import Run

HEAD = ["network", "seeds", "seconds", "least..most", "test accuracy", "least..most", "weights", "epochs"]
HEAD += ["GFLOP/s", "of peak", "peak RSS MB"]


def make_frame(runs: Sequence[Run], peak_flops_per_s: float) -> Frame:
    """Return the columns of training.csv without `about`: a row for each run, those of a network together."""
    import pandas as pd  # type: ignore[import-untyped]

    networks = list(dict.fromkeys(run.network for run in runs))
    ordered = sorted(runs, key=lambda run: (networks.index(run.network), run.seed or 0))
    frame = pd.DataFrame([asdict(run) for run in ordered]).astype({"seed": "Int64"})
    share = frame["gflop"] * 1e9 / frame["fit_s"] / peak_flops_per_s
    frame.insert(frame.columns.get_loc("peak_rss_mb"), "share_of_peak", share)
    return frame


def list_medians(frame: Frame) -> dict[str, Table]:
    """Return a table with a line for each network, and its title."""
    lines = [_show_network(name, runs) for name, runs in frame.groupby("network", sort=False)]
    return {"Medians of the seeds": [HEAD, *lines]}


def list_seeds(frame: Frame) -> dict[str, Table]:
    """Return a table with a column for each seed, and its title; networks with fewer have empty cells."""
    seeds = sorted(frame["seed"].dropna().unique())
    table = [["network", *(f"seed {seed}" for seed in seeds), "mean"]]
    for name, runs in frame.groupby("network", sort=False):
        found = dict(zip(runs["seed"], map(show_accuracy, runs["test_accuracy"]), strict=True))
        table.append([name, *(found.get(seed, "") for seed in seeds), show_accuracy(mean_accuracy(runs), 3)])
    return {"Test accuracy of every seed": table}


def mean_accuracy(runs: Frame) -> float:
    """Return the mean test accuracy, 0..1; to nine digits, so that a mean of three can equal a limit."""
    return round(float(runs["test_accuracy"].mean()), 9)


def show_accuracy(accuracy: float, digits: int = 2) -> str:
    """Write 0.9902 as 99.02 %; of 10,000 images, two digits are exact."""
    return f"{100 * accuracy:.{digits}f} %"


def _show_network(name: str, runs: Frame) -> list[str]:
    seconds, percent = runs["fit_s"], 100 * runs["test_accuracy"]
    rate, share = (runs["gflop"] / seconds).median(), runs["share_of_peak"].median()
    times = [show(seconds.median()), f"{show(seconds.min())}..{show(seconds.max())}"]
    accuracies = [f"{percent.median():.2f} %", f"{percent.min():.2f}..{percent.max():.2f}"]
    sizes = [f"{runs['weights'].iloc[0]:,}", f"{runs['epochs'].min() or ''}"]
    speeds = [f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}", f"{share:.0%}"]
    memory = f"{runs['peak_rss_mb'].median():,.0f}"
    return [name, f"{len(runs)}", *times, *accuracies, *sizes, *speeds, memory]
