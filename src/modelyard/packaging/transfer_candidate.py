"""A network on the imported one's features, joined with that one: it takes digits as any other does."""

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.digits.dataset import SIDE_PIXELS
from modelyard.packaging.bundling import Candidate
from modelyard.packaging.convert import Precision, convert_function
from modelyard.packaging.digit_candidate import ask_network, load_trained, make_candidate, read_record
from modelyard.training.examples import Examples
from modelyard.transfer.features import WIDTH
from modelyard.transfer.trunk import Trunk, read_variables

if TYPE_CHECKING:
    import keras


def convert_transferred(
    network: Path,
    record: Path,
    trunk: Trunk,
    precision: Precision,
    pictures: Examples,
    features: Examples,
) -> Candidate:
    """Convert a network on features together with the network that they come from.

    Args:
        network: a .keras file; input float32 (n, 2048), output (n, 10), probabilities.
        record: the JSON that its training left; it goes into the provenance.
        trunk: where the features come from; its provenance goes there too.
        precision: of all weights.
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
        model = convert_joined(trunk, head, precision)
    provenance = {"training": training, "trunk": trunk.provenance}
    return make_candidate(model, precision, provenance, pictures.inputs[..., 0], answers)


def convert_joined(trunk: Trunk, head: "keras.Model", precision: Precision) -> bytes:
    """Convert trunk and head to one LiteRT model, from a digit (1, 28, 28, 1), 0..255, to its probabilities.

    Raises:
        ModelyardError: the converter refuses it.
    """
    return convert_function(
        lambda image: head(trunk(image), training=False),
        (SIDE_PIXELS, SIDE_PIXELS, 1),
        precision,
        [*trunk.variables, *read_variables(head)],
    )
