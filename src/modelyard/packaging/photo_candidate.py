"""An imported network, converted, with real photos to prove it on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.inference.images import ImageError, Limits, decode
from modelyard.packaging.bundling import Candidate
from modelyard.networks.convert import Precision, convert_graph, convert_network
from modelyard.networks.graphdef import fold_batch_norm, parse_graph
from modelyard.networks.imported import GRAPH, WEIGHTS, Imported, read_imported
from modelyard.networks.legacy_graph import LegacyGraph, Tensors
from modelyard.networks.quantized_weights import read_weights
from modelyard.networks.stand_in import StandIn
from modelyard.quiet import quiet_tensorflow

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


def convert_pretrained(folder: Path, precision: Precision) -> Candidate:
    """Convert the network that the import left in `folder`, to be proved on the photos in there.

    It is measured against the untouched graph in a v1 Session, the stand-in against its Keras network.

    Raises:
        ModelyardError: a file is missing or wrong, or the network cannot be converted.
    """
    imported = read_imported(folder)
    photos = [path.read_bytes() for path in imported.samples]
    pixels = [_decode(path) for path in imported.samples]
    run = _run_graph if imported.format == "graphdef" else _run_stand_in
    with quiet_tensorflow():
        model, answers, other = run(imported, precision, photos, pixels)
    return Candidate(
        model=model,
        name=imported.name,
        precision=precision,
        labels=imported.labels,
        preprocessing=imported.preprocessing,
        provenance={"source": imported.provenance},
        image_names=[path.name for path in imported.samples],
        pixels=pixels,
        answers=answers,
        decoder_max_difference=float(np.abs(answers - other).max()),
    )


def _run_graph(
    imported: Imported, precision: Precision, photos: Sequence[bytes], pixels: Sequence[Pixels]
) -> tuple[bytes, Floats, Floats]:
    """Return the LiteRT model, and the untouched graph's answers for the pixels and for the files."""
    origin = str(imported.folder / GRAPH)
    graph = parse_graph((imported.folder / GRAPH).read_bytes(), origin)
    tensors = Tensors(**imported.provenance["tensors"])
    with LegacyGraph(graph, tensors, len(imported.labels), origin) as source:
        answers = _ask(source, photos, pixels)
    how = imported.preprocessing
    shape = (how.height, how.width, how.channels)
    folded = fold_batch_norm(graph, origin)
    return convert_graph(folded, tensors.input, tensors.output, shape, precision), *answers


def _run_stand_in(
    imported: Imported, precision: Precision, photos: Sequence[bytes], pixels: Sequence[Pixels]
) -> tuple[bytes, Floats, Floats]:
    """Return the LiteRT model, and the Keras network's answers for the pixels and for the files."""
    source = StandIn(read_weights(imported.folder / WEIGHTS))
    answers = _ask(source, photos, pixels)
    return convert_network(source.network, precision), *answers


def _ask(
    source: LegacyGraph | StandIn, photos: Sequence[bytes], pixels: Sequence[Pixels]
) -> tuple[Floats, Floats]:
    from_pixels = [source.probabilities(image) for image in pixels]
    from_files = [source.probabilities_of_file(photo) for photo in photos]
    return np.stack(from_pixels), np.stack(from_files)


def _decode(path: Path) -> Pixels:
    """Decode as the bundle will."""
    try:
        return decode(path.read_bytes(), Limits())
    except ImageError as error:
        raise ModelyardError(f"{path}: expected a photo: {error.reason}") from error
