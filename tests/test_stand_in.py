"""The stand-in's network."""

import numpy as np
import pytest

from modelyard.errors import ModelyardError
from modelyard.networks.formats.stand_in import build_network
from stand_in_package import weight_shapes


def test_weights_that_do_not_fit_inception_are_refused() -> None:
    weights = {name: np.zeros(shape, np.float32) for name, shape in weight_shapes().items()}
    with pytest.raises(ModelyardError, match="the stand-in's weights do not fit Inception v3"):
        build_network(weights)
