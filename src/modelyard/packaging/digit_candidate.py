"""A trained digit network, converted, with a whole split to prove it on."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelyard.images.dataset import CLASSES, SIDE_PIXELS, read_digits
from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Label, Preprocessing
from modelyard.packaging.bundling import Candidate
from modelyard.networks.convert import Precision, convert_network

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
    training = read_record(record)
    with quiet_tensorflow():
        trained = load_trained(network, (SIDE_PIXELS, SIDE_PIXELS, 1))
        answers = ask_network(trained, digits.images[..., None])
        model = convert_network(trained, precision)
    return make_candidate(model, precision, {"training": training}, digits.images, answers)


def make_candidate(
    model: bytes,
    precision: Precision,
    provenance: dict[str, Any],
    images: NDArray[np.uint8],
    answers: NDArray[np.float32],
) -> Candidate:
    """Return a converted digit network with images (n, 28, 28) and its source's answers (n, 10) to them."""
    return Candidate(
        model=model,
        name=NAME,
        precision=precision,
        labels=[Label(str(digit), None) for digit in range(CLASSES)],
        preprocessing=PREPROCESSING,
        provenance=provenance,
        image_names=[str(index) for index in range(len(images))],
        pixels=list(images),
        answers=answers,
    )


def read_record(path: Path) -> object:
    """Read the JSON that a training left.

    Raises:
        ModelyardError: it is missing, or no JSON.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelyardError(
            f"{path}: expected the record of a training ({error}): run `dvc repro train`"
        ) from error


def load_trained(path: Path, shape: tuple[int, ...]) -> "keras.Model":
    """Read a network from a .keras file.

    Raises:
        ModelyardError: the file is none, or the network does not make 10 numbers of inputs (n, *shape).
    """
    import keras

    try:
        network = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError) as error:
        raise ModelyardError(f"{path}: expected a Keras network ({error}): run `dvc repro train`") from error
    shapes = (network.input_shape, network.output_shape)
    if shapes != ((None, *shape), (None, CLASSES)):
        sizes = ", ".join(str(size) for size in shape)
        raise ModelyardError(f"{path}: expected a network from (n, {sizes}) to (n, {CLASSES}), got {shapes}")
    return network


def ask_network(network: "keras.Model", inputs: NDArray[Any]) -> NDArray[np.float32]:
    """Return the network's probabilities for inputs (n, ...): float32 (n, 10)."""
    batches = (inputs[start : start + _BATCH] for start in range(0, len(inputs), _BATCH))
    return np.concatenate([network(batch.astype(np.float32), training=False).numpy() for batch in batches])
