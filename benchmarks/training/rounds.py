"""Rounds: every network is fitted with one seed, then every network with the next."""

from collections.abc import Callable, Mapping

from benchmarks.serving.machine import measure_others
from benchmarks.training.augmentation import Augmented
from benchmarks.training.goals import show_accuracy
from benchmarks.training.processes import Processes
from benchmarks.training.runs import TEXTBOOK, Run
from modelyard.params import Params
from modelyard.training.augmentation import changes_pictures

BEST = "cnn_best"
SEEDS = 5
# Of those that take minutes.
FEWER_SEEDS = {BEST: 3, "ensemble": 3}
# Of all cores, by other programs.
MOST_OTHERS = 0.1
Tell = Callable[[str], None]


def count_seeds(presets: Mapping[str, Params], asked: int | None) -> dict[str, int]:
    """Return how many seeds each network is fitted with, the textbook's first."""
    return {name: asked or FEWER_SEEDS.get(name, SEEDS) for name in (TEXTBOOK, *presets)}


def fit_all(
    processes: Processes, presets: Mapping[str, Params], seeds: Mapping[str, int], tell: Tell
) -> tuple[list[Run], float]:
    """Fit each network with one seed, then each with the next: what slows the machine down slows all.

    Returns:
        The runs, and the largest share of the cores, 0..1, that other programs used between them.
    """
    runs, others = [], 0.0
    for seed in range(max(seeds.values())):
        others = max(others, _look_for_others(tell))
        for name in (name for name, count in seeds.items() if seed < count):
            run = _fit(processes, name, presets.get(name), seed)
            runs.append(run)
            tell(
                f"{name:9}  seed {seed}  {run.fit_s:8.2f} s  {show_accuracy(run.test_accuracy)}  "
                f"{run.peak_rss_mb:6,.0f} MB"
            )
    return runs, others


def _fit(processes: Processes, name: str, params: Params | None, seed: int) -> Run:
    options = ["--seed", f"{seed}", "--keep", str(processes.probabilities)]
    kept = f"{name}-{seed}"
    if params is None:
        return Run.of_plain(processes.measure("textbook", kept, {"seed": seed}, *options))
    settings = {"seed": seed, **params.model_dump(mode="json", include={"model", "train"})}
    return Run.of_plain(processes.measure("fit", kept, settings, "--preset", name, *options))


def measure_peak(processes: Processes, when: str, tell: Tell) -> float:
    """Measure at both ends of the run: a machine that others slow down for a while has its best once."""
    peak = float(processes.measure("peak", f"peak-{when}", {})["flops_per_s"])
    tell(f"matrix product of float32: {peak / 1e9:,.0f} GFLOP/s")
    return peak


def measure_best_augmentation(
    processes: Processes, presets: Mapping[str, Params], tell: Tell
) -> Augmented | None:
    """Measure what augmentation costs the preset that needs it most; None where it is not there."""
    if BEST not in presets or not changes_pictures(presets[BEST].train.augmentation):
        return None
    settings = presets[BEST].model_dump(mode="json", include={"model", "train"})
    measured = processes.measure("augmentation", f"augmentation-{BEST}", settings, "--preset", BEST)
    augmented = Augmented(**measured)
    tell(f"{BEST}: an epoch takes {augmented.ratio:.2f} x as long with augmentation")
    return augmented


def _look_for_others(tell: Tell) -> float:
    """Measure what else the machine does, and warn of it."""
    share = measure_others()
    if share > MOST_OTHERS:
        tell(f"warning: other programs use {share:.0%} of the cores, these figures will be too low")
    return share
