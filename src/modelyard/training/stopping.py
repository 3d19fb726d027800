"""Early stopping: which epoch's weights a network keeps, and when its training ends."""

from collections.abc import Mapping, Sequence

from modelyard.params import EarlyStopping


def find_best(history: Sequence[Mapping[str, float]], stopping: EarlyStopping) -> int | None:
    """Return the best epoch, from 0, by its `val_accuracy`; None if a training does not stop early.

    A later epoch has to be better by more than `stopping.min_improvement`.
    """
    if stopping.patience is None or not history:
        return None
    best = 0
    for epoch, row in enumerate(history):
        if row["val_accuracy"] > history[best]["val_accuracy"] + stopping.min_improvement:
            best = epoch
    return best


def should_stop(history: Sequence[Mapping[str, float]], stopping: EarlyStopping) -> bool:
    """Return whether validation accuracy has not improved for `patience` epochs."""
    best = find_best(history, stopping)
    return best is not None and stopping.patience is not None and len(history) - 1 - best >= stopping.patience
