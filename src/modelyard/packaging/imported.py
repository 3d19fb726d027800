"""An imported network, with cut-outs of real photos to prove its bundles on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.images.crops import cut_out
from modelyard.images.pictures import LIMITS
from modelyard.inference.fits import fit_pixels
from modelyard.inference.images import ImageError, decode
from modelyard.networks.imported import read_imported
from modelyard.networks.network import Network
from modelyard.networks.opening import open_network
from modelyard.packaging.source import Source
from modelyard.quiet import quiet_tensorflow

Answers = NDArray[np.float32]


@contextmanager
def open_source(folder: Path, more: Path, pictures: int) -> Iterator[Source]:
    """Give the network that the import left in `folder`, and the untouched original's answers.

    Args:
        folder: see `imported.read_imported`; its samples are what a bundle is proved on,
        more: with those of this folder.
        pictures: so many cut-outs of them.

    Raises:
        ModelyardError: a file is missing or wrong, or the network does not answer.
    """
    imported = read_imported(folder)
    how = imported.preprocessing
    samples = [*imported.samples, *sorted(more.iterdir())]
    whole = [(path.name, _decode(path, how.channels == 1)) for path in samples]
    cuts = cut_out(whole, pictures)

    def fit_each() -> Iterator[NDArray[Any]]:
        return (fit_pixels(how.fit, pixels, how.height, how.width) for _, pixels in cuts)

    with open_network(imported) as network:
        with quiet_tensorflow():
            answers = network.answer([pixels for _, pixels in cuts])
            decoder = _measure_decoder(network, imported.samples, answers)
        yield Source(
            name=imported.name,
            labels=imported.labels,
            preprocessing=how,
            provenance={"source": imported.provenance},
            convert=network.convert,
            names=[name for name, _ in cuts],
            fitted=fit_each,
            answers=answers,
            decoder_max_difference=decoder,
        )


def _measure_decoder(network: Network, samples: Sequence[Path], answers: Answers) -> float | None:
    """Return what TensorFlow's own decoder changes in any probability of the samples, which come first."""
    decoded = network.answer_files([path.read_bytes() for path in samples])
    if decoded is None:
        return None
    return float(np.abs(answers[: len(samples)] - decoded).max())


def _decode(path: Path, grey: bool) -> NDArray[np.uint8]:
    """Decode as the bundle will."""
    try:
        return decode(path.read_bytes(), LIMITS, grey)
    except ImageError as error:
        raise ModelyardError(f"{path}: expected a picture: {error.reason}") from error
