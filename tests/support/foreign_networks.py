"""Networks from elsewhere in tests: values of conf/ for a small one, its import, and what is asked of it."""

from pathlib import Path
from typing import Any

import numpy as np

from made_data import COMMON
from modelyard.inference.fits import fit_pixels
from modelyard.inference.runtime.interpreters import LoadedModel
from modelyard.networks.importing.imported import Imported, read_imported
from modelyard.networks.importing.importing import import_pretrained
from modelyard.networks.network import Network
from modelyard.params import Pretrained
from modelyard.params.groups.pretrained import FrozenGraph, KerasFile, LiteRtFile, SavedModel

SIDE, CLASSES = 32, 5
NAMES = ["ant", "bee", "cat", "dog", "eel"]
KINDS: dict[str, type[Pretrained]] = {
    "frozen_graph": FrozenGraph,
    "saved_model": SavedModel,
    "keras": KerasFile,
    "litert": LiteRtFile,
}
PICTURES = [
    np.random.default_rng(place).integers(0, 256, (40 + 9 * place, 61, 3), np.uint8) for place in range(4)
]


def describe_network(format_: str, path: Path | None, **changes: Any) -> Pretrained:
    """Return conf/'s values for a network of one's own, 32 x 32 x 3 to 5 classes.

    Args:
        format_: as in conf/.
        path: of the file or folder; None where `changes` name sources.
        changes: other values, by key; "input__mean" is `input.mean`.
    """
    values: dict[str, Any] = {
        "card": COMMON["card"],
        "gate": COMMON["gate"],
        "format": format_,
        "name": "mine",
        "licence": "MIT",
        "homepage": None,
        "path": None if path is None else str(path),
        "sources": [],
        "connect_timeout_s": 4.0,
        "read_timeout_s": 30.0,
        "max_archive_bytes": 10_000_000,
        "network": {"file": "" if path is None else path.name, "sha256": None},
        "input": {
            "height": SIDE,
            "width": SIDE,
            "channels": 3,
            "fit": "stretch",
            "order": "rgb",
            "mean": [120.0, 130.0, 110.0],
            "scale": [0.01, 0.02, 0.015],
        },
        "output": {"classes": CLASSES, "named": CLASSES, "activation": "softmax"},
        "labels": {"format": "list", "names": NAMES},
        "features": None,
        "proof": None,
        "allow_fallback": False,
        "fallback": None,
    }
    for key, value in changes.items():
        group, _, name = key.partition("__")
        if name:
            values[group][name] = value
        else:
            values[group] = value
    return KINDS[format_].model_validate(values)


def import_network(pretrained: Pretrained, out: Path) -> Imported:
    """Import into a folder, and read it."""
    import_pretrained(pretrained, out)
    return read_imported(out)


def run_converted(model: bytes, imported: Imported, folder: Path) -> np.ndarray:
    """Return what a LiteRT model gives for the fitted pictures, float32 (n, outputs)."""
    path = folder / "converted.tflite"
    path.write_bytes(model)
    loaded = LoadedModel(path.read_bytes(), threads=1)
    how = imported.preprocessing
    assert (how.mean, how.scale) == (0.0, 1.0)
    fitted = [fit_pixels(how.fit, picture, how.height, how.width)[None] for picture in PICTURES]
    return np.stack([loaded.run(np.asarray(levels, np.float32)).scores for levels in fitted])


def assert_converts(network: Network, imported: Imported, folder: Path) -> np.ndarray:
    """See that the converted network answers as the untouched one, and return its answers."""
    expected = network.answer(PICTURES)
    assert np.ptp(expected, axis=0).max() > 0.01, "the pictures should be told apart"
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-5)
    given = run_converted(network.convert("float32"), imported, folder)
    np.testing.assert_allclose(given, expected, atol=1e-4)
    return expected


def make_keras_network(last: str = "softmax") -> Any:
    """Make a small Keras network with seeded weights: convolutions, batch norm, relu6, pooled, classes."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(11)
    network = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(8, 3, strides=2, padding="same", name="stem"),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Dropout(0.3),
            layers.GlobalAveragePooling2D(name="pooled"),
            layers.Dense(CLASSES, kernel_initializer="he_normal", name="scores"),
            layers.Activation(last, name="answer"),
        ]
    )
    # Far enough apart that pictures of noise are told apart.
    scores = network.get_layer("scores")
    scores.kernel.assign(scores.kernel * 20)
    return network
