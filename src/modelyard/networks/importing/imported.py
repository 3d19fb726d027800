"""The folder of an imported network, which packaging reads.

It holds the network's file or folder (unchanged), `labels.json`, `provenance.json` and `samples/`, real
photos to prove a conversion on.
"""

import importlib.util
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.files import write_json
from modelyard.inference.bundle import Label, Preprocessing

SAMPLES = "samples"
PHOTOS = ("china.jpg", "flower.jpg")


@dataclass(frozen=True)
class Imported:
    """What `read_imported` found in a folder.

    Attributes:
        format: "frozen_graph", "saved_model", "keras", "litert" or "stand_in".
        labels: one for each output, in order.
        preprocessing: the fit; other steps are inside the converted network.
        provenance: plain JSON values, among them source, licence, network_sha256, recognised, stand_in_for,
            and under "reading" what `opening.open_network` needs.
    """

    folder: Path
    name: str
    format: str
    labels: tuple[Label, ...]
    preprocessing: Preprocessing
    provenance: dict[str, Any]

    @property
    def file(self) -> Path:
        """The network itself: a file, or a SavedModel's folder."""
        return self.folder / str(self.provenance["file"])

    @property
    def samples(self) -> list[Path]:
        """The photos, sorted by name."""
        return sorted((self.folder / SAMPLES).iterdir())


def read_imported(folder: Path) -> Imported:
    """Read what `import_pretrained` wrote; raises ModelyardError if a file is missing or something else."""
    try:
        provenance = json.loads((folder / "provenance.json").read_text())
        labels = json.loads((folder / "labels.json").read_text())
        return Imported(
            folder,
            provenance["name"],
            provenance["format"],
            tuple(Label(**label) for label in labels),
            Preprocessing(**provenance["preprocessing"]),
            provenance,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelyardError(
            f"{folder}: expected an imported network ({error}): run `dvc repro import`"
        ) from error


def describe_fit(entrance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bundle's preprocessing, as JSON values, for the `input` of conf/."""
    size = {name: entrance[name] for name in ("fit", "height", "width", "channels")}
    return asdict(Preprocessing(**size))


def write_facts(folder: Path, labels: Sequence[Label], about: dict[str, Any]) -> None:
    """Write the labels, in the order of the outputs, and the provenance."""
    write_json(folder / "labels.json", [asdict(label) for label in labels])
    write_json(folder / "provenance.json", about)


def write_samples(folder: Path, photos: Sequence[Path]) -> None:
    """Copy the given photos and scikit-learn's into the folder's `samples`."""
    samples = folder / SAMPLES
    samples.mkdir()
    for photo in (*photos, *(find_photo(name) for name in PHOTOS)):
        shutil.copyfile(photo, samples / photo.name)


def find_photo(name: str) -> Path:
    """Return a photo that scikit-learn brings, without importing it, which takes a second."""
    package = importlib.util.find_spec("sklearn")
    photo = Path(package.origin).parent / "datasets" / "images" / name if package and package.origin else None
    if photo is None or not photo.is_file():
        raise ModelyardError(f"expected scikit-learn with its photo {name}: `make repro` installs it")
    return photo
