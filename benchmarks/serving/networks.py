"""The trained networks, put where the other servers find them, and logged in MLflow's TensorFlow flavor."""

import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.serving.questions import MNIST, Subject
from modelyard.errors import ModelyardError
from modelyard.files import replace_folder, write_json
from modelyard.networks.formats.quantized_weights import read_weights
from modelyard.networks.importing.imported import read_imported
from modelyard.params import load_params
from modelyard.quiet import import_tensorflow, quiet_tensorflow

DIGIT = Path("data/samples/03-label-3.png")
IMPORTED = Path("models/imported")
# Writes the image to a folder, and returns the subject and its Keras network.
Make = Callable[[Path], tuple[Subject, Any]]


def prepare_subjects(folder: Path, models: Sequence[str]) -> dict[str, Subject]:
    """Return the models with their images, and make what is missing in `folder` (absolute).

    Another process makes it, so that TensorFlow's memory is released before anything is measured.
    """
    for needed in (DIGIT, IMPORTED / "provenance.json"):
        if not needed.is_file():
            raise ModelyardError(f"{needed} is missing, which `make repro` makes: run it first")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return {model: pool.submit(_prepare, folder, model).result() for model in models}


def _prepare(parent: Path, model: str) -> Subject:
    with quiet_tensorflow():
        sources, make = _find_digits() if model == MNIST else _find_photos()
        contents = b"".join(source.read_bytes() for source in (*sources, Path(__file__)))
        folder = parent / f"{model}-{hashlib.sha256(contents).hexdigest()[:16]}"
        if not folder.exists():
            import_tensorflow()
            with replace_folder(folder) as new:
                subject, network = make(new)
                network.save(new / "network.keras")
                subject = replace(subject, stock_uri=_log_stock(replace(subject, folder=folder), network))
                write_json(new / "network.json", {**asdict(subject), "folder": None})
    return replace(Subject(**json.loads((folder / "network.json").read_text())), folder=folder)


def _find_digits() -> tuple[list[Path], Make]:
    """Find the Keras network of the current champion, in its run."""
    from modelyard.registry.artifacts import fetch_network
    from modelyard.tracking.store import open_tracking

    tracking = open_tracking(load_params().registry.experiment)
    path = fetch_network(tracking, f"models:/{MNIST}@champion")
    if path is None:
        raise ModelyardError(f"expected the network of models:/{MNIST}@champion: run `make repro`")

    def make(folder: Path) -> tuple[Subject, Any]:
        import keras

        shutil.copyfile(DIGIT, folder / "image.png")
        title, label, labels = "mnist, a PNG of 28x28", DIGIT.stem[-1], list("0123456789")
        subject = Subject(folder, title, MNIST, "image.png", label, labels, (28, 28, 1), mean=0, scale=1)
        return subject, keras.models.load_model(path, compile=False)

    return [path, DIGIT], make


def _find_photos() -> tuple[list[Path], Make]:
    """Find the imported weights, to build a Keras network of; the original file labels the photo."""
    imported = read_imported(IMPORTED)
    if imported.format != "stand_in":
        raise ModelyardError(
            f"{imported.name} is a {imported.format}; the other servers load networks of Keras: "
            f"measure the digits alone, with --models {MNIST}"
        )

    def make(folder: Path) -> tuple[Subject, Any]:
        from modelyard.networks.formats.stand_in import build_network
        from modelyard.networks.opening import open_network

        image = folder / "image.jpg"
        write_photo(imported.samples[-1], image)
        with open_network(imported) as untouched:
            [scores] = untouched.answer([np.asarray(Image.open(image))])
        title, how = "Inception v3, a JPEG of 640x480", imported.provenance["reading"]["input"]
        labels = [str(label.name) for label in imported.labels]
        label, shape = labels[int(scores.argmax())], [how[side] for side in ("height", "width", "channels")]
        subject = Subject(
            folder, title, imported.name, image.name, label, labels, shape, how["mean"], how["scale"]
        )
        return subject, build_network(read_weights(imported.file))

    return [imported.file, imported.folder / "labels.json", imported.samples[-1]], make


def write_photo(source: Path, path: Path) -> None:
    """Write a photo of 640x480 as a JPEG of quality 90."""
    Image.open(source).resize((640, 480), Image.Resampling.LANCZOS).save(path, "JPEG", quality=90)


def _log_stock(subject: Subject, network: Any) -> str:
    """Log the network as MLflow's documentation does, and return the model's URI."""
    import mlflow
    from mlflow.models import infer_signature

    mlflow.set_tracking_uri(subject.stock_store)
    if mlflow.get_experiment_by_name("benchmark") is None:
        artifacts = subject.folder.parent / "stock-artifacts"
        mlflow.create_experiment("benchmark", artifacts.as_uri())
    mlflow.set_experiment("benchmark")
    images = np.zeros((1, *subject.shape), np.float32)
    signature = infer_signature(images, network.predict(images, verbose=0))
    return str(mlflow.tensorflow.log_model(network, name=subject.name, signature=signature).model_uri)
