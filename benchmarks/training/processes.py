"""Measurements in fresh processes: started, read, and kept, so that an interrupted run can go on."""

import hashlib
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import modelyard.training
from modelyard.errors import ModelyardError
from modelyard.files import write_json

PACKAGES = ("tensorflow", "keras", "numpy")
PARTS = ("train", "validation", "test")
# What every measurement follows from; each has a module of its own beside.
CODE = (
    *Path(modelyard.training.__file__).parent.rglob("*.py"),
    *(Path(__file__).with_name(f"{name}.py") for name in ("outcome", "flops")),
)


@dataclass
class Processes:
    """Starts each measurement's process and keeps what it prints.

    Args:
        scratch: a folder for results, logs and probabilities.
        data: the folder with the pictures.
        resume: take what an earlier start has kept, where settings, code, data and packages are the same.

    Attributes:
        reused: how many measurements were taken from an earlier start.
    """

    scratch: Path
    data: Path
    resume: bool
    reused: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Look at the data, once.

        Raises:
            ModelyardError: a part of it is missing.
        """
        self._common = digest_common(self.data)

    @property
    def probabilities(self) -> Path:
        """The folder for what the networks answered."""
        return self.scratch / "probabilities"

    def measure(self, module: str, name: str, settings: Mapping[str, Any], *options: str) -> dict[str, Any]:
        """Run `python -m benchmarks.training.MODULE OPTIONS` and return the JSON it prints.

        Args:
            module: whose process to start.
            name: to keep the result under.
            settings: what the result depends on, beside code, data and packages.
            options: of the command line.

        Raises:
            ModelyardError: the process fails; the end of what it told is in the message.
        """
        kept = self.scratch / f"{name}.json"
        own = Path(__file__).with_name(f"{module}.py").read_text()
        text = json.dumps(settings, sort_keys=True) + self._common + own
        identity = hashlib.sha256(text.encode()).hexdigest()
        if self.resume and (measured := read_kept(kept, identity)) is not None:
            self.reused += 1
            return measured
        log = self.scratch / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", f"{__package__}.{module}", *options, "--data", str(self.data)]
        with log.open("w") as file:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=file, text=True, check=False)
        if done.returncode:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise ModelyardError(f"{' '.join(command[1:])} failed; the end of {log}:\n{tail}")
        result: dict[str, Any] = json.loads(done.stdout)
        write_json(kept, {"identity": identity, "measured": result})
        return result


def read_kept(path: Path, identity: str) -> dict[str, Any] | None:
    """Return what was kept at `path`, None where it is missing, or was measured of something else."""
    try:
        kept = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    measured: dict[str, Any] = kept["measured"]
    return measured if kept["identity"] == identity else None


def digest_common(data: Path) -> str:
    """Return a digest of what every measurement depends on: the data, the code that trains, the packages.

    Raises:
        ModelyardError: a part of the data is missing.
    """
    digest = hashlib.sha256()
    for part in PARTS:
        path = data / f"{part}.npz"
        if not path.is_file():
            raise ModelyardError(f"{path} is missing: `make repro` makes it")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    for path in sorted(CODE):
        digest.update(path.read_bytes())
    digest.update(repr([importlib.metadata.version(name) for name in PACKAGES]).encode())
    return digest.hexdigest()
