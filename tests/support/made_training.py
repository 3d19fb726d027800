"""The description of a training, for tests that do not train: 67 examples of a small dataset."""

import numpy as np

from modelyard.images.dataset import Dataset
from modelyard.images.examples import Examples
from modelyard.inference.bundle import Preprocessing
from modelyard.params import Params
from modelyard.tracking.runs import RunDescription, describe_training

EXAMPLES = Examples(np.zeros((67, 28, 28, 1), np.uint8), np.zeros(67, np.uint8), 10)
DATASET = Dataset(
    name="mnist",
    classes=tuple("0123456789"),
    preprocessing=Preprocessing("mnist", 28, 28, 1),
    source="https://example.org/mnist.npz",
    licence="CC BY-SA 3.0",
    record={},
)


def describe(params: Params) -> RunDescription:
    """Describe a training on them."""
    return describe_training(params, EXAMPLES, DATASET)
