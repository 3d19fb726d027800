"""What was asked of training, and whether it holds."""

from collections.abc import Iterator, Sequence

from benchmarks.serving.goals import Goal
from benchmarks.training.augmentation import Augmented
from benchmarks.training.runs import TEXTBOOK
from benchmarks.training.summary import Row

FAST_ACCURACY, FAST_S, FAST_SHARE_OF_TEXTBOOK = 0.99, 4.0, 0.25
CNN_ACCURACY, CNN_S = 0.992, 10.0
TINY_ACCURACY, TINY_WEIGHTS = 0.99, 6000
BEST_ACCURACY, BEST_AIM, BEST_S = 0.9965, 0.998, 15 * 60.0
PEAK_AIM = 0.5
MEMORY_MB = 1500.0
AUGMENTED_RATIO = 2.0


def judge(rows: Sequence[Row], peak_flops_per_s: float, augmented: Augmented | None) -> list[Goal]:
    """Compare what was asked with what was measured; what was not measured is left out.

    Args:
        rows: of the presets and of the textbook script.
        peak_flops_per_s: of the machine.
        augmented: what augmentation costs.
    """
    found = {row.name: row for row in rows}
    return [
        *_judge_fast(found, peak_flops_per_s),
        *_judge_accuracies(found),
        *_judge_best(found),
        *_judge_costs(rows, augmented),
    ]


def show_accuracy(accuracy: float, digits: int = 2) -> str:
    """Write 0.9902 as 99.02 %; of 10,000 images, two digits tell all."""
    return f"{100 * accuracy:.{digits}f} %"


def _judge_fast(rows: dict[str, Row], peak_flops_per_s: float) -> Iterator[Goal]:
    if not (row := rows.get("cnn_fast")):
        return
    reached = row.test_accuracy.median >= FAST_ACCURACY
    share = f"{show_accuracy(row.test_accuracy.median)}; {_count(row, FAST_ACCURACY)}"
    subject = f"cnn_fast, time to {show_accuracy(FAST_ACCURACY, 1)} test accuracy"
    seconds = row.fit_s.median
    yield Goal(subject, f"under {FAST_S:g} s", f"{seconds:.2f} s ({share})", reached and seconds < FAST_S)
    if textbook := rows.get(TEXTBOOK):
        ratio = seconds / textbook.fit_s.median
        yield Goal(
            subject,
            "under a quarter of the textbook's fit",
            f"{ratio:.2f} of {textbook.fit_s.median:.1f} s",
            reached and ratio < FAST_SHARE_OF_TEXTBOOK,
        )
    used = row.flops_per_s.median / peak_flops_per_s
    yield Goal("cnn_fast, share of the cores' float32 peak", "aim: half", f"{used:.0%}", used >= PEAK_AIM)


def _judge_accuracies(rows: dict[str, Row]) -> Iterator[Goal]:
    if row := rows.get("cnn"):
        accuracy, seconds = row.test_accuracy.median, row.fit_s.median
        yield Goal(
            "cnn, test accuracy",
            f"{show_accuracy(CNN_ACCURACY, 1)} in under {CNN_S:g} s",
            f"{show_accuracy(accuracy)} in {seconds:.2f} s ({_count(row, CNN_ACCURACY)})",
            accuracy >= CNN_ACCURACY and seconds < CNN_S,
        )
    if row := rows.get("cnn_tiny"):
        accuracy = row.test_accuracy.median
        yield Goal(
            "cnn_tiny, test accuracy",
            f"{show_accuracy(TINY_ACCURACY, 1)} with under {TINY_WEIGHTS:,} weights",
            f"{show_accuracy(accuracy)} with {row.weights:,} ({_count(row, TINY_ACCURACY)})",
            accuracy >= TINY_ACCURACY and row.weights < TINY_WEIGHTS,
        )


def _judge_best(rows: dict[str, Row]) -> Iterator[Goal]:
    if not (row := rows.get("cnn_best")):
        return
    mean, several = row.mean_accuracy, f"mean of {len(row.runs)}"
    measured = f"{show_accuracy(mean, 3)} ({several})"
    yield Goal("cnn_best, test accuracy", f"{show_accuracy(BEST_ACCURACY)}", measured, mean >= BEST_ACCURACY)
    yield Goal("cnn_best, test accuracy", f"aim: {show_accuracy(BEST_AIM)}", measured, mean >= BEST_AIM)
    slowest = row.fit_s.most
    asked = f"each under {BEST_S / 60:g} min"
    yield Goal("cnn_best, time", asked, f"{slowest / 60:.1f} min, the slowest", slowest < BEST_S)


def _judge_costs(rows: Sequence[Row], augmented: Augmented | None) -> Iterator[Goal]:
    if augmented:
        yield Goal(
            f"{augmented.preset}, an epoch with augmentation",
            f"under {AUGMENTED_RATIO:g} x one without",
            f"{augmented.ratio:.2f} x ({augmented.plain_s:.1f} to {augmented.augmented_s:.1f} s)",
            augmented.ratio < AUGMENTED_RATIO,
        )
    if ours := [row for row in rows if row.name != TEXTBOOK]:
        worst = max(ours, key=lambda row: row.peak_rss_mb.most)
        memory_mb = worst.peak_rss_mb.most
        measured = f"{memory_mb:,.0f} MB at most ({worst.name})"
        yield Goal("memory of training", "under 1.5 GB", measured, memory_mb < MEMORY_MB)


def _count(row: Row, accuracy: float) -> str:
    return f"{row.count_reaching(accuracy)} of {len(row.runs)} seeds"
