"""The outcome of a training as files: the network and its history."""

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.files import replace_file, write_csv
from modelyard.training.checkpoints import Metrics

if TYPE_CHECKING:
    import keras


def save_network(network: "keras.Model", path: Path) -> None:
    """Write the network with its optimizer's state, as a `.keras` file."""
    with replace_file(path.with_suffix(".keras")) as new:
        whole = new.with_suffix(".keras")
        network.save(whole)
        whole.replace(new)


def write_history(path: Path, history: list[Metrics]) -> None:
    """Write a CSV file with one line per epoch, counted from 1; what an epoch lacks is left empty."""
    names = list(dict.fromkeys(name for row in history for name in row))
    rows = ((epoch, *(row.get(name, "") for name in names)) for epoch, row in enumerate(history, 1))
    write_csv(path, ("epoch", *names), rows)
