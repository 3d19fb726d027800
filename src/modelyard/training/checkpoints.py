"""Checkpoints: what a training needs to go on after a kill as if nothing had happened.

One folder an epoch, renamed into place whole. Its `network.keras` is a file that `train.resume_from` takes.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.files import replace_file, replace_folder

if TYPE_CHECKING:
    import keras

Metrics = dict[str, float]
Weights = list[NDArray[np.float32]]
_NETWORK, _PROGRESS, _BEST, _RUN = "network.keras", "progress.json", "best.npz", "run.json"


@dataclass
class Progress:
    """How far the fit of one network has come.

    Attributes:
        history: a row of metrics for each finished epoch.
        best_epoch: the one that validated best, counted from 0; None where nobody asks.
        best: its weights.
    """

    history: list[Metrics] = field(default_factory=list)
    best_epoch: int | None = None
    best: Weights | None = None


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training in a folder.

    A folder holds one training at a time: what another one left there is not read, and goes when this one
    writes its first.

    Attributes:
        folder: made when it is needed.
        identity: a digest of all that decides the outcome: parameters, data, layers.
        writes: whether `write` does anything: of several workers, one alone writes, and all read.
    """

    folder: Path
    identity: str
    writes: bool = True

    def read_run(self) -> str | None:
        """Return the id of the run that this training has begun, if any."""
        record = self._read_record()
        return None if record is None else str(record["run_id"])

    def begin(self, run_id: str) -> None:
        """Note the training's run; what another training has left is removed."""
        if self._read_record() is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        with replace_file(self.folder / _RUN) as new:
            new.write_text(json.dumps({"identity": self.identity, "run_id": run_id}))

    def write(self, member: int, network: "keras.Model", progress: Progress) -> None:
        """Keep a network after an epoch; the checkpoint before it is removed once this one is whole."""
        if not self.writes:
            return
        final = self.folder / f"member-{member}-epoch-{len(progress.history)}"
        with replace_folder(final) as new:
            network.save(new / _NETWORK)
            if progress.best is not None:
                np.savez(new / _BEST, *progress.best)
            about = {"history": progress.history, "best_epoch": progress.best_epoch}
            (new / _PROGRESS).write_text(json.dumps(about))
        for older in self.folder.glob(f"member-{member}-epoch-*"):
            if older != final:
                shutil.rmtree(older)

    def read(self, member: int) -> tuple[Path, Progress] | None:
        """Return the network's file and the progress of the last checkpoint, if this training has one.

        Raises:
            ModelyardError: it cannot be read.
        """
        if self._read_record() is None:
            return None
        found = list(self.folder.glob(f"member-{member}-epoch-*"))
        if not found:
            return None
        last = max(found, key=lambda path: int(path.name.rpartition("-")[2]))
        try:
            about = json.loads((last / _PROGRESS).read_text())
            progress = Progress(about["history"], about["best_epoch"], _read_best(last / _BEST))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelyardError(f"{last} is no whole checkpoint ({error}): remove {self.folder}") from error
        return last / _NETWORK, progress

    def clear(self) -> None:
        """Remove everything: the training is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read_record(self) -> dict[str, str] | None:
        """Return the record of this very training, None for another one's."""
        try:
            record: dict[str, str] = json.loads((self.folder / _RUN).read_text())
        except (OSError, ValueError):
            return None
        return record if record.get("identity") == self.identity else None


def _read_best(path: Path) -> Weights | None:
    if not path.exists():
        return None
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return [arrays[name] for name in arrays.files]
