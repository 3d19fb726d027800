"""Measurements in fresh processes: started, read, and kept, so that an interrupted run can continue."""

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
from benchmarks.command import read_end
from modelyard.errors import ModelyardError
from modelyard.files import write_json

PACKAGES = ("tensorflow", "keras", "numpy")
PARTS = ("train", "validation", "test")
# What every measurement depends on.
CODE = (
    *sorted(Path(modelyard.training.__file__).parent.rglob("*.py")),
    *(Path(__file__).with_name(f"{name}.py") for name in ("fit", "flops", "outcome", "peak")),
)


@dataclass
class Processes:
    """Starts the process of each measurement, and keeps what it prints in `scratch`.

    With `resume`, what an earlier start kept is used again, where settings, code, data and packages are the
    same; `reused` counts these.
    """

    scratch: Path
    data: Path
    resume: bool
    reused: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Look for the data, and digest what all measurements depend on."""
        parts = [self.data / f"{part}.npz" for part in PARTS]
        if missing := [part for part in parts if not part.is_file()]:
            raise ModelyardError(f"{missing[0]} is missing: `make repro` makes it")
        self._sources = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (*parts, *CODE)]
        self._sources += [importlib.metadata.version(name) for name in PACKAGES]

    def measure(self, module: str, name: str, settings: Mapping[str, Any], *options: str) -> Any:
        """Run `python -m benchmarks.training.MODULE OPTIONS`; keep its JSON as `name`, and return it.

        `settings` is what the result depends on, beside code, data and packages.
        """
        kept, log = self.scratch / f"{name}.json", self.scratch / "logs" / f"{name}.log"
        identity = hashlib.sha256(json.dumps([settings, self._sources]).encode()).hexdigest()
        if self.resume and kept.is_file():
            earlier = json.loads(kept.read_text())
            if earlier["identity"] == identity:
                self.reused += 1
                return earlier["measured"]
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", f"{__package__}.{module}", *options]
        with log.open("w") as file:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=file, text=True, check=False)
        if done.returncode:
            raise ModelyardError(f"{' '.join(command[1:])} failed; {read_end(log)}")
        measured = json.loads(done.stdout)
        write_json(kept, {"identity": identity, "measured": measured})
        return measured
