"""The trained networks, put where peers find them, and logged as MLflow's TensorFlow flavor would be.

`python -m benchmarks.serving.networks FOLDER MODEL ...`: a process of its own, so that TensorFlow's
memory is gone again before anything is measured.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from benchmarks.serving.questions import JPEG, PNG, Subject, write_photo
from modelyard.errors import ModelyardError
from modelyard.files import replace_folder, write_json
from modelyard.networks.formats.quantized_weights import read_weights
from modelyard.networks.imported import read_imported
from modelyard.params import load_params
from modelyard.quiet import import_tensorflow, quiet_tensorflow

if TYPE_CHECKING:
    import keras

MNIST, INCEPTION = "mnist", "inception"
DIGIT = Path("data/samples/03-label-3.png")
IMPORTED = Path("models/imported")
STAMP = "source.sha256"


def prepare_subjects(folder: Path, models: Sequence[str]) -> dict[str, Subject]:
    """Return the models with their images, after making what is missing in `folder`.

    Raises:
        ModelyardError: there is nothing to measure yet, or it cannot be prepared.
    """
    for needed in (DIGIT, IMPORTED / "provenance.json"):
        if not needed.is_file():
            raise ModelyardError(f"{needed} is missing, which `make repro` makes: run it first")
    command = [sys.executable, "-m", "benchmarks.serving.networks", str(folder), *models]
    result = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if result.returncode:
        raise ModelyardError(f"the networks cannot be prepared: {result.stderr.strip()[-2000:]}")
    return {model: _read_subject(model, folder / model) for model in models}


def _read_subject(model: str, folder: Path) -> Subject:
    about = json.loads((folder / "network.json").read_text())
    is_digit = model == MNIST
    return Subject(
        title=about["title"],
        name=about["name"],
        image=folder / ("image.png" if is_digit else "image.jpg"),
        content_type=PNG if is_digit else JPEG,
        label=about["label"],
        network=folder.resolve(),
        stock_store=_locate_stock(folder.parent),
        stock_uri=about["stock_uri"],
    )


def _prepare(folder: Path, models: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for model in models:
        (_prepare_digits if model == MNIST else _prepare_photos)(folder)


def _prepare_digits(folder: Path) -> None:
    """Take the Keras network of the version that is champion now, out of its run."""
    from modelyard.registry.versions import fetch_network
    from modelyard.tracking.store import open_tracking

    tracking = open_tracking(load_params().registry.experiment)
    path = fetch_network(tracking, f"models:/{MNIST}@champion")
    if path is None:
        raise ModelyardError(f"expected the network of models:/{MNIST}@champion: run `make repro`")
    digest = _digest(path, DIGIT)
    if _is_current(folder / MNIST, digest):
        return
    import_tensorflow()
    import keras

    network = keras.models.load_model(path, compile=False)
    about = {
        "title": "mnist, a PNG of 28x28",
        "name": MNIST,
        "shape": (28, 28, 1),
        "mean": 0.0,
        "scale": 1.0,
        "labels": [str(digit) for digit in range(10)],
        "label": DIGIT.stem[-1],
    }
    with replace_folder(folder / MNIST) as new:
        shutil.copyfile(DIGIT, new / "image.png")
        _write(new, network, about, folder, digest)


def _prepare_photos(folder: Path) -> None:
    """Build the Keras network of the imported weights, and let it answer the photo."""
    imported = read_imported(IMPORTED)
    if imported.format != "stand_in":
        raise ModelyardError(
            f"{imported.name} is a {imported.format}; the peers load networks of Keras: "
            f"measure the digits alone, with --models {MNIST}"
        )
    source = imported.samples[-1]
    digest = _digest(imported.file, imported.folder / "labels.json", source)
    if _is_current(folder / INCEPTION, digest):
        return
    import_tensorflow()
    from modelyard.networks.formats.stand_in import build_network
    from modelyard.networks.opening import open_network

    how = imported.provenance["reading"]["input"]
    labels = [label.name for label in imported.labels]
    with replace_folder(folder / INCEPTION) as new:
        photo = new / "image.jpg"
        write_photo(source, photo)
        with open_network(imported) as untouched:
            [scores] = untouched.answer([np.asarray(Image.open(photo))])
        about = {
            "title": "Inception v3, a JPEG of 640x480",
            "name": imported.name,
            "shape": tuple(how[side] for side in ("height", "width", "channels")),
            "mean": how["mean"],
            "scale": how["scale"],
            "labels": labels,
            "label": labels[int(scores.argmax())],
        }
        _write(new, build_network(read_weights(imported.file)), about, folder, digest)


def _write(new: Path, network: "keras.Model", about: Mapping[str, Any], folder: Path, digest: str) -> None:
    """Write the network for the peers, log it for MLflow, and leave what it was made of as the last file."""
    network.save(new / "network.keras")
    write_json(new / "network.json", {**about, "stock_uri": _log_stock(network, about, folder)})
    (new / STAMP).write_text(digest)


def _log_stock(network: "keras.Model", about: Mapping[str, Any], folder: Path) -> str:
    """Log the network as MLflow's own documentation does, in a scratch store; return the model's URI."""
    import mlflow
    from mlflow.models import infer_signature

    mlflow.set_tracking_uri(_locate_stock(folder))
    name = "benchmark"
    if mlflow.get_experiment_by_name(name) is None:
        mlflow.create_experiment(name, artifact_location=(folder.resolve() / "stock-artifacts").as_uri())
    mlflow.set_experiment(name)
    images = np.zeros((1, *about["shape"]), np.float32)
    signature = infer_signature(images, network.predict(images, verbose=0))
    logged = mlflow.tensorflow.log_model(network, name=about["name"], signature=signature)
    return str(logged.model_uri)


def _locate_stock(folder: Path) -> str:
    return f"sqlite:///{folder.resolve() / 'stock.db'}"


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in (*files, Path(__file__)))).hexdigest()


def _is_current(folder: Path, digest: str) -> bool:
    stamp = folder / STAMP
    return stamp.is_file() and stamp.read_text() == digest


if __name__ == "__main__":
    try:
        with quiet_tensorflow():
            _prepare(Path(sys.argv[1]), sys.argv[2:])
    except ModelyardError as reason:
        sys.exit(str(reason))
