"""Extraction: the trunk's features of digits, computed through LiteRT as they will be when it is served."""

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from modelyard.images.dataset import SIDE_PIXELS
from modelyard.errors import ModelyardError
from modelyard.inference.interpreters import Pool
from modelyard.networks.convert import Precision, convert_function
from modelyard.networks.imported import read_imported
from modelyard.quiet import quiet_tensorflow
from modelyard.images.examples import Examples, Split
from modelyard.networks.features import WIDTH, Origin, write_features
from modelyard.networks.trunk import Trunk, load_trunk

Floats = NDArray[np.float32]


def extract_features(imported: Path, tensor: str, precision: Precision, pictures: Split, out: Path) -> None:
    """Write the features of digits, and show how far it is.

    Args:
        imported: the folder that the import left.
        tensor: see `trunk.load_trunk`.
        precision: of the network's weights.
        pictures: the digits.
        out: see `features.write_features`.

    Raises:
        ModelyardError: the network has another number of features, cannot be converted, or gives NaN.
    """
    network = read_imported(imported)
    with quiet_tensorflow():
        model = convert_trunk(load_trunk(network, tensor), precision)
    # The fewer first: what is wrong with the network shows early.
    validation = compute_features(model, pictures.validation, "validation features")
    width = validation.shape[1]
    if width != WIDTH:
        raise ModelyardError(
            f"pretrained.features_tensor: expected {WIDTH} features, {network.name} gives {width}"
        )
    training = compute_features(model, pictures.training, "training features")
    origin = Origin(model, precision, network.provenance)
    write_features(out, pictures, training, validation, origin)


def convert_trunk(trunk: Trunk, precision: Precision) -> bytes:
    """Convert a trunk to LiteRT: float32 (1, 28, 28, 1), 0..255, to float32 (1, n).

    Raises:
        ModelyardError: the converter refuses it.
    """
    return convert_function(trunk, (SIDE_PIXELS, SIDE_PIXELS, 1), precision, trunk.variables)


def compute_features(model: bytes, digits: Examples, title: str) -> Floats:
    """Run a converted trunk over digits, on all processors.

    Args:
        model: see `convert_trunk`.
        digits: uint8 (n, 28, 28, 1), at least one.
        title: of the progress bar; where stderr is no terminal, it is said once.

    Raises:
        ModelyardError: a feature is NaN or infinite.
    """
    images = digits.inputs.astype(np.float32)
    terminal = sys.stderr.isatty()
    if not terminal:
        print(f"{title}: {len(images):,} images", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="modelyard-") as scratch:
        path = Path(scratch, "trunk.tflite")
        path.write_bytes(model)
        # Two threads an interpreter, as the predictor has for a network of this size.
        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = max(1, processors // 2)
        pool = Pool(path, interpreters=workers, threads=min(processors, 2))

        def run(place: int) -> Floats:
            with pool.borrow() as interpreter:
                return interpreter.run(images[place : place + 1])

        with ThreadPoolExecutor(workers) as executor:
            done = tqdm(
                executor.map(run, range(len(images))),
                title,
                len(images),
                unit="image",
                file=sys.stderr,
                disable=not terminal,
            )
            rows = np.concatenate(list(done))
    if not np.isfinite(rows).all():
        raise ModelyardError(f"{title}: expected numbers, got NaN or infinity: import the network again")
    return rows
