"""A trained digit network, converted, with a whole split to prove it on."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelyard.digits.dataset import CLASSES, SIDE_PIXELS, read_digits
from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Label, Preprocessing
from modelyard.packaging.bundling import Candidate
from modelyard.packaging.convert import Precision, convert_network

if TYPE_CHECKING:
    import keras

NAME = "mnist"
# The network normalises inside: it takes pixels of 0..255 as they are.
PREPROCESSING = Preprocessing("digit", SIDE_PIXELS, SIDE_PIXELS, 1, mean=0.0, scale=1.0, align_corners=False)
_BATCH = 500


def convert_trained(network: Path, images: Path, record: Path, precision: Precision) -> Candidate:
    """Convert the network in a .keras file.

    Args:
        network: the file; input float32 (n, 28, 28, 1), 0..255, output (n, 10), probabilities.
        images: the split to prove it on, see `digits.read_digits`.
        record: the JSON that its training left; it goes into the provenance.
        precision: of the weights.

    Raises:
        ModelyardError: a file is missing or wrong, or the network cannot be converted.
    """
    from modelyard.quiet import quiet_tensorflow

    digits = read_digits(images)
    training = _read_record(record)
    with quiet_tensorflow():
        trained = _load(network)
        answers = _ask(trained, digits.images)
        model = convert_network(trained, precision)
    return Candidate(
        model=model,
        name=NAME,
        precision=precision,
        labels=[Label(str(digit), None) for digit in range(CLASSES)],
        preprocessing=PREPROCESSING,
        provenance={"training": training},
        image_names=[str(index) for index in range(len(digits))],
        pixels=list(digits.images),
        answers=answers,
    )


def _read_record(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelyardError(
            f"{path}: expected the record of a training ({error}): run `dvc repro train`"
        ) from error


def _load(path: Path) -> "keras.Model":
    import keras

    try:
        network = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError) as error:
        raise ModelyardError(f"{path}: expected a Keras network ({error}): run `dvc repro train`") from error
    shapes = (network.input_shape, network.output_shape)
    if shapes != ((None, SIDE_PIXELS, SIDE_PIXELS, 1), (None, CLASSES)):
        raise ModelyardError(
            f"{path}: expected a network from (n, {SIDE_PIXELS}, {SIDE_PIXELS}, 1) to (n, {CLASSES}), "
            f"got {shapes}"
        )
    return network


def _ask(network: "keras.Model", images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the network's probabilities for images (n, 28, 28): float32 (n, 10)."""
    batches = (images[start : start + _BATCH] for start in range(0, len(images), _BATCH))
    return np.concatenate(
        [network(batch[..., None].astype(np.float32), training=False).numpy() for batch in batches]
    )
