"""Checkpoints: what a training needs to continue after being killed, with the same result.

Each epoch has a folder, which is renamed into place when it is complete. `train.resume_from` takes the
`network.keras` in it.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.files import replace_folder, write_json

if TYPE_CHECKING:
    import keras

Metrics = dict[str, float]
_NETWORK, _PROGRESS, _BEST, _RUN = "network.keras", "progress.json", "best.npz", "run.json"


@dataclass
class Progress:
    """The metrics of each finished epoch of a fit, and the best epoch's weights if it may stop early."""

    history: list[Metrics] = field(default_factory=list)
    best: list[NDArray[np.float32]] | None = None


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training; `begin` removes those of any other training in the folder.

    `identity` is a digest of everything that decides the result: parameters, data, layers. Only the chief of
    several workers `writes`.
    """

    folder: Path
    identity: str
    writes: bool = True

    def read_run(self) -> str | None:
        """Return the id of the MLflow run that this training has begun, if any."""
        try:
            record: dict[str, str] = json.loads((self.folder / _RUN).read_text())
        except (OSError, ValueError):
            return None
        return record["run_id"] if record.get("identity") == self.identity else None

    def begin(self, run_id: str) -> None:
        """Record the run of this training."""
        if self.read_run() is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / _RUN, {"identity": self.identity, "run_id": run_id})

    def write(self, member: int, network: "keras.Model", progress: Progress) -> None:
        """Write a checkpoint, then remove the one before it."""
        if not self.writes:
            return
        final = self.folder / f"member-{member}-epoch-{len(progress.history)}"
        with replace_folder(final) as new:
            network.save(new / _NETWORK)
            if progress.best is not None:
                np.savez(new / _BEST, *progress.best)
            (new / _PROGRESS).write_text(json.dumps({"history": progress.history}))
        for older in self.folder.glob(f"member-{member}-epoch-*"):
            if older != final:
                shutil.rmtree(older)

    def read(self, member: int) -> tuple[Path, Progress] | None:
        """Return network file and progress of the last checkpoint; raises ModelyardError if it is damaged."""
        found = list(self.folder.glob(f"member-{member}-epoch-*"))
        if self.read_run() is None or not found:
            return None
        last = max(found, key=lambda path: int(path.name.rpartition("-")[2]))
        try:
            progress = Progress(json.loads((last / _PROGRESS).read_text())["history"])
            if (last / _BEST).exists():
                with np.load(last / _BEST, allow_pickle=False) as arrays:
                    progress.best = list(arrays.values())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelyardError(f"{last} is a damaged checkpoint ({error}): remove {self.folder}") from error
        return last / _NETWORK, progress

    def clear(self) -> None:
        """Remove all checkpoints: the training is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)
