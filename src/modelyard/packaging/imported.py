"""An imported network, with cut-outs of real photos to prove its bundles on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from modelyard.images.crops import Samples
from modelyard.images.fitting import fit_picture
from modelyard.networks.importing.imported import read_imported
from modelyard.networks.opening import open_network
from modelyard.packaging.source import Source
from modelyard.quiet import quiet_tensorflow


@contextmanager
def open_source(folder: Path, samples: Samples) -> Iterator[Source]:
    """Give the network that the import left in `folder`, with the unchanged original's answers."""
    imported = read_imported(folder)
    how = imported.preprocessing
    places = range(len(samples))
    pixels = [samples.pixels(place, how.channels == 1) for place in places]
    files = [samples.file(place) for place in range(len(samples.paths))]
    with open_network(imported) as network:
        with quiet_tensorflow():
            answers = network.answer(pixels)
            decoded = network.answer_files(files)
            features = network.pool(pixels[0])
        yield Source(
            name=imported.name,
            labels=imported.labels,
            preprocessing=how,
            provenance={"source": imported.provenance},
            convert=network.convert,
            names=[samples.name(place) for place in places],
            fitted=lambda: (fit_picture(samples, place, how) for place in places),
            answers=answers,
            # TensorFlow's decoder instead of ours; cut-outs are no JPEG files.
            decoder_max_difference=float(np.abs(answers[: len(files)] - decoded).max()),
            features=features,
        )
