"""The stand-in's network: built of its weights, asked as its package prepares a picture."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from foreign_networks import PICTURES
from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Label
from modelyard.networks.formats.quantized_weights import Quantized, write_weights
from modelyard.networks.formats.stand_in import FEATURES, INPUT, build_network, check_weights, open_stand_in
from modelyard.networks.importing.fallback import WEIGHTS
from modelyard.networks.importing.imported import Imported, describe_fit, read_imported, write_facts
from modelyard.networks.network import Network
from modelyard.networks.opening import open_network
from stand_in_package import LABELS, weight_shapes


def make_weights() -> dict[str, Quantized]:
    """Random bytes of the true shapes, with ranges that keep the numbers small."""
    random = np.random.default_rng(6)
    trunk = keras.applications.InceptionV3(weights=None, include_top=False, input_shape=(299, 299, 3))
    weights = {}

    def add(name: str, shape: Any, low: float, high: float) -> None:
        values = random.integers(0, 256, tuple(shape), np.uint8)
        weights[name] = Quantized(values, (high - low) / 255, low)

    def in_order(kind: Any) -> list[Any]:
        """Keras numbers layers as they are made, the first of a process without a number."""
        found = [layer for layer in trunk.layers if isinstance(layer, kind)]
        return sorted(found, key=lambda layer: int((re.findall(r"_(\d+)$", layer.name) or ["0"])[0]))

    convolutions, norms = in_order(keras.layers.Conv2D), in_order(keras.layers.BatchNormalization)
    for number, layer in enumerate(convolutions, 1):
        spread = (6 / np.prod(layer.kernel.shape[:3])) ** 0.5
        add(f"conv2d_{number}/kernel", layer.kernel.shape, -spread, spread)
    for number, layer in enumerate(norms, 1):
        for part, low, high in (
            ("beta", -0.1, 0.1),
            ("moving_mean", -0.1, 0.1),
            ("moving_variance", 0.5, 1.5),
        ):
            add(f"batch_normalization_{number}/{part}", layer.beta.shape, low, high)
    for name, shape in (("dense_1", (2048, 256)), ("dense_2", (256, 128)), ("dense_3", (128, len(LABELS)))):
        add(f"{name}/kernel", shape, -0.2, 0.2)
        add(f"{name}/bias", shape[1:], -0.1, 0.1)
    return weights


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    folder = tmp_path_factory.mktemp("imported")
    weights = make_weights()
    check_weights(set(weights), len(LABELS), len(LABELS), "here")
    write_weights(folder / WEIGHTS, weights)
    output = {"classes": len(LABELS), "named": len(LABELS), "activation": "softmax"}
    about = {
        "name": "stand-in",
        "format": "stand_in",
        "file": WEIGHTS,
        "preprocessing": describe_fit(INPUT),
        "reading": {"input": INPUT, "output": output, "features": FEATURES},
    }
    write_facts(folder, [Label(name) for name in LABELS], about)
    return read_imported(folder)


def test_the_stand_in_sees_a_picture_as_its_package_prepares_it(imported: Imported) -> None:
    original = open_stand_in(imported.file)
    given = Network(original, imported.provenance["reading"], "stand-in").answer(PICTURES[:2])
    assert given.shape == (2, len(LABELS))
    for picture, answer in zip(PICTURES, given, strict=False):
        # The package's own way, with TensorFlow's resize in the place of the fit.
        resized = tf.raw_ops.ResizeBilinear(images=picture[None], size=(299, 299), align_corners=True)
        np.testing.assert_allclose(answer, original.run((resized / 255).numpy())[0], atol=1e-5)
    assert np.ptp(given, axis=0).max() > 1e-4
    pooled, _ = original.function(FEATURES)
    assert pooled(resized / 255).shape == (1, 2048)


def test_weights_of_other_shapes_are_refused() -> None:
    weights = {name: np.zeros(shape, np.float32) for name, shape in weight_shapes().items()}
    with pytest.raises(ModelyardError, match="the stand-in's weights do not fit Inception v3"):
        build_network(weights)


def test_a_file_that_is_gone_is_named(imported: Imported, tmp_path: Path) -> None:
    gone = replace(imported, folder=tmp_path)
    message = r"weights\.npz is missing: run `dvc repro import`"
    with pytest.raises(ModelyardError, match=message), open_network(gone):
        pytest.fail("it was opened")
