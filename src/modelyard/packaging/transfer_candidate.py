"""A network on the imported one's features, joined with that one: it takes digits as any other does."""

from pathlib import Path

from modelyard.packaging.bundling import Candidate
from modelyard.networks.convert import convert_network
from modelyard.packaging.digit_candidate import ask_network, load_trained, make_candidate, read_record
from modelyard.networks.joining import join_models
from modelyard.images.examples import Examples
from modelyard.networks.features import WIDTH, Origin


def convert_transferred(
    network: Path, record: Path, origin: Origin, pictures: Examples, features: Examples
) -> Candidate:
    """Convert a network on features, and join it with the very model that computed them.

    The network stays float32: most features are near 0 with a few far off, of which int8 leaves too little
    (it changed an answer by up to 0.48), and it is small.

    Args:
        network: a .keras file; input float32 (n, 2048), output (n, 10), probabilities.
        record: the JSON that its training left; it goes into the provenance.
        origin: what computed the features; its provenance goes there too.
        pictures: digits to prove it on, uint8 (n, 28, 28, 1).
        features: theirs, float32 (n, 2048); what `network` makes of them is what is to be answered.

    Raises:
        ModelyardError: a file is missing or wrong, or the network cannot be converted.
    """
    from modelyard.quiet import quiet_tensorflow

    training = read_record(record)
    with quiet_tensorflow():
        head = load_trained(network, (WIDTH,))
        answers = ask_network(head, features.inputs)
        model = join_models(origin.model, convert_network(head, "float32"))
    provenance = {"training": training, "trunk": origin.provenance}
    return make_candidate(model, origin.precision, provenance, pictures.inputs[..., 0], answers)
