"""An imported network, with cut-outs of real photos to prove its bundles on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.images.crops import Samples
from modelyard.inference.fits import fit_pixels
from modelyard.networks.importing.imported import read_imported
from modelyard.networks.network import Network
from modelyard.networks.opening import open_network
from modelyard.packaging.source import Source
from modelyard.quiet import quiet_tensorflow

Answers = NDArray[np.float32]


@contextmanager
def open_source(folder: Path, samples: Samples) -> Iterator[Source]:
    """Give the network that the import left in `folder`, with the unchanged original's answers to `samples`.

    Raises ModelyardError if a file is missing or wrong, or the network does not answer.
    """
    imported = read_imported(folder)
    how = imported.preprocessing
    pixels = [samples.pixels(place, how.channels == 1) for place in range(len(samples))]

    def fit_each() -> Iterator[NDArray[Any]]:
        return (fit_pixels(how.fit, one, how.height, how.width) for one in pixels)

    with open_network(imported) as network:
        with quiet_tensorflow():
            answers = network.answer(pixels)
            decoder = _measure_decoder(network, samples, answers)
            features = network.pool(pixels[0])
        yield Source(
            name=imported.name,
            labels=imported.labels,
            preprocessing=how,
            provenance={"source": imported.provenance},
            convert=network.convert,
            names=[samples.name(place) for place in range(len(samples))],
            fitted=fit_each,
            answers=answers,
            decoder_max_difference=decoder,
            features=features,
        )


def _measure_decoder(network: Network, samples: Samples, answers: Answers) -> float | None:
    """Return the largest change of any probability by TensorFlow's own decoder, of the whole samples."""
    files = [samples.file(place) for place in range(len(samples.paths))]
    decoded = network.answer_files(files)
    return None if decoded is None else float(np.abs(answers[: len(files)] - decoded).max())
