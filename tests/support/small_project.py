"""The repository as it stands, copied, with data and an archive so small that all stages run in a minute."""

import gzip
import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from conftest import ROOT, clean_environment
from legacy_archive import make_archive
from modelyard.images.idx.idx import idx_bytes

TRAINING, TEST = 1200, 500
FILES = {"data": "mnist.yaml", "pretrained": "inception_v3.yaml"}


class Checkout:
    """A Git and DVC repository in a folder."""

    def __init__(self, folder: Path) -> None:
        self.environment = clean_environment()
        self.folder = folder

    def run(self, *command: str, expect: int = 0, **environment: str) -> str:
        """Run a command in the project, check its exit code, and return what it said."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == expect, done.stdout
        return done.stdout

    def commit(self, message: str) -> None:
        """Commit everything that Git does not ignore."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", message)

    def clone(self, folder: Path) -> "Checkout":
        """Clone it: what Git has, nothing that DVC or MLflow keeps."""
        self.run("git", "clone", "-q", ".", str(folder))
        clone = Checkout(folder)
        clone.environment = self.environment
        return clone


class Project(Checkout):
    """One in a path with a space, its configuration pointing at small local files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "a small project")
        _copy_repository(self.folder)
        for name in ("dvc.lock", "params.yaml"):
            (self.folder / name).unlink(missing_ok=True)
        files = folder / "files"
        files.mkdir()
        overrides = make_archive(files / "inception.tgz") | _write_digits(files / "digits")
        set_values(self.folder / "conf", overrides)
        self.run("git", "init", "-q")
        self.commit("a small project")


def _copy_repository(folder: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)


def _write_digits(folder: Path) -> dict[str, Any]:
    """Write MNIST's four files with scikit-learn's digits, and return the parameters that point at them."""
    from sklearn.datasets import load_digits

    scanned = load_digits()
    images = np.stack([_enlarge(image) for image in scanned.images])
    labels = scanned.target.astype(np.uint8)
    contents = {
        "train-images-idx3-ubyte": idx_bytes(images[:TRAINING]),
        "train-labels-idx1-ubyte": idx_bytes(labels[:TRAINING]),
        "t10k-images-idx3-ubyte": idx_bytes(images[TRAINING : TRAINING + TEST]),
        "t10k-labels-idx1-ubyte": idx_bytes(labels[TRAINING : TRAINING + TEST]),
    }
    folder.mkdir()
    for name, content in contents.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
    quick = {"evaluate.latency_runs": 10, "evaluate.corruptions.pictures": 3}
    return {"data.path": str(folder), "data.validation": 200, **quick} | {
        f"data.sha256.{name}": hashlib.sha256(content).hexdigest() for name, content in contents.items()
    }


def _enlarge(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    """8x8 with values 0..16 to 20x20 in the middle of 28x28, as MNIST's digits lie."""
    grey = Image.fromarray((image * 255 / 16).astype(np.uint8)).resize((20, 20), Image.Resampling.BILINEAR)
    return np.pad(np.asarray(grey), 4)


def set_values(conf: Path, values: dict[str, Any]) -> None:
    """Write values, by their dotted keys, into the files of conf/ that hold their groups."""
    for group in {key.partition(".")[0] for key in values}:
        file = conf / group / FILES.get(group, "default.yaml")
        told = yaml.safe_load(file.read_text())
        for key, value in values.items():
            first, *path, last = key.split(".")
            if first == group:
                place = told
                for name in path:
                    place = place.setdefault(name, {})
                place[last] = value
        file.write_text(yaml.safe_dump(told, sort_keys=False))
