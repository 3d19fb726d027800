"""Rounds: every network is fitted with one seed, then every network with the next."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.command import Tell, measure_other_programs
from benchmarks.training.processes import Processes
from benchmarks.training.runs import TEXTBOOK, Run, read_epochs
from benchmarks.training.summary import show_accuracy
from modelyard.params import Augmentation, Params

BEST, SEEDS = "cnn_best", 5
# Of those that take minutes.
FEWER_SEEDS = {BEST: 3, "ensemble": 3}
# Three epochs, in which a step takes as long as in the whole fit.
SHORT = ["train.epochs=3", "train.schedule.name=constant", "train.schedule.warmup=0.0"]
SHORT += ["train.early_stopping.patience=null", "model.members=1"]
UNCHANGED = [f"train.augmentation.{amount}=0.0" for amount in Augmentation.model_fields]


def count_seeds(presets: Iterable[str], asked: int | None) -> dict[str, int]:
    """Return how many seeds each network is fitted with, the textbook's first."""
    return {name: asked or FEWER_SEEDS.get(name, SEEDS) for name in (TEXTBOOK, *presets)}


@dataclass(frozen=True)
class Rounds:
    """The measurements of one run; `probabilities` is a folder for what the networks answer."""

    processes: Processes
    presets: Mapping[str, Params]
    probabilities: Path
    tell: Tell

    def fit_all(self, seeds: Mapping[str, int]) -> tuple[list[Run], float]:
        """Fit each network with one seed, then each with the next, so that a slow phase affects all of them.

        Returns the runs, and the largest share of the cores, 0..1, that other programs used between them.
        """
        runs, others = [], 0.0
        for seed in range(max(seeds.values())):
            others = max(others, measure_other_programs(self.tell))
            for name in (name for name, number in seeds.items() if seed < number):
                run = self._fit(name, f"{name}-{seed}", seed, "--keep", str(self.probabilities))
                accuracy = show_accuracy(run.test_accuracy)
                self.tell(
                    f"{name:9}  seed {seed}  {run.fit_s:8.2f} s  {accuracy}  {run.peak_rss_mb:6,.0f} MB"
                )
                runs.append(run)
        return runs, others

    def measure_peak(self, when: str) -> float:
        """Return the fastest matrix product in FLOP/s; other programs may disturb one measurement of two."""
        peak = float(self.processes.measure("peak", f"peak-{when}", {}))
        self.tell(f"float32 matrix product: {peak / 1e9:,.0f} GFLOP/s")
        return peak

    def measure_augmentation(self) -> tuple[float, float] | None:
        """Return seconds of an epoch of `BEST`, without augmentation and with it; None if it is left out."""
        if BEST not in self.presets or not self.presets[BEST].train.augmentation.changes_pictures:
            return None
        plain_s, augmented_s = self._time_epoch("plain", *UNCHANGED), self._time_epoch("augmented")
        self.tell(f"{BEST}: an epoch takes {augmented_s / plain_s:.2f} x as long with augmentation")
        return plain_s, augmented_s

    def _time_epoch(self, name: str, *changes: str) -> float:
        """Return the seconds of the faster of two epochs after a first, validation included."""
        run = self._fit(BEST, f"{BEST}-epoch-{name}", 0, "--set", *SHORT, *changes)
        return float(np.diff(read_epochs(run.seconds_and_val_accuracy_of_epochs)[:, 0]).min())

    def _fit(self, name: str, kept: str, seed: int, *options: str) -> Run:
        command = ("--preset", name, "--seed", f"{seed}", "--data", str(self.processes.data), *options)
        settings: dict[str, object] = {"options": command}
        if name in self.presets:
            settings |= self.presets[name].model_dump(mode="json", include={"model", "train"})
        return Run(**self.processes.measure("fit", kept, settings, *command))
