"""A network trained here, and pictures of the validation split to prove its bundles on."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.images.crops import cut_out
from modelyard.images.dataset import Dataset
from modelyard.images.examples import Split
from modelyard.images.fitting import fit_picture
from modelyard.images.pictures import Pictures
from modelyard.images.samples import one_of_each_in_turn
from modelyard.inference.bundle import Label, Preprocessing
from modelyard.inference.fits import fit_pixels
from modelyard.networks.convert import convert_network
from modelyard.networks.features import Features
from modelyard.networks.joining import join_models
from modelyard.packaging.source import Source
from modelyard.packaging.unlikeness import Floats, add_unlikeness, ask_network

if TYPE_CHECKING:
    import keras

# Few, because a network on features takes tens of milliseconds for each picture.
JOINED_PICTURES = 200


def read_trained(
    network: Path, record: Path, dataset: Dataset, split: Split, pictures: Pictures, least: int
) -> Source:
    """Read a network that learned from pixels: float32 (n, h, w, c), 0..255, to probabilities (n, classes).

    Its bundles are proved on the validation pictures, and on cut-outs of these `pictures` if there are fewer
    than `least`. The training's record goes into the provenance. Raises ModelyardError if a file is missing
    or wrong, or does not fit the dataset.
    """
    provenance = {"training": read_record(record)}
    examples = split.validation
    trained = load_trained(network, examples.inputs.shape[1:], len(dataset.classes))
    whole = add_unlikeness(trained, split.training, examples)
    inputs = _add_cut_outs(examples.inputs, pictures, dataset.preprocessing, least)
    answers, unlikeness = ask_whole(whole, inputs)
    return Source(
        name=dataset.name,
        labels=[Label(name) for name in dataset.classes],
        preprocessing=dataset.preprocessing,
        provenance=provenance,
        # int8 would rank other distances than those that were measured.
        convert=lambda precision: convert_network(whole if precision == "float32" else trained, precision),
        names=[str(place) for place in range(len(inputs))],
        fitted=lambda: iter(inputs),
        answers=answers,
        unlikeness=unlikeness,
    )


def read_joined(
    network: Path, record: Path, dataset: Dataset, features: Features, split: Split, pictures: Pictures
) -> Source:
    """Read a network that learned from features, float32 (n, width); it is joined with the trunk of these.

    The network itself stays float32: most features are near 0 with a few far off, for which int8 is too
    coarse (it changed an answer by up to 0.48), and it is small. Some `pictures` of each class, those of the
    validation split, prove its bundles. Raises ModelyardError if a file is missing or wrong, or does not fit
    the dataset.
    """
    chosen = pictures.take(one_of_each_in_turn(pictures.labels, JOINED_PICTURES))
    examples, trunk = features.examples(chosen), features.trunk
    head = load_trained(network, examples.inputs.shape[1:], len(dataset.classes))
    whole = add_unlikeness(head, split.training, split.validation)
    answers, unlikeness = ask_whole(whole, examples.inputs)
    return Source(
        name=dataset.name,
        labels=[Label(name) for name in dataset.classes],
        preprocessing=trunk.preprocessing,
        provenance={"training": read_record(record), "trunk": dict(trunk.provenance)},
        convert=lambda _: join_models(trunk.model, convert_network(whole, "float32")),
        names=[chosen.name(place) for place in range(len(chosen))],
        fitted=lambda: (fit_picture(chosen, place, trunk.preprocessing) for place in range(len(chosen))),
        answers=answers,
        unlikeness=unlikeness,
    )


def read_record(path: Path) -> object:
    """Read the JSON that a training left; raises ModelyardError if it is missing or invalid."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelyardError(
            f"{path}: expected the record of a training ({error}): run `dvc repro train`"
        ) from error


def load_trained(path: Path, shape: tuple[int, ...], classes: int) -> "keras.Model":
    """Read a .keras file; raises ModelyardError unless it maps inputs (n, *shape) to (n, classes)."""
    import keras

    try:
        network = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError) as error:
        raise ModelyardError(f"{path}: expected a Keras network ({error}): run `dvc repro train`") from error
    shapes = (network.input_shape, network.output_shape)
    if shapes != ((None, *shape), (None, classes)):
        sizes = ", ".join(str(size) for size in shape)
        raise ModelyardError(
            f"{path}: expected a network from (n, {sizes}) to (n, {classes}), got {shapes}: run "
            "`dvc repro train`"
        )
    return network


def ask_whole(network: "keras.Model", inputs: NDArray[Any]) -> tuple[Floats, Floats | None]:
    """Return the probabilities for inputs (n, ...), float32 (n, classes), and unlikeness (n,), or None."""
    if len(network.outputs) == 1:
        return ask_network(network, inputs)[0], None
    probabilities, unlikeness = ask_network(network, inputs)
    return probabilities, unlikeness[:, 0]


def _add_cut_outs(inputs: NDArray[Any], pictures: Pictures, how: Preprocessing, least: int) -> NDArray[Any]:
    """Return fitted pictures, followed by fitted cut-outs of them if there are fewer than `least`."""
    if len(inputs) >= least:
        return inputs
    grey = how.channels == 1
    whole = [(pictures.name(place), pictures.pixels(place, grey)) for place in range(len(pictures))]
    cuts = cut_out(whole, least)[len(whole) :]
    fitted = [fit_pixels(how.fit, pixels, how.height, how.width) for _, pixels in cuts]
    return np.concatenate([inputs, np.stack(fitted)])
