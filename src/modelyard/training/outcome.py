"""The outcome of a training as files: the network and its history."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.files import replace_file
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
    """Write a CSV file with one line per epoch, counted from 1."""
    with replace_file(path) as new, new.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", *history[0]])
        writer.writeheader()
        writer.writerows({"epoch": epoch, **row} for epoch, row in enumerate(history, 1))
