"""What training should reach, and whether it does."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.report import Frame, Goal
from benchmarks.training.rounds import BEST
from benchmarks.training.runs import TEXTBOOK
from benchmarks.training.summary import mean_accuracy, show_accuracy

FAST_ACCURACY, FAST_S, FAST_SHARE_OF_TEXTBOOK, FAST_SHARE_OF_PEAK = 0.99, 4.0, 0.25, 0.5
CNN_ACCURACY, CNN_S = 0.992, 10.0
TINY_ACCURACY, TINY_WEIGHTS = 0.99, 6000
BEST_ACCURACY, BEST_AIM, BEST_S = 0.9965, 0.998, 15 * 60.0
MEMORY_MB, AUGMENTED_RATIO = 1500.0, 2.0


def judge(frame: Frame, augmented: tuple[float, float] | None) -> list[Goal]:
    """Compare the goals with the runs of `make_frame`, and an epoch of `BEST` with an augmented one.

    What was not measured is left out.
    """
    found = dict(list(frame.groupby("network", sort=False)))
    presets = frame[frame["network"] != TEXTBOOK]
    return [*_judge_fast(found), *_judge_others(found), *_judge_costs(presets, augmented)]


def _judge_fast(found: Mapping[str, Frame]) -> Iterator[Goal]:
    if (runs := found.get("cnn_fast")) is None:
        return
    accuracy, seconds = runs["test_accuracy"].median(), runs["fit_s"].median()
    reached = accuracy >= FAST_ACCURACY
    subject = f"cnn_fast, time to {show_accuracy(FAST_ACCURACY, 1)} test accuracy"
    measured = f"{seconds:.2f} s ({show_accuracy(accuracy)}; {_count_seeds(runs, FAST_ACCURACY)})"
    yield Goal(subject, f"under {FAST_S:g} s", measured, reached and seconds < FAST_S)
    if (textbook := found.get(TEXTBOOK)) is not None:
        textbook_s = textbook["fit_s"].median()
        measured, limit_s = (
            f"{seconds / textbook_s:.2f} of {textbook_s:.1f} s",
            FAST_SHARE_OF_TEXTBOOK * textbook_s,
        )
        yield Goal(subject, "under a quarter of the textbook's fit", measured, reached and seconds < limit_s)
    share, subject = runs["share_of_peak"].median(), "cnn_fast, share of the cores' float32 peak"
    yield Goal(subject, "aim: half", f"{share:.0%}", share >= FAST_SHARE_OF_PEAK)


def _judge_others(found: Mapping[str, Frame]) -> Iterator[Goal]:
    if (runs := found.get("cnn")) is not None:
        accuracy, seconds = runs["test_accuracy"].median(), runs["fit_s"].median()
        asked = f"{show_accuracy(CNN_ACCURACY, 1)} in under {CNN_S:g} s"
        measured = f"{show_accuracy(accuracy)} in {seconds:.2f} s ({_count_seeds(runs, CNN_ACCURACY)})"
        holds = accuracy >= CNN_ACCURACY and seconds < CNN_S
        yield Goal("cnn, test accuracy", asked, measured, holds)
    if (runs := found.get("cnn_tiny")) is not None:
        accuracy, weights = runs["test_accuracy"].median(), runs["weights"].iloc[0]
        asked = f"{show_accuracy(TINY_ACCURACY, 1)} with under {TINY_WEIGHTS:,} weights"
        measured = f"{show_accuracy(accuracy)} with {weights:,} ({_count_seeds(runs, TINY_ACCURACY)})"
        holds = accuracy >= TINY_ACCURACY and weights < TINY_WEIGHTS
        yield Goal("cnn_tiny, test accuracy", asked, measured, holds)
    if (runs := found.get(BEST)) is not None:
        mean, slowest_s = mean_accuracy(runs), runs["fit_s"].max()
        subject, measured = f"{BEST}, test accuracy", f"{show_accuracy(mean, 3)} (mean of {len(runs)})"
        yield Goal(subject, show_accuracy(BEST_ACCURACY), measured, mean >= BEST_ACCURACY)
        yield Goal(subject, f"aim: {show_accuracy(BEST_AIM)}", measured, mean >= BEST_AIM)
        asked, measured = f"each under {BEST_S / 60:g} min", f"{slowest_s / 60:.1f} min, the slowest"
        yield Goal(f"{BEST}, time", asked, measured, slowest_s < BEST_S)


def _judge_costs(presets: Frame, augmented: tuple[float, float] | None) -> Iterator[Goal]:
    if augmented:
        plain_s, augmented_s = augmented
        asked = f"under {AUGMENTED_RATIO:g} x one without"
        measured = f"{augmented_s / plain_s:.2f} x ({plain_s:.1f} to {augmented_s:.1f} s)"
        holds = augmented_s < AUGMENTED_RATIO * plain_s
        yield Goal(f"{BEST}, an epoch with augmentation", asked, measured, holds)
    if len(presets):
        worst: Any = presets.loc[presets["peak_rss_mb"].idxmax()]
        measured = f"{worst['peak_rss_mb']:,.0f} MB at most ({worst['network']})"
        yield Goal("memory of training", "under 1.5 GB", measured, worst["peak_rss_mb"] < MEMORY_MB)


def _count_seeds(runs: Frame, accuracy: float) -> str:
    return f"{(runs['test_accuracy'] >= accuracy).sum()} of {len(runs)} seeds"
